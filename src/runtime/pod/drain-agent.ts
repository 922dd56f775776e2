// `mcp-gateway drain-agent`: the small HTTP server beside every server in a cluster, which the kubelet asks.

import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Environment } from '../local/environment.ts';
import { AGENT_USAGE, type AgentSettings, readAgentSettings } from './agent-settings.ts';
import { createControllerQuestion, type Resolve } from './controller-question.ts';
import { createDrainWait, type DrainTiming } from './drain-wait.ts';
import { createServerQuestion } from './server-question.ts';

/** An answer that has been given may take so long to be read. */
const LAST_ANSWER_MS = 2000;

export interface DrainAgent {
  readonly port: number;
  /** Waits for a drain that is under way, then stops listening. */
  close(): Promise<void>;
}

/** Starts listening on all addresses: the kubelet comes to the pod's IP. Rejects when the port cannot be had. */
export async function startDrainAgent(options: {
  settings: AgentSettings;
  tell: (line: string) => void;
  timing?: DrainTiming;
  resolve?: Resolve;
}): Promise<DrainAgent> {
  const { settings, tell, timing, resolve } = options;
  const closing = new AbortController();
  const ask = createControllerQuestion(settings, resolve);
  const wait = createDrainWait({ ask, graceMs: settings.graceMs, tell, ...(timing === undefined ? {} : { timing }) });
  const howIsServer = createServerQuestion(settings.server, closing.signal);
  let draining: Promise<unknown> | undefined;
  let verdict = '';

  async function drain(response: ServerResponse): Promise<void> {
    if (draining === undefined) {
      tell('the pod has to go: waiting for its sessions');
      draining = wait().then((end) => tell(`the pod may go: ${end}`));
    }
    await draining;
    answer(response, 200, 'drained');
  }

  async function probe(response: ServerResponse): Promise<void> {
    const result = await howIsServer();
    const line = result.ok ? 'ok' : result.reason;
    if (line !== verdict) {
      verdict = line;
      tell(`the server: ${line}`);
    }
    answer(response, result.ok ? 200 : 503, line);
  }

  const server = createServer((request, response) => {
    const path = request.method === 'GET' || request.method === 'HEAD' ? request.url?.split('?')[0] : undefined;
    if (path === '/drain') {
      void drain(response);
    } else if (path === '/probe') {
      void probe(response);
    } else if (path === '/healthz') {
      answer(response, 200, 'ok');
    } else {
      answer(response, 404, 'GET /drain, /probe or /healthz');
    }
  });
  server.listen(settings.port);
  await once(server, 'listening');

  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      await draining;
      closing.abort();
      const closed = once(server, 'close');
      server.close();
      const late = setTimeout(() => server.closeAllConnections(), LAST_ANSWER_MS);
      await closed;
      clearTimeout(late);
    },
  };
}

/** Runs until SIGTERM or SIGINT; the kubelet sends it when the pod's servers have ended. Throws UsageError, or when the port is taken. */
export async function runDrainAgent(
  argv: readonly string[],
  { env, stdout, stderr }: { env: Environment; stdout: { write(text: string): unknown }; stderr: { write(text: string): unknown } },
): Promise<number> {
  const settings = readAgentSettings(argv, env);
  if (settings === 'help') {
    stdout.write(AGENT_USAGE);
    return 0;
  }
  const tell = (line: string): void => void stderr.write(`${new Date().toISOString()} ${line}\n`);
  const stopped = new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, resolve);
  });
  const agent = await startDrainAgent({ settings, tell });
  tell(`listening on port ${agent.port}`);
  await stopped;
  await agent.close();
  return 0;
}

function answer(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', connection: 'close' }).end(`${text}\n`);
}
