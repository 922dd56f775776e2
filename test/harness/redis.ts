// A real Redis for one test: on a free port, without persistence, and with the faults that a test needs.

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { redisServerBinary } from '../setup/redis.ts';
import { freePort } from './free-port.ts';
import { waitFor } from './wait-for.ts';

const START_TIMEOUT_MS = 20_000;
const ASK_TIMEOUT_MS = 5_000;
/** Somebody else may take the free port before Redis does. */
const PORTS_TO_TRY = 5;

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  /** How often each command was executed since the start or `resetCounts()`: names in lower case, commands inside of scripts counted too. */
  commandCounts(): Promise<ReadonlyMap<string, number>>;
  resetCounts(): Promise<void>;
  /** SIGSTOP: connections stay open, and nothing answers. */
  pause(): void;
  resume(): void;
  /** SIGKILL; resolves when it is gone. */
  kill(): Promise<void>;
  /** A fresh, empty one on the same port. */
  restart(): Promise<void>;
  flush(): Promise<void>;
  /** Any command, over a connection of its own. */
  ask(command: string, ...args: readonly string[]): Promise<unknown>;
  stop(): Promise<void>;
}

export interface RedisServerOptions {
  /** Clients must log in with it; it is in the URL. */
  readonly password?: string;
}

export async function startRedis({ password }: RedisServerOptions = {}): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), 'redis-'));
  let child: ChildProcess | undefined;
  let port = 0;
  // A test process that fails on its way leaves no server behind.
  const killAtExit = (): void => void child?.kill('SIGKILL');
  process.once('exit', killAtExit);

  const ask = async (command: string, ...args: readonly string[]): Promise<unknown> => {
    const redis = new Redis({
      ...{ port, host: '127.0.0.1', lazyConnect: true, retryStrategy: null, disableClientInfo: true },
      ...{ commandTimeout: ASK_TIMEOUT_MS, connectTimeout: ASK_TIMEOUT_MS, ...(password === undefined ? {} : { password }) },
    });
    redis.on('error', () => {});
    try {
      await redis.connect();
      return await redis.call(command, ...args);
    } finally {
      redis.disconnect();
    }
  };

  const launch = async (): Promise<void> => {
    const settings = { port, bind: '127.0.0.1', save: '', appendonly: 'no', dir: folder, loglevel: 'warning', daemonize: 'no' };
    const secret = password === undefined ? [] : ['--requirepass', password];
    const args = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)]);
    const started = spawn(redisServerBinary(), [...args, ...secret], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    started.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString('utf8');
    });
    let left: string | undefined;
    started.once('error', (error) => {
      left = error.message;
    });
    started.once('exit', (code, signal) => {
      left = `it left with ${code ?? signal}: ${output}`;
    });
    child = started;
    const end = new AbortController();
    const answers = async (): Promise<boolean> => {
      if (left !== undefined) end.abort(new Error(`redis-server did not start: ${left}`));
      return left === undefined && (await ask('ping')) === 'PONG';
    };
    try {
      await waitFor('redis-server to answer', answers, { timeoutMs: START_TIMEOUT_MS, signal: end.signal });
    } catch (error) {
      started.kill('SIGKILL');
      throw error;
    }
  };

  const kill = async (): Promise<void> => {
    const running = child;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const gone = new Promise((resolve) => running.once('exit', resolve));
    running.kill('SIGKILL');
    await gone;
  };

  for (let attempt = 1; ; attempt += 1) {
    port = await freePort();
    try {
      await launch();
      break;
    } catch (error) {
      if (attempt < PORTS_TO_TRY && String(error).includes('in use')) continue;
      rmSync(folder, { recursive: true, force: true });
      throw error;
    }
  }

  return {
    url: `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}`,
    port,
    async commandCounts() {
      const text = (await ask('info', 'commandstats')) as string;
      return new Map([...text.matchAll(/^cmdstat_(\S+?):calls=(\d+)/gm)].map(([, name, calls]) => [name as string, Number(calls)]));
    },
    async resetCounts() {
      await ask('config', 'resetstat');
    },
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    kill,
    async restart() {
      await kill();
      await launch();
    },
    async flush() {
      await ask('flushall');
    },
    ask,
    async stop() {
      await kill();
      process.off('exit', killAtExit);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
