// A test server as a process of its own, without a gateway: to measure what a direct connection gives.

import { type ChildProcess, spawn } from 'node:child_process';
import { serverCommand, type TestServer } from './resource.ts';

const START_TIMEOUT_MS = 20_000;

export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

/** Starts a test server on a free port (or `PORT` of `env`) and waits until it listens. */
export async function startServer(server: TestServer, env: Readonly<Record<string, string>> = {}): Promise<ServerProcess> {
  const { command, args } = serverCommand(server);
  const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  const url = await addressOf(child, server);
  return {
    url: `${url}/mcp`,
    pid: child.pid as number,
    async stop() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGTERM');
      await gone;
    },
  };
}

/** The address that a server prints when it listens. */
export function addressOf(child: ChildProcess, server: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      child.kill('SIGKILL');
      reject(new Error(`${server} did not start: ${why}`));
    };
    const timer = setTimeout(() => fail(`not within ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS);
    let output = '';
    child.once('error', (error) => fail(error.message));
    child.once('exit', (code, signal) => fail(`it left with ${code ?? signal}`));
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
      const match = /^listening (\S+)$/m.exec(output);
      if (match === null) return;
      clearTimeout(timer);
      child.removeAllListeners('exit');
      resolve(match[1] as string);
    });
  });
}
