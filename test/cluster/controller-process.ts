// `mcp-gateway controller` as a process, with the rights of its service account.

import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../harness/free-port.ts';
import { MAIN } from '../harness/gateway.ts';
import { waitFor } from '../harness/wait-for.ts';
import type { Installed } from './installed.ts';

const STOP_TIMEOUT_MS = 20_000;
const MAX_LOG_CHARS = 2_000_000;

export interface ControllerProcess {
  /** Where it serves REST and what pods ask. */
  readonly url: string;
  readonly probes: string;
  logs(): string;
  stop(signal?: NodeJS.Signals): Promise<void>;
}

export interface ControllerProcessOptions {
  readonly name?: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
}

export async function startControllerProcess(
  { kubeconfigs, namespace, gatewayNamespace }: Installed,
  { name = 'controller', settings = {}, env = {} }: ControllerProcessOptions = {},
): Promise<ControllerProcess> {
  const home = mkdtempSync(join(tmpdir(), 'controller-'));
  const [port, probesPort] = [await freePort(), await freePort()];
  const config = join(home, 'gateway.yaml');
  const url = `http://127.0.0.1:${port}`;
  const all = {
    ...{ home, namespace, gatewayNamespace, listen: '127.0.0.1:8080', controlListen: `127.0.0.1:${port}` },
    ...{ probes: `127.0.0.1:${probesPort}`, controllerUrl: url, runnerImage: 'mcp-gateway-runner:0.1.0', ...settings },
  };
  writeFileSync(config, JSON.stringify(all));
  const child = spawn(process.execPath, [MAIN, 'controller'], {
    env: { ...process.env, MCP_GATEWAY_CONFIG: config, KUBECONFIG: kubeconfigs.controller, POD_NAME: name, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString('utf8')).slice(-MAX_LOG_CHARS);
  };
  child.stdout.on('data', keep);
  child.stderr.on('data', keep);
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const stop = async (signal: NodeJS.Signals = 'SIGTERM'): Promise<void> => {
    child.kill(signal);
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(late);
    rmSync(home, { recursive: true, force: true });
  };
  const probes = `http://127.0.0.1:${probesPort}`;
  try {
    await waitFor('the controller to be ready', async () => {
      if (child.exitCode !== null) throw new Error('the controller has ended');
      return (await fetch(`${probes}/readyz`)).status === 200;
    });
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}; last output:\n${output.slice(-6_000)}`, { cause: error });
  }
  return { url, probes, logs: () => output, stop };
}
