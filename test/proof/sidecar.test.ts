// The sidecar dies under load: clients get a clean 503 while it is gone, never an open door; a second one makes even that invisible.

import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { runLoad } from '../harness/load.ts';
import { openSession, type post, type Session } from '../harness/mcp-http.ts';
import { killAndWait } from '../harness/processes.ts';
import { backend, serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';
import { startServer } from '../harness/server-process.ts';
import { waitFor } from '../harness/wait-for.ts';

const IN_FLIGHT = 16;
const SESSIONS = 16;
const REQUESTS = 4_000;

const scratch = createScratch();
let gateway: Gateway | undefined;

afterEach(async () => {
  const running = gateway;
  gateway = undefined;
  await running?.stop();
});
afterAll(() => scratch.remove());

async function start(name: string, workers: number): Promise<{ running: Gateway; sessions: Session[] }> {
  const running = await startGateway({
    workers,
    resources: [
      serverBackend(name, 'counter-server', {
        env: { COUNTER_JOURNAL: scratch.journalPath(name), COUNTER_JSON: '1' },
        access: { tools: { allow: ['*'], deny: ['denied_tool'] } },
      }),
    ],
  });
  gateway = running;
  expect(running.sidecarPids()).toHaveLength(workers);
  const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => openSession(running.backendUrl(name))));
  return { running, sessions };
}

const call = (id: number, tool: string) => ({
  jsonrpc: '2.0',
  id,
  method: 'tools/call',
  params: { name: tool, arguments: { tag: `${tool} ${id}` } },
});
const outcome = (answer: Awaited<ReturnType<typeof post>>): string => {
  const [message] = answer.messages;
  if (answer.status === 200 && message?.result !== undefined) return 'result';
  if (answer.status === 200 && message?.error?.code === -32602) return 'denied';
  if (answer.status === 503 && message?.jsonrpc === '2.0' && message.error !== undefined) return 'unavailable';
  return `HTTP ${answer.status}: ${answer.text.slice(0, 300)}`;
};

describe('one sidecar, killed under load', () => {
  test('503 with a JSON-RPC body while it is gone; no policy is bypassed; then all is as before', { timeout: 240_000 }, async () => {
    const { running, sessions } = await start('one', 1);
    const counts = new Map<string, number>();
    let stopped = false;
    const work = Array.from({ length: IN_FLIGHT }, async (_, worker) => {
      for (let index = 0; !stopped; index += 1) {
        const id = worker * 1_000_000 + index;
        const tool = index % 4 === 0 ? 'denied_tool' : 'get';
        const answer = await (sessions[worker % SESSIONS] as Session).send(call(id, tool)).catch((error: Error) => error);
        const result = answer instanceof Error ? `no answer: ${answer.message}` : outcome(answer);
        counts.set(`${tool}: ${result}`, (counts.get(`${tool}: ${result}`) ?? 0) + 1);
        if (!(answer instanceof Error) && answer.status === 503) expect(answer.messages[0]?.id ?? id).toBe(id);
      }
    });
    const total = () => [...counts.values()].reduce((sum, count) => sum + count, 0);
    try {
      await waitFor('load', () => total() > 500);
      const [victim] = running.sidecarPids() as [number];
      process.kill(victim, 'SIGKILL');
      await waitFor('a request that meets the gap', () => [...counts.keys()].some((key) => key.endsWith('unavailable')), {
        timeoutMs: 30_000,
      });
      await waitFor('a new sidecar', () => running.sidecarPids().some((pid) => pid !== victim), { timeoutMs: 30_000 });
      const before = counts.get('get: result') ?? 0;
      await waitFor('work to go on', () => (counts.get('get: result') ?? 0) > before + 500, { timeoutMs: 30_000 });
    } finally {
      stopped = true;
      await Promise.all(work);
    }
    const allowed = new Set(['get: result', 'get: unavailable', 'denied_tool: denied', 'denied_tool: unavailable']);
    expect(
      [...counts].filter(([key]) => !allowed.has(key)),
      JSON.stringify([...counts]),
    ).toEqual([]);
    expect(scratch.journal('one').filter(({ tool }) => tool === 'denied_tool')).toEqual([]);
    // The sessions are those from before.
    for (const session of sessions) expect((await session.call('whoami')).calls).toBeGreaterThan(10);
  });
});

describe('two sidecars', () => {
  test.each([
    ['killed', 'SIGKILL', REQUESTS / 1_000],
    ['stopped gracefully', 'SIGTERM', 0],
  ] as const)(
    `one is %s (%s) under load of ${REQUESTS} requests: at most %d fail, and no session is lost`,
    { timeout: 240_000 },
    async (how, signal, mayFail) => {
      const name = how === 'killed' ? 'two' : 'graceful';
      const { running, sessions } = await start(name, 2);
      const upstreamIds = await Promise.all(sessions.map(async (session) => (await session.call('whoami')).session));
      const failures: string[] = [];
      let killed = false;
      await runLoad(REQUESTS, IN_FLIGHT, async (index) => {
        if (index > REQUESTS / 3 && !killed) {
          killed = true;
          process.kill(running.sidecarPids()[0] as number, signal);
        }
        const answer = await (sessions[index % SESSIONS] as Session).send(call(index, 'get')).catch((error: Error) => error);
        const result = answer instanceof Error ? `no answer: ${answer.message}` : outcome(answer);
        if (result !== 'result') failures.push(`${index} ${result}`);
      });
      expect(failures.length, failures.join('\n')).toBeLessThanOrEqual(mayFail);
      expect(await Promise.all(sessions.map(async (session) => (await session.call('whoami')).session))).toEqual(upstreamIds);
      await waitFor('two sidecars again', () => running.sidecarPids().length === 2, { timeoutMs: 30_000 });
    },
  );
});

test('a sidecar dies together with the server: another one recovers the sessions', { timeout: 240_000 }, async () => {
  // Nobody tells the gateway that a server elsewhere is gone: every session meets the refused connection.
  let server = await startServer('counter-server', { COUNTER_JSON: '1' });
  try {
    const running = await startGateway({ workers: 3, resources: [backend('far', { url: server.url })] });
    gateway = running;
    const sessions = await Promise.all(Array.from({ length: SESSIONS }, () => openSession(running.backendUrl('far'))));
    for (let round = 0; round < 3; round += 1) {
      await Promise.all([killAndWait(running.sidecarPids()[0] as number), killAndWait(server.pid)]);
      const answers = Promise.all(sessions.map((session, index) => session.send(call(round * SESSIONS + index, 'get'))));
      server = await startServer('counter-server', { COUNTER_JSON: '1', PORT: new URL(server.url).port });
      expect((await answers).map(outcome)).toEqual(sessions.map(() => 'result'));
      await waitFor('three sidecars again', () => running.sidecarPids().length === 3, { timeoutMs: 30_000 });
    }
  } finally {
    await server.stop();
  }
});
