// The load generator, a process of its own: runs one phase at a time as its parent says, and checks every answer.

import { sumCpu } from './cpu-time.ts';
import { type Caller, startCaller } from './http-caller.ts';
import { type Call, initializeCalls, type Session, type Target, toolCall } from './mcp-calls.ts';

/** How long the last requests of a phase may take. */
const LAST_ANSWER_MS = 5_000;
/** Failures that are told in words. */
const MAX_SAMPLES = 3;
/** Connections that open the sessions of a run. */
const OPENING_CONNECTIONS = 8;
const OPENING_TIMEOUT_MS = 30_000;
/** Answers of one phase whose times are kept: a minute at 100,000 a second would need more. */
const MAX_ANSWERS = 4_000_000;

/** Opens sessions, one after the other on each connection, alternating between the targets. */
export interface OpenOrder {
  readonly kind: 'open';
  readonly targets: readonly Target[];
  readonly count: number;
}

/** Keeps `inFlight` requests under way for `warmMs` and then `measureMs`, of which only the latter counts. */
export interface PhaseOrder {
  readonly kind: 'phase';
  readonly what: 'calls' | 'initialize';
  readonly sessions: readonly Session[];
  readonly targets: readonly Target[];
  readonly inFlight: number;
  readonly warmMs: number;
  readonly measureMs: number;
  /** Processes whose CPU time is read at both ends of the measurement, by role. */
  readonly pids: Readonly<Record<string, readonly number[]>>;
}

export interface PhaseResult {
  readonly kind: 'result';
  readonly answers: number;
  /** Good answers of the whole phase, warm-up and last ones included. */
  readonly allAnswers: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** During warm-up too: every answer is checked. */
  readonly failures: number;
  readonly samples: readonly string[];
  /** Microseconds for each role; a role whose processes cannot be read is missing. */
  readonly cpu: Readonly<Record<string, number>>;
}

export type GeneratorAnswer = PhaseResult | { readonly kind: 'opened'; readonly sessions: readonly Session[] } | { readonly kind: 'ready' };

async function openSessions({ targets, count }: OpenOrder): Promise<Session[]> {
  const sessions: Session[] = [];
  const callers: Caller[] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`only ${sessions.length} sessions within ${OPENING_TIMEOUT_MS} ms`)),
        OPENING_TIMEOUT_MS,
      );
      const onFailure = (why: string): void => {
        clearTimeout(timer);
        reject(new Error(`initialize failed: ${why}`));
      };
      const opened = (session: Session): void => {
        if (sessions.length < count) sessions.push(session);
        if (sessions.length < count) return;
        clearTimeout(timer);
        resolve();
      };
      for (let connection = 0; connection < OPENING_CONNECTIONS; connection += 1) {
        const target = targets[connection % targets.length] as Target;
        callers.push(startCaller({ calls: initializeCalls(target, opened), onAnswer: () => {}, onFailure }));
      }
    });
  } finally {
    await Promise.all(callers.map((caller) => caller.stop(LAST_ANSWER_MS)));
  }
  return sessions;
}

/** A fixed share of the sessions for each connection; a connection has one target. */
function callsOfConnections({ what, sessions, targets, inFlight }: PhaseOrder): Call[][] {
  const connections: Call[][] = [];
  for (let connection = 0; connection < inFlight; connection += 1) {
    const target = targets[connection % targets.length] as Target;
    if (what === 'initialize') {
      const calls = initializeCalls(target, () => {});
      // Not all with the same caller at the same time.
      const first = connection % calls.length;
      connections.push([...calls.slice(first), ...calls.slice(0, first)]);
      continue;
    }
    const mine = sessions.filter((session) => session.target.port === target.port);
    const rivals = Math.ceil((inFlight - (connection % targets.length)) / targets.length);
    const seat = Math.floor(connection / targets.length);
    const share = mine.filter((_, number) => number % rivals === seat);
    if (share.length === 0) throw new Error(`${sessions.length} sessions are too few for ${inFlight} connections`);
    connections.push(share.map((session, number) => toolCall(session, connection * 1000 + number)));
  }
  return connections;
}

async function runPhase(order: PhaseOrder): Promise<PhaseResult> {
  let times = new Float64Array(65_536);
  let answers = 0;
  let allAnswers = 0;
  let measuring = false;
  let failures = 0;
  const samples: string[] = [];
  const onAnswer = (milliseconds: number): void => {
    allAnswers += 1;
    if (!measuring || answers === MAX_ANSWERS) return;
    if (answers === times.length) {
      const larger = new Float64Array(times.length * 2);
      larger.set(times);
      times = larger;
    }
    times[answers] = milliseconds;
    answers += 1;
  };
  const onFailure = (why: string): void => {
    failures += 1;
    if (samples.length < MAX_SAMPLES) samples.push(why);
  };

  const callers = callsOfConnections(order).map((calls) => startCaller({ calls, onAnswer, onFailure }));
  await pause(order.warmMs);
  const before = readCpu(order.pids);
  const begin = performance.now();
  measuring = true;
  await pause(order.measureMs);
  measuring = false;
  const seconds = (performance.now() - begin) / 1000;
  const after = readCpu(order.pids);
  await Promise.all(callers.map((caller) => caller.stop(LAST_ANSWER_MS)));

  const sorted = times.subarray(0, answers).sort();
  const cpu: Record<string, number> = {};
  for (const role of Object.keys(before)) {
    const [from, to] = [before[role], after[role]];
    if (from !== undefined && to !== undefined) cpu[role] = to - from;
  }
  const [p50Ms, p99Ms] = [quantile(sorted, 0.5), quantile(sorted, 0.99)];
  return { kind: 'result', answers, allAnswers, seconds, p50Ms, p99Ms, failures, samples, cpu };
}

function readCpu(pids: PhaseOrder['pids']): Record<string, number | undefined> {
  const all = { ...pids, generator: [process.pid] };
  return Object.fromEntries(Object.entries(all).map(([role, group]) => [role, sumCpu(group)]));
}

function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

function tell(answer: GeneratorAnswer): void {
  process.send?.(answer);
}

process.on('message', (order: OpenOrder | PhaseOrder) => {
  const work: Promise<GeneratorAnswer> =
    order.kind === 'open' ? openSessions(order).then((sessions) => ({ kind: 'opened', sessions })) : runPhase(order);
  work.then(tell, (error: Error) => {
    process.stderr.write(`generator: ${error.message}\n`);
    process.exit(1);
  });
});
process.on('disconnect', () => process.exit(0));
tell({ kind: 'ready' });
