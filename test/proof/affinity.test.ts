// Every session stays with its own process, whatever else goes on; work without sessions is spread evenly.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { runLoad } from '../harness/load.ts';
import { openSession, post, type Session, type ToolReport } from '../harness/mcp-http.ts';
import { killAndWait } from '../harness/processes.ts';
import { waitForReplicas } from '../harness/replicas.ts';
import { serverBackend } from '../harness/resource.ts';
import { waitFor } from '../harness/wait-for.ts';

const SESSIONS = 200;
const CALLS = 20_000;
const STATELESS_CALLS = 3_000;
const IN_FLIGHT = 32;
/** The upstream's own id, on a server that should not have one. */
const LEAKED_ID = 'an-id-that-nobody-must-see';

let gateway: Gateway;

beforeAll(async () => {
  gateway = await startGateway({
    workers: 2,
    resources: [
      serverBackend('stateful', 'counter-server', { replicas: 3, env: { COUNTER_JSON: '1' } }),
      serverBackend('stateless', 'stateless-server', { replicas: 3, affinity: 'none', env: { STATELESS_LEAKS_ID: LEAKED_ID } }),
    ],
  });
});

afterAll(() => gateway?.stop());

describe('affinity: session', () => {
  test(`${SESSIONS} sessions, ${CALLS} interleaved calls: each finds its own state in its own process`, { timeout: 600_000 }, async () => {
    await waitForReplicas(gateway.backendUrl('stateful'), 3);
    const sessions: { session: Session; pid: number; value: string; calls: number; upstream: string | null }[] = [];
    await runLoad(SESSIONS, IN_FLIGHT, async (index) => {
      const session = await openSession(gateway.backendUrl('stateful'));
      const { pid, session: upstream } = await session.call('put', { value: `state ${index}` });
      sessions.push({ session, pid, upstream, value: `state ${index}`, calls: 1 });
    });
    const pids = new Set(sessions.map(({ pid }) => pid));
    expect(pids.size, 'replicas in use').toBe(3);

    const violations: string[] = [];
    await runLoad(CALLS, IN_FLIGHT, async (index) => {
      // A step that is coprime to the number of sessions: neighbours in time are strangers, and all get the same number of calls.
      const own = sessions[(index * 73) % SESSIONS];
      if (own === undefined) throw new Error('no session');
      own.calls += 1;
      const report = await own.session.call('get');
      if (report.pid === own.pid && report['value'] === own.value && report.session === own.upstream) return;
      violations.push(`${own.value} of ${own.pid} got ${JSON.stringify(report)}`);
    });
    expect(violations).toEqual([]);
    for (const { session, calls } of sessions) expect((await session.call('get')).calls).toBe(calls + 1);
  });

  test('new sessions go to the replica with the fewest', async () => {
    const counts = new Map<number, number>();
    for (let index = 0; index < 30; index += 1) {
      const { pid } = await (await openSession(gateway.backendUrl('stateful'))).call('whoami');
      counts.set(pid, (counts.get(pid) ?? 0) + 1);
    }
    expect(counts.size).toBe(3);
  });
});

describe('affinity: none, two sidecars', () => {
  const call = (id: number) =>
    post(gateway.backendUrl('stateless'), { jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'whoami', arguments: {} } });
  const pidOf = (text: string): number => (JSON.parse(JSON.parse(text).result.content[0].text) as ToolReport).pid;

  test(`${STATELESS_CALLS} calls: each of three replicas gets a third, within 5 %`, { timeout: 120_000 }, async () => {
    const ready = new Set<number>();
    await waitFor('three replicas', async () => ready.add(pidOf((await call(0)).text)).size === 3, { timeoutMs: 60_000 });

    const counts = new Map<number, number>();
    await runLoad(STATELESS_CALLS, IN_FLIGHT, async (index) => {
      const answer = await call(index);
      expect(answer.status, answer.text).toBe(200);
      const pid = pidOf(answer.text);
      counts.set(pid, (counts.get(pid) ?? 0) + 1);
    });
    const third = STATELESS_CALLS / 3;
    for (const [pid, count] of counts) {
      expect(Math.abs(count - third), `process ${pid} got ${count} of ${STATELESS_CALLS}`).toBeLessThanOrEqual(third * 0.05);
    }
    expect(counts.size).toBe(3);
  });

  test('a session id from a stateless upstream does not reach the client', async () => {
    const answer = await call(1);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('mcp-session-id')).toBeNull();
    expect(JSON.stringify([...answer.headers])).not.toContain(LEAKED_ID);
  });

  test('a process that dies takes no request with it that comes later, stateless or initialize', { timeout: 60_000 }, async () => {
    for (const name of ['stateless', 'stateful']) {
      const victims = gateway.pids().filter(({ command }) => command.includes(name === 'stateful' ? 'counter-server' : 'stateless-server'));
      await killAndWait((victims[0] as { pid: number }).pid);
      const work = name === 'stateful' ? () => openSession(gateway.backendUrl(name)) : () => call(1);
      const outcomes = await Promise.all(Array.from({ length: 60 }, () => work().catch((error: Error) => error)));
      const failures = outcomes.filter((outcome) => outcome instanceof Error || ('status' in outcome && outcome.status !== 200));
      expect(failures, name).toEqual([]);
    }
  });
});
