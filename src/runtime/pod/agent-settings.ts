// What the drain agent is told by its pod: options and variables, checked together before it starts.

import { parseArgs } from 'node:util';
import type { Environment } from '../local/environment.ts';
import { UsageError } from './usage-error.ts';

const DEFAULT_PORT = '15080';
const DEFAULT_TOKEN_FILE = '/var/run/secrets/mcp-gateway/token';
const DEFAULT_GRACE_MS = '600000';
const DEFAULT_SERVER_PORT = '8000';
const DEFAULT_SERVER_PATH = '/mcp';
const MAX_PORT = 65_535;
const MAX_GRACE_MS = 3_600_000;
/** Goes into a path of the controller. */
const POD_UID = /^[A-Za-z0-9-]{1,64}$/;

export const AGENT_USAGE = `Usage: mcp-gateway drain-agent [--port ${DEFAULT_PORT}]

Stands beside a server in its pod: holds the pod's end until the controller says that its sessions are idle or moved, and asks the server
how it is. GET /drain (for preStop), /probe (health check of type mcp), /healthz.

Variables:
  MCP_GATEWAY_CONTROLLER_URL         where the controller is (needed), such as http://mcp-gateway-controller.mcp-gateway:8082
  MCP_GATEWAY_CONTROLLER_TOKEN_FILE  the token for it (default: ${DEFAULT_TOKEN_FILE})
  MCP_GATEWAY_DRAIN_GRACE_MS         the grace period of the pod in milliseconds (default: ${DEFAULT_GRACE_MS})
  POD_UID                            the pod's uid (needed)
  POD_IP                             where the gateway reaches the pod (default: 127.0.0.1)
  SERVER_PORT, SERVER_PATH           where the server is (default: ${DEFAULT_SERVER_PORT}, ${DEFAULT_SERVER_PATH})

Example:
  $ MCP_GATEWAY_CONTROLLER_URL=http://127.0.0.1:8082 POD_UID=0c5e MCP_GATEWAY_CONTROLLER_TOKEN_FILE=token mcp-gateway drain-agent
`;

export interface AgentSettings {
  /** 0 picks a free one. */
  readonly port: number;
  readonly controller: { readonly host: string; readonly port: number };
  readonly tokenFile: string;
  readonly podUid: string;
  /** Of the pod, counted from the moment at which it has to go. */
  readonly graceMs: number;
  readonly server: { readonly host: string; readonly port: number; readonly path: string };
}

/** Reads them all; `help` when that is asked for. Throws one UsageError with everything that is wrong. */
export function readAgentSettings(argv: readonly string[], env: Environment): AgentSettings | 'help' {
  const { values } = parse(argv);
  if (values.help) {
    return 'help';
  }
  const problems: string[] = [];
  const number = (name: string, text: string, least: number, most: number): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most) {
      problems.push(`${name} must be a number from ${least} to ${most}: got "${text}"`);
    }
    return value;
  };
  const controller = controllerOf(env['MCP_GATEWAY_CONTROLLER_URL'] ?? '');
  if (controller === undefined) {
    problems.push('MCP_GATEWAY_CONTROLLER_URL must be a URL such as http://mcp-gateway-controller.mcp-gateway:8082');
  }
  const podUid = env['POD_UID'] ?? '';
  if (!POD_UID.test(podUid)) {
    problems.push('POD_UID must be the uid of the pod (fieldRef metadata.uid)');
  }
  const path = env['SERVER_PATH'] ?? DEFAULT_SERVER_PATH;
  if (!path.startsWith('/')) {
    problems.push(`SERVER_PATH must begin with "/": got "${path}"`);
  }
  const settings = {
    port: number('--port', values.port, 0, MAX_PORT),
    tokenFile: env['MCP_GATEWAY_CONTROLLER_TOKEN_FILE'] ?? DEFAULT_TOKEN_FILE,
    podUid,
    graceMs: number('MCP_GATEWAY_DRAIN_GRACE_MS', env['MCP_GATEWAY_DRAIN_GRACE_MS'] ?? DEFAULT_GRACE_MS, 0, MAX_GRACE_MS),
    server: {
      host: env['POD_IP'] ?? '127.0.0.1',
      port: number('SERVER_PORT', env['SERVER_PORT'] ?? DEFAULT_SERVER_PORT, 1, MAX_PORT),
      path,
    },
  };
  if (controller === undefined || problems.length > 0) {
    throw new UsageError(problems.join('; '));
  }
  return { ...settings, controller };
}

function parse(argv: readonly string[]) {
  try {
    const options = { port: { type: 'string', default: DEFAULT_PORT }, help: { type: 'boolean', default: false } } as const;
    return parseArgs({ args: [...argv], options });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** Plain HTTP only: the controller's port is inside of the cluster. */
function controllerOf(text: string): AgentSettings['controller'] | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'http:' || url.username + url.password + url.search + url.hash !== '' || url.pathname !== '/') {
    return undefined;
  }
  return { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 80) };
}
