// The gateway as users run it, with the benchmark's upstream as its one backend.

import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProcess } from './child-process.ts';
import type { BenchSettings, Pod } from './variant.ts';

const UPSTREAM = fileURLToPath(new URL('./upstream.ts', import.meta.url));
const TSX = import.meta.resolve('tsx');
const REPLICAS = 2;
const START_TIMEOUT_MS = 60_000;
export const BACKEND = 'bench';

export interface GatewayOptions {
  readonly binary: string;
  /** A short path: sockets lie in it. */
  readonly folder: string;
  readonly dist: string;
  readonly settings: BenchSettings;
  /** Of the backend; undefined as in the local mode. */
  readonly access?: Readonly<Record<string, unknown>>;
  /** Resources. */
  readonly tenants?: readonly unknown[];
  readonly env?: Readonly<Record<string, string>>;
}

export interface Gateway {
  readonly port: number;
  readonly path: string;
  readonly pods: readonly Pod[];
  readonly pids: { readonly envoy: readonly number[]; readonly sidecar: readonly number[]; readonly supervisor: readonly number[] };
  stop(): Promise<void>;
}

/** Starts `mcp-gateway up` with its own home. Resolves when both replicas are ready. */
export async function startGateway(options: GatewayOptions, signal: AbortSignal): Promise<Gateway> {
  const { binary, folder, dist, settings, access, tenants = [], env = {} } = options;
  const home = join(folder, 'home');
  const resources = join(folder, 'resources');
  const podFolder = join(folder, 'pods');
  for (const path of [home, resources, podFolder]) mkdirSync(path, { recursive: true });
  const backend = {
    apiVersion: 'mcpgateway.dev/v1alpha1',
    kind: 'MCPBackend',
    metadata: { name: BACKEND },
    spec: {
      image: `exec:${process.execPath}`,
      args: ['--import', TSX, UPSTREAM, '$(PORT)', podFolder],
      replicas: REPLICAS,
      ...(access && { access }),
    },
  };
  for (const [number, resource] of [backend, ...tenants].entries()) {
    writeFileSync(join(resources, `${number}.yaml`), JSON.stringify(resource, null, 2));
  }

  const flags = ['--listen', '127.0.0.1:0', '--admin', '127.0.0.1:0', '--home', home, '--resources', resources];
  const gateway = startProcess(
    {
      name: 'gateway',
      command: [process.execPath, join(dist, 'main.js'), 'up', ...flags, '--workers', String(settings.workers)],
      env: { ...otherEnvironment(), ENVOY_BIN: binary, MCP_GATEWAY_ENVOY_CONCURRENCY: String(settings.envoyThreads), ...env },
    },
    signal,
  );
  try {
    const { url, admin } = await gateway.until(
      'ready',
      () => readJson<{ url: string; admin: string }>(join(home, 'gateway.json')),
      START_TIMEOUT_MS,
    );
    const status = await gateway.until('replicas ready', () => readStatus(admin), START_TIMEOUT_MS);
    const pods = readdirSync(podFolder).map((file) => readJson<Pod>(join(podFolder, file)) as Pod);
    return {
      port: Number(new URL(url).port),
      path: `/adapters/${BACKEND}/mcp`,
      pods: pods.sort((a, b) => a.port - b.port),
      pids: { envoy: [status.envoy], sidecar: status.sidecars, supervisor: [gateway.pid] },
      stop: gateway.stop,
    };
  } catch (error) {
    await gateway.stop();
    throw error;
  }
}

interface Status {
  readonly envoy: number;
  readonly sidecars: readonly number[];
  readonly backends: readonly { readonly ready: number }[];
}

async function readStatus(admin: string): Promise<Status | undefined> {
  const answer = await fetch(`${admin}/status`, { signal: AbortSignal.timeout(5_000) });
  const status = (await answer.json()) as Status;
  return status.backends[0]?.ready === REPLICAS ? status : undefined;
}

/** Settings of the user's own gateway would make runs incomparable. */
function otherEnvironment(): NodeJS.ProcessEnv {
  const isSetting = (name: string): boolean => name === 'REDIS_URL' || name.startsWith('MCP_GATEWAY_') || name.startsWith('OTEL_');
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isSetting(name)));
}

function readJson<T>(file: string): T | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T;
  } catch {
    return undefined;
  }
}
