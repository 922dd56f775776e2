// Processes are killed under the load of unmodified SDK clients; what the clients saw is compared with what the servers did.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { killAndWait } from '../harness/processes.ts';
import { waitForReplicas } from '../harness/replicas.ts';
import { serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';
import { connectSdkClient, type SdkClient } from '../harness/sdk-client.ts';
import { waitFor } from '../harness/wait-for.ts';

const CLIENTS = 40;
const MIN_RECOVERIES = 50;
/** A bound for the test, not an expectation: each kill should cost about half of the clients their session. */
const MAX_KILLS = 12;
const CALL_MS = 20;

const scratch = createScratch();
let gateway: Gateway;

beforeAll(async () => {
  // JSON answers: a cut SSE answer makes the SDK wait for its own time-out of 60 s, with or without a gateway.
  const env = (name: string) => ({ COUNTER_JOURNAL: scratch.journalPath(name), COUNTER_JSON: '1' });
  gateway = await startGateway({
    workers: 2,
    resources: [
      serverBackend('load', 'counter-server', { replicas: 2, env: env('load') }),
      serverBackend('trusted', 'counter-server', { replicas: 2, env: env('trusted'), trustToolHints: true }),
    ],
  });
});

afterAll(async () => {
  await gateway?.stop();
  scratch.remove();
});

/** What one client saw. */
interface Witness {
  readonly sdk: SdkClient;
  answered: number;
  /** Upstream sessions in the order in which it met them. */
  readonly sessions: { id: string; pid: number }[];
  readonly errors: { tag: string; message: string; sentAt: number; failedAt: number }[];
}

/** A tool of which nobody knows whether it may be repeated, and one that says so to a gateway that believes it. */
test.each([
  ['load', 'slow'],
  ['trusted', 'slow_read'],
] as const)(
  `%s: ${CLIENTS} SDK clients, kill -9 of one of two replicas until ${MIN_RECOVERIES} sessions were recovered`,
  {
    timeout: 240_000,
  },
  async (name, tool) => {
    const url = gateway.backendUrl(name);
    await waitForReplicas(url, 2);
    const witnesses = await Promise.all(
      Array.from(
        { length: CLIENTS },
        async (): Promise<Witness> => ({ sdk: await connectSdkClient(url), answered: 0, sessions: [], errors: [] }),
      ),
    );

    let stopped = false;
    const work = witnesses.map(async (witness, client) => {
      for (let index = 0; !stopped; index += 1) {
        const tag = `${client}/${index}`;
        const sentAt = performance.now();
        try {
          const report = await witness.sdk.call(tool, { ms: CALL_MS, tag });
          witness.answered += 1;
          if (witness.sessions.at(-1)?.id !== report.session) witness.sessions.push({ id: report.session as string, pid: report.pid });
        } catch (error) {
          witness.errors.push({ tag, message: (error as Error).message, sentAt, failedAt: performance.now() });
        }
      }
    });

    const recoveries = () => witnesses.reduce((sum, { sessions }) => sum + Math.max(0, sessions.length - 1), 0);
    const killed: { pid: number; killedAt: number; goneAt: number }[] = [];
    try {
      await waitFor('every client to work', () => witnesses.every(({ answered }) => answered > 2), { timeoutMs: 30_000 });
      while (recoveries() < MIN_RECOVERIES && killed.length < MAX_KILLS) {
        const victim = witnesses[killed.length % CLIENTS]?.sessions.at(-1)?.pid as number;
        const killedAt = performance.now();
        await killAndWait(victim);
        killed.push({ pid: victim, killedAt, goneAt: performance.now() });
        const answered = witnesses.map((witness) => witness.answered);
        await waitFor(
          'every client to work again',
          () => witnesses.every((witness, index) => witness.answered > (answered[index] ?? 0) + 2),
          {
            timeoutMs: 70_000,
          },
        );
        await waitForReplicas(url, 2);
      }
    } finally {
      stopped = true;
      await Promise.all(work);
    }

    const journal = scratch.journal(name);
    const processed = new Set(journal.map(({ tag }) => tag).filter((tag) => tag !== undefined));
    const errors = witnesses.flatMap((witness) => witness.errors);
    const summary = {
      recoveries: recoveries(),
      kills: killed.length,
      answered: witnesses.reduce((sum, { answered }) => sum + answered, 0),
      errors,
    };
    expect(summary.recoveries, JSON.stringify(summary)).toBeGreaterThanOrEqual(MIN_RECOVERIES);

    // Where a call may be repeated, nobody sees an error at all, whatever was under way.
    if (name === 'trusted') expect(errors, JSON.stringify(killed)).toEqual([]);

    // No error for a request that no server ever saw. One exception is in the nature of things: bytes that were on their way to the
    // process, or unread in its socket, when it died. The only honest answer to them is that the outcome is unknown.
    const unseen = errors.filter(({ tag }) => !processed.has(tag));
    const wasUnderWay = ({ sentAt, failedAt }: { sentAt: number; failedAt: number }) =>
      killed.some(({ killedAt, goneAt }) => sentAt < goneAt && failedAt > killedAt);
    const wrong = unseen.filter((error) => !/unknown/.test(error.message) || !wasUnderWay(error));
    expect(wrong, `${JSON.stringify(killed)}; ${unseen.length} of ${errors.length} errors for requests that no server saw`).toEqual([]);
    // Nothing was done twice that must not be.
    const counts = new Map<string, number>();
    for (const { tag } of journal) if (tag !== undefined) counts.set(tag, (counts.get(tag) ?? 0) + 1);
    if (name === 'load') expect([...counts].filter(([, count]) => count > 1)).toEqual([]);
    // Every session that was opened was the session of one client; the one that its client never met died with its process.
    const met = new Set(witnesses.flatMap(({ sessions }) => sessions.map(({ id }) => id)));
    const opened = journal.filter(({ event, session }) => event === 'opened' && session !== undefined);
    const used = new Set(journal.filter(({ method }) => method === 'tools/call').map(({ session }) => session));
    const orphans = opened.filter(
      ({ session, pid }) => !met.has(session as string) && !used.has(session) && killed.every((kill) => kill.pid !== pid),
    );
    expect(orphans).toEqual([]);
    await Promise.all(witnesses.map(({ sdk }) => sdk.close()));
  },
);
