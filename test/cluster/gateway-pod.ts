// The two containers of a gateway's pod as processes: Envoy with the configuration that `envoy config` writes, and `mcp-gateway sidecar`.

import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../harness/free-port.ts';
import { MAIN } from '../harness/gateway.ts';
import { waitFor } from '../harness/wait-for.ts';
import { envoyBinary } from '../setup/tools.ts';

const STOP_TIMEOUT_MS = 30_000;
const MAX_LOG_CHARS = 2_000_000;

export interface GatewayPod {
  readonly url: string;
  readonly probes: string;
  readonly home: string;
  readonly sidecarPid: number;
  backendUrl(name: string): string;
  logs(): string;
  /** As the kubelet does: `preStop`, then SIGTERM. */
  stop(): Promise<void>;
}

export interface GatewayPodOptions {
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly keyFile: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Do not wait until it is ready. */
  readonly wait?: boolean;
  /** Without an Envoy of its own: beside one that already runs. */
  readonly alone?: boolean;
}

export async function startGatewayPod({
  kubeconfig,
  namespace,
  keyFile,
  env = {},
  wait = true,
  alone = false,
}: GatewayPodOptions): Promise<GatewayPod> {
  const home = mkdtempSync(join(tmpdir(), 'pod-'));
  const [port, probesPort] = [await freePort(), await freePort()];
  const config = join(home, 'gateway.yaml');
  const settings = {
    ...{ home, keyFile, namespace, listen: `127.0.0.1:${port}`, probes: `127.0.0.1:${probesPort}`, drainTimeoutMs: 5_000 },
  };
  writeFileSync(config, JSON.stringify(settings));
  const environment = { ...process.env, MCP_GATEWAY_CONFIG: config, KUBECONFIG: kubeconfig, POD_NAME: `gateway-${port}`, ...env };
  const envoyConfig = join(home, 'run', 'envoy.json');
  await promisify(execFile)('mkdir', ['-p', join(home, 'run')]);
  await promisify(execFile)(process.execPath, [MAIN, 'envoy', 'config', '--out', envoyConfig], { env: environment });

  let output = '';
  const start = (command: string, args: readonly string[]) => {
    const child = spawn(command, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (chunk: Buffer): void => {
      output = (output + chunk.toString('utf8')).slice(-MAX_LOG_CHARS);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    return { child, exited };
  };
  const envoyArgs = ['-c', envoyConfig, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'warning'];
  const envoy = alone ? undefined : start(envoyBinary(), envoyArgs);
  const sidecar = start(process.execPath, [MAIN, 'sidecar']);
  const both = envoy === undefined ? [sidecar] : [sidecar, envoy];
  const probes = `http://127.0.0.1:${probesPort}`;
  const end = async (): Promise<void> => {
    for (const { child } of both) child.kill('SIGTERM');
    const late = setTimeout(() => {
      for (const { child } of both) child.kill('SIGKILL');
    }, STOP_TIMEOUT_MS);
    await Promise.all(both.map(({ exited }) => exited));
    clearTimeout(late);
    rmSync(home, { recursive: true, force: true });
  };
  if (wait) {
    try {
      await waitFor('the gateway’s pod to be ready', async () => {
        if (sidecar.child.exitCode !== null) throw new Error('the sidecar has ended');
        return (await fetch(`${probes}/readyz`)).status === 200;
      });
    } catch (error) {
      const said = output.slice(-6_000);
      await end();
      throw new Error(`${(error as Error).message}; last output:\n${said}`, { cause: error });
    }
  }
  return {
    url: `http://127.0.0.1:${port}`,
    probes,
    home,
    sidecarPid: sidecar.child.pid ?? 0,
    backendUrl: (name) => `http://127.0.0.1:${port}/adapters/${name}/mcp`,
    logs: () => output,
    async stop() {
      await fetch(`${probes}/drain`).catch(() => {});
      await end();
    },
  };
}
