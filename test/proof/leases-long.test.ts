// Leases against the clock: a request that outlives their TTL keeps its own, and those that nobody gives back lapse.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LEASE_TTL_MS } from '../../src/quota/limits.ts';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession, post, type Session } from '../harness/mcp-http.ts';
import { backend } from '../harness/resource.ts';
import { tenant } from '../harness/tenant.ts';
import { useOf } from '../harness/tenant-use.ts';
import { waitFor } from '../harness/wait-for.ts';
import { CASE_HEADER, type RawUpstream, startRawUpstream } from '../servers/raw-upstream.ts';

const PLACES = 3;
const START_TIMEOUT_MS = 60_000;
/** Well beyond the TTL, and after Envoy's last report before it. */
const LONG_MS = LEASE_TTL_MS + 15_000;
const TEST_TIMEOUT_MS = LONG_MS + 60_000;

/** Two gateways, because one loses its sidecars. Without tokens there is one tenant. */
interface World {
  readonly gateway: Gateway;
  readonly upstream: RawUpstream;
  readonly session: Session;
}
const worlds: World[] = [];

async function startWorld(): Promise<World> {
  const upstream = await startRawUpstream();
  const gateway = await startGateway({
    workers: 2,
    resources: [
      tenant('default', { limits: { concurrentRequests: PLACES } }),
      backend('raw', { url: upstream.url, healthCheck: { path: '/healthz' } }),
    ],
  });
  const session = await waitFor('the server to be up', () => openSession(gateway.backendUrl('raw')), { timeoutMs: START_TIMEOUT_MS });
  const world = { gateway, upstream, session };
  await waitFor('no request under way', async () => (await underWay(world)) === 0);
  worlds.push(world);
  return world;
}

let patient: World;
let bereft: World;

beforeAll(async () => {
  [patient, bereft] = await Promise.all([startWorld(), startWorld()]);
});

afterAll(async () => {
  await Promise.all(
    worlds.map(async ({ gateway, upstream }) => {
      await gateway.stop();
      await upstream.stop();
    }),
  );
});

const underWay = async ({ gateway }: World) => (await useOf(gateway, 'default')).concurrentRequests;
const CALL = { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'any', arguments: {} } };
const call = ({ session }: World, as?: string) => session.send(CALL, as === undefined ? {} : { [CASE_HEADER]: as });

/** Answers that the test gives when it wants to. `stream`: their beginning comes at once. */
function held({ upstream }: World, name: string, stream: boolean): { asked(): number; answer(): void } {
  let answer = (): void => {};
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  upstream.on(name, async (res) => {
    res.writeHead(200, { 'content-type': stream ? 'text/event-stream' : 'application/json' });
    if (stream) res.write(': working\n\n');
    await answered;
    const text = '{"jsonrpc":"2.0","id":1,"result":{"content":[]}}';
    res.end(stream ? `data: ${text}\n\n` : text);
  });
  return { answer, asked: () => upstream.requests.filter((request) => request.case === name).length };
}

describe.concurrent('a lease', () => {
  test('is kept by a request that goes on for longer than it lasts, streaming or silent', { timeout: TEST_TIMEOUT_MS }, async () => {
    const [silent, streaming] = [held(patient, 'silent', false), held(patient, 'streaming', true)];
    const startedAt = Date.now();
    const { session } = patient;
    // Nothing is written in all this time, so the usual time-out of the test client would cut it off.
    const long = ['silent', 'streaming', 'streaming'].map((name) =>
      fetch(session.url, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept: 'application/json, text/event-stream',
          ...session.headers,
          [CASE_HEADER]: name,
        },
        body: JSON.stringify(CALL),
      }).then((response) => response.text()),
    );
    await waitFor('the three to be under way', () => silent.asked() + streaming.asked() === PLACES);
    const seen = new Set<number | null>();
    await waitFor('longer than a lease lasts', async () => seen.add(await underWay(patient)) && Date.now() - startedAt > LONG_MS, {
      timeoutMs: LONG_MS + 5_000,
    });
    expect([...seen]).toEqual([PLACES]);
    expect((await call(patient)).text).toContain('Too many requests are under way.');
    silent.answer();
    streaming.answer();
    for (const text of await Promise.all(long)) expect(text).toContain('"content":[]');
    await waitFor('the places to be free', async () => (await underWay(patient)) === 0, { timeoutMs: 1_000 });
    expect((await call(patient)).text).toContain('"result":{}');
  });

  test('survives a sidecar, and lapses when nobody is there to hear of its request’s end', { timeout: TEST_TIMEOUT_MS }, async () => {
    const { gateway } = bereft;
    // One dies: the others hear of the end.
    const first = held(bereft, 'first', false);
    const answers = Array.from({ length: PLACES }, () => call(bereft, 'first'));
    await waitFor('all to be under way', () => first.asked() === PLACES);
    const [one] = gateway.sidecarPids() as [number];
    process.kill(one, 'SIGKILL');
    expect(await underWay(bereft)).toBe(PLACES);
    // Envoy loses what it tells a sidecar in the milliseconds of its death.
    await waitFor('the sidecar to be back', () => gateway.sidecarPids().filter((pid) => pid !== one).length === 2);
    first.answer();
    for (const { text } of await Promise.all(answers)) expect(text).toContain('"content":[]');
    await waitFor('the places to be free', async () => (await underWay(bereft)) === 0, { timeoutMs: 1_000 });

    // All die: the requests end well all the same, but their places stay taken until they lapse.
    const second = held(bereft, 'second', true);
    const more = Array.from({ length: PLACES }, () => call(bereft, 'second'));
    await waitFor('all to be under way again', () => second.asked() === PLACES);
    const takenAt = Date.now();
    for (const pid of gateway.sidecarPids()) process.kill(pid, 'SIGKILL');
    second.answer();
    for (const { text } of await Promise.all(more)) expect(text).toContain('"content":[]');
    await waitFor(
      'sidecars',
      async () => (await post(bereft.session.url, { jsonrpc: '2.0', method: 'notifications/x' }, bereft.session.headers)).status === 202,
    );
    const left = await underWay(bereft);
    if (left === PLACES) expect((await call(bereft)).text).toContain('Too many requests are under way.');
    await waitFor('all places to lapse', async () => (await underWay(bereft)) === 0, { timeoutMs: LONG_MS });
    expect(Date.now() - takenAt).toBeLessThan(LEASE_TTL_MS + 5_000);
    expect(left).toBeGreaterThan(0);
    const third = held(bereft, 'third', false);
    const again = Array.from({ length: PLACES }, () => call(bereft, 'third'));
    await waitFor('as many as ever', () => third.asked() === PLACES);
    third.answer();
    for (const { text } of await Promise.all(again)) expect(text).toContain('"content":[]');
  });
});
