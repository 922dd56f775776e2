// The gateway that `serve` starts when none runs: a process of its own that ends with it, however that comes about.

import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { readAnnouncement } from '../app/announcement.ts';

const POLL_MS = 200;
/** Clients give up a call after 60 s. The start itself goes on: Envoy and the servers' packages may have to be fetched. */
const WAIT_MS = 45_000;
/** Between two starts while another gateway has the home. */
const AGAIN_MS = 2_000;
/** On top of the time that requests under way are given. */
const STOP_MS = 30_000;
const MAX_KEPT_CHARS = 4_000;

export interface OwnGatewayOptions {
  readonly home: string;
  /** Runs `mcp-gateway up`, without arguments of its own. */
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** How long its requests under way may take to end, in milliseconds. */
  readonly drainMs: number;
  /** What it says goes here, in lines. */
  readonly say: (text: string) => void;
}

export interface OwnGateway {
  /** Resolves when a gateway runs in the home, whoever has started it. Rejects with one line when there will be none, or not yet. */
  running(): Promise<void>;
  stop(): Promise<void>;
}

export function createOwnGateway({ home, command, env, drainMs, say }: OwnGatewayOptions): OwnGateway {
  let child: ChildProcess | undefined;
  let gone: Promise<void> = Promise.resolve();
  let failure: string | undefined;
  let stopped = false;

  const start = (): void => {
    const [program = '', ...args] = command;
    let last = '';
    failure = undefined;
    // Its input ends with this process, also when that is killed.
    const started = spawn(program, [...args, '--until-input-ends'], { env, stdio: ['pipe', 'pipe', 'pipe'] });
    child = started;
    for (const stream of [started.stdout, started.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        say(text);
        last = (last + text).slice(-MAX_KEPT_CHARS);
      });
    }
    started.stdin.on('error', () => {});
    gone = new Promise((resolve) => {
      const ended = (why: string): void => {
        failure ??= `the gateway did not start: ${last.trim().split('\n').at(-1) || why}`;
        if (child === started) child = undefined;
        resolve();
      };
      started.once('error', (error) => ended(error.message));
      started.once('exit', (code, signal) => ended(`it left with ${code ?? signal}`));
    });
  };

  const attempt = async (): Promise<void> => {
    const until = performance.now() + WAIT_MS;
    let tried = false;
    let again = 0;
    while (performance.now() < until) {
      if (await readAnnouncement(home)) return;
      if (stopped) throw new Error('this server is stopping');
      if (child === undefined) {
        // Somebody else has one in the same home, which is being started or stopped: that one will do, or else the next one is ours.
        const other = failure?.includes('another gateway') === true;
        if (tried && !other) throw new Error(failure ?? 'the gateway did not start');
        if (performance.now() >= again) {
          start();
          again = performance.now() + AGAIN_MS;
        }
        tried = true;
      }
      await delay(POLL_MS);
    }
    throw new Error('the gateway is still being started: it may have to fetch Envoy first. Call this tool again in a moment');
  };

  let underWay: Promise<void> | undefined;
  return {
    // All that wait wait for one start.
    running() {
      underWay ??= attempt().finally(() => {
        underWay = undefined;
      });
      return underWay;
    },
    async stop() {
      stopped = true;
      const { pid } = child ?? {};
      if (pid === undefined) return;
      child?.stdin?.end();
      child?.kill('SIGTERM');
      await Promise.race([gone, delay(drainMs + STOP_MS, undefined, { ref: false })]);
      child?.kill('SIGKILL');
    },
  };
}
