// The parent's side of the load generator: one order at a time, each with a deadline.

import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { GeneratorAnswer, OpenOrder, PhaseOrder, PhaseResult } from './generator.ts';
import type { Session, Target } from './mcp-calls.ts';

const GENERATOR = fileURLToPath(new URL('./generator.ts', import.meta.url));
/** What an order may take beyond its own time. */
const SPARE_MS = 60_000;

export interface Generator {
  readonly pid: number;
  open(targets: readonly Target[], count: number): Promise<readonly Session[]>;
  run(phase: Omit<PhaseOrder, 'kind'>): Promise<PhaseResult>;
  stop(): void;
}

export async function startGenerator(signal: AbortSignal): Promise<Generator> {
  const child = fork(GENERATOR, { execArgv: ['--import', 'tsx'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const gone = new AbortController();
  child.once('exit', (code, name) => gone.abort(new Error(`the load generator ended (${code ?? name})`)));
  const ask = async (order: OpenOrder | PhaseOrder | undefined, timeoutMs: number): Promise<GeneratorAnswer> => {
    const limit = AbortSignal.timeout(timeoutMs);
    const answer = once(child, 'message', { signal: AbortSignal.any([signal, gone.signal, limit]) });
    if (order) child.send(order);
    try {
      return ((await answer) as [GeneratorAnswer])[0];
    } catch (error) {
      signal.throwIfAborted();
      if (gone.signal.aborted) throw gone.signal.reason;
      throw limit.aborted ? new Error(`the load generator did not answer within ${timeoutMs} ms`) : error;
    }
  };
  await ask(undefined, SPARE_MS);

  return {
    pid: child.pid as number,
    async open(targets, count) {
      const answer = await ask({ kind: 'open', targets, count }, SPARE_MS);
      if (answer.kind !== 'opened') throw new Error(`the load generator answered ${answer.kind}`);
      return answer.sessions;
    },
    async run(phase) {
      const answer = await ask({ kind: 'phase', ...phase }, phase.warmMs + phase.measureMs + SPARE_MS);
      if (answer.kind !== 'result') throw new Error(`the load generator answered ${answer.kind}`);
      return answer;
    },
    stop() {
      child.kill('SIGKILL');
    },
  };
}
