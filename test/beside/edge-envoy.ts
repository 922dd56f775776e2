// An Envoy that is not the gateway's: k8s/beside/envoy as it stands, with the addresses of this test, run beside a local gateway.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parse } from 'yaml';
import { edgeSecrets, SECRETS_FOLDER } from '../../scripts/beside/edge-parts.ts';
import { freePort } from '../harness/free-port.ts';
import type { Gateway } from '../harness/gateway.ts';
import { waitFor } from '../harness/wait-for.ts';
import { envoyBinary } from '../setup/tools.ts';

const CONFIG = resolve(import.meta.dirname, '../../k8s/beside/envoy/envoy.yaml');
export const CERTIFICATES = resolve(import.meta.dirname, '../fixtures/edge');
export const SECRET = 'a secret that only this test and its Envoy know';

/** The settings of a gateway that serves such an Envoy. */
export function edgeEnvironment(secretFile: string): Record<string, string> {
  return {
    MCP_GATEWAY_EDGE_POLICY_LISTEN: '127.0.0.1:0',
    MCP_GATEWAY_EDGE_RECOVERY_LISTEN: '127.0.0.1:0',
    MCP_GATEWAY_EDGE_CERT_FILE: join(CERTIFICATES, 'sidecar.pem'),
    MCP_GATEWAY_EDGE_KEY_FILE: join(CERTIFICATES, 'sidecar.key'),
    MCP_GATEWAY_EDGE_CA_FILE: join(CERTIFICATES, 'ca.pem'),
    MCP_GATEWAY_EDGE_SECRET_FILE: secretFile,
  };
}

/** The ports that the gateway has chosen, out of its log. */
export function edgePorts(gateway: Pick<Gateway, 'logs'>): { policy: number; recovery: number } {
  const [, policy, recovery] = /"policyPort":(\d+),"recoveryPort":(\d+)/.exec(gateway.logs()) ?? [];
  return { policy: Number(policy), recovery: Number(recovery) };
}

interface Cluster {
  readonly name: string;
  type: string;
  load_assignment: unknown;
}

interface Mutation {
  readonly remove_on_match?: unknown;
  readonly append?: { readonly header: { readonly key: string } };
}

interface Manager {
  early_header_mutation_extensions: { typed_config: { mutations: Mutation[] } }[];
}

interface Config {
  admin: unknown;
  static_resources: {
    listeners: [
      {
        address: unknown;
        filter_chains: [{ filters: [{ typed_config: Manager }] }];
      },
    ];
    clusters: Cluster[];
  };
}

export interface EdgeEnvoyOptions {
  readonly gateway: Pick<Gateway, 'logs'>;
  /** What stands in its variable. */
  readonly secret?: string;
  /** The name of its certificate in test/fixtures/edge. */
  readonly certificate?: string;
  /** Changes the header mutations, as somebody might who knows better. */
  readonly mutations?: (mutations: readonly Mutation[]) => readonly Mutation[];
}

export interface EdgeEnvoy {
  backendUrl(name: string): string;
  stop(): Promise<void>;
}

/** Starts it and waits until it takes requests, and has found its sidecar or failed to. */
export async function startEdgeEnvoy(options: EdgeEnvoyOptions): Promise<EdgeEnvoy> {
  const { gateway, secret = SECRET, certificate = 'envoy', mutations = (all) => all } = options;
  const folder = mkdtempSync(join(tmpdir(), 'edge-'));
  const port = await freePort();
  const config = parse(readFileSync(CONFIG, 'utf8'), { maxAliasCount: -1 }) as Config;
  config.admin = { address: { pipe: { path: join(folder, 'admin.sock') } } };
  const { listeners, clusters } = config.static_resources;
  listeners[0].address = { socket_address: { address: '127.0.0.1', port_value: port } };
  const manager = listeners[0].filter_chains[0].filters[0].typed_config;
  manager.early_header_mutation_extensions = manager.early_header_mutation_extensions.flatMap((extension) => {
    const changed = [...mutations(extension.typed_config.mutations)];
    // Envoy takes no empty list.
    return changed.length === 0 ? [] : [{ ...extension, typed_config: { ...extension.typed_config, mutations: changed } }];
  });
  const ports = edgePorts(gateway);
  const served: Record<string, object> = {
    policy: { socket_address: { address: '127.0.0.1', port_value: ports.policy } },
    recovery: { socket_address: { address: '127.0.0.1', port_value: ports.recovery } },
    control: { pipe: { path: join(folder, 'none.sock') } },
  };
  for (const cluster of clusters) {
    const address = served[cluster.name];
    if (address === undefined) continue;
    cluster.type = 'STATIC';
    cluster.load_assignment = { cluster_name: cluster.name, endpoints: [{ lb_endpoints: [{ endpoint: { address } }] }] };
  }
  for (const [name, contents] of Object.entries(edgeSecrets(CERTIFICATES))) {
    const text = JSON.stringify(contents)
      .replace('/tls.crt', `/${certificate}.pem`)
      .replace('/tls.key', `/${certificate}.key`)
      .replace('/ca.crt', '/ca.pem');
    writeFileSync(join(folder, `${name}.yaml`), text);
  }
  const text = JSON.stringify(config).replaceAll(SECRETS_FOLDER, folder);
  return runEnvoy({ config: text, folder, port, secret, policyCluster: 'policy' });
}

/** Runs any configuration whose admin interface is `admin.sock` in that folder, which is removed in the end. */
export async function runEnvoy(options: {
  config: string;
  folder: string;
  port: number;
  secret: string;
  /** The one with the health check. */
  policyCluster: string;
}): Promise<EdgeEnvoy> {
  const { config, folder, port, secret, policyCluster } = options;
  const file = join(folder, 'envoy.json');
  writeFileSync(file, config);
  const args = ['-c', file, '--log-level', 'warning', '--disable-hot-restart', '--concurrency', '1'];
  const child = spawn(envoyBinary(), args, { env: { MCP_GATEWAY_EDGE: secret }, stdio: ['ignore', 'ignore', 'pipe'] });
  let output = '';
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString('utf8');
  });
  try {
    await waitFor('the Envoy beside', async () => {
      if (child.exitCode !== null) return true;
      const stats = await ask(join(folder, 'admin.sock'), `/stats?filter=^cluster.${policyCluster}.health_check`);
      const decided = /health_check\.(healthy|failure): [1-9]/.test(stats);
      return decided && (await fetch(`http://127.0.0.1:${port}/healthz`)).status === 200;
    });
    if (child.exitCode !== null) throw new Error('it has left');
  } catch (error) {
    await end(child, folder);
    throw new Error(`the Envoy beside did not start: ${output}`, { cause: error });
  }
  return { backendUrl: (name) => `http://127.0.0.1:${port}/adapters/${name}/mcp`, stop: () => end(child, folder) };
}

function ask(socketPath: string, path: string): Promise<string> {
  return new Promise((done, reject) => {
    const outgoing = request({ socketPath, path, agent: false }, (incoming) => {
      let text = '';
      incoming.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      incoming.on('end', () => done(text));
    });
    outgoing.on('error', reject).end();
  });
}

async function end(child: ChildProcess, folder: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill('SIGTERM');
    await once(child, 'exit');
  }
  rmSync(folder, { recursive: true, force: true });
}
