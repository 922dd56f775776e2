// Quotas through the real gateway with four sidecars: exact, charged once and only for what counts, and told on every answer.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { type HttpAnswer, openSession, type RpcAnswer, type Session } from '../harness/mcp-http.ts';
import { killAndWait } from '../harness/processes.ts';
import { serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';
import { tenant } from '../harness/tenant.ts';
import { useOf, writeTenant } from '../harness/tenant-use.ts';
import { waitFor } from '../harness/wait-for.ts';

const WORKERS = 4;
const START_TIMEOUT_MS = 60_000;
const QUOTA = 'The quota is used up for now. Try again later.';

const scratch = createScratch();
let issuer: TestIssuer;
let gateway: Gateway;

/** One tenant for each test, so that they can run side by side. Windows that do not end meanwhile, but for the last one. */
const QUOTAS = {
  exact: [{ requests: 37, per: '365d' }],
  several: [
    { requests: 60, per: '365d' },
    { requests: 20, per: '365d', scope: 'subject' },
    { requests: 30, per: '365d', tool: 'ec*' },
    { requests: 1, per: '365d', backend: 'elsewhere' },
  ],
  batches: [{ requests: 5, per: '365d' }],
  free: [{ requests: 3, per: '365d' }],
  all: [{ requests: 4, per: '365d', countAll: true }],
  changing: [{ requests: 1_000_000, per: '365d' }],
  recovered: [{ requests: 100, per: '365d', countAll: true }],
  counted: [
    { requests: 4, per: '365d' },
    { requests: 9, per: '30d', scope: 'subject' },
  ],
  short: [{ requests: 3, per: '10s' }],
} as const;
type Tenant = keyof typeof QUOTAS;

const specOf = (name: Tenant, quotas: readonly object[]) => ({
  match: [{ issuer: issuer.issuer, claim: 'groups', values: [name] }],
  quotas,
});
const open = (name: Tenant, { at = 'counter', subject = 'ann', protocolVersion = '2025-11-25' } = {}): Promise<Session> =>
  openSession(gateway.backendUrl(at), { headers: issuer.bearer(`${subject}-${name}`, { groups: [name] }), protocolVersion });
const used = async (name: Tenant) => (await useOf(gateway, name)).quotas;

beforeAll(async () => {
  issuer = await startIssuer();
  const access = { tenants: ['*'] };
  const counter = (name: string, more: object = {}) =>
    serverBackend(name, 'counter-server', { access, env: { COUNTER_JOURNAL: scratch.journalPath(name) }, ...more });
  gateway = await startGateway({
    env: issuer.env,
    workers: WORKERS,
    resources: [
      ...Object.entries(QUOTAS).map(([name, quotas]) => tenant(name, specOf(name as Tenant, quotas))),
      counter('counter'),
      counter('mortal', { replicas: 2 }),
    ],
  });
  for (const at of ['counter', 'mortal']) await waitFor(`${at} to be up`, () => open('exact', { at }), { timeoutMs: START_TIMEOUT_MS });
});

afterAll(async () => {
  await gateway?.stop();
  await issuer?.stop();
  scratch.remove();
});

let lastId = 0;
const message = (method: string, params: object = {}) => {
  lastId += 1;
  return { jsonrpc: '2.0', id: lastId, method, params };
};
const callOf = (tool = 'echo', tag = '') => message('tools/call', { name: tool, arguments: { payload: 'x', tag } });

/** The sentence that the model reads, or undefined when it was a real result. */
function refusalOf({ status, messages }: HttpAnswer): string | undefined {
  expect(status).toBe(200);
  const result = messages[0]?.result as { isError?: boolean; content: { text: string }[] } | undefined;
  expect(result).toBeDefined();
  return result?.isError === true ? result.content[0]?.text : undefined;
}

function pidIn(answer: RpcAnswer | undefined): number {
  const result = answer?.result as { content: { text: string }[] } | undefined;
  return (JSON.parse(result?.content[0]?.text ?? '{}') as { pid: number }).pid;
}

/** Sends calls, all at once. @returns how many were admitted; the others were refused for the quota. */
async function admittedOf(sessions: readonly Session[], count: number, tool = 'echo', tag = ''): Promise<number> {
  const answers = await Promise.all(
    Array.from({ length: count }, (_, index) => (sessions[index % sessions.length] as Session).send(callOf(tool, tag))),
  );
  const refusals = answers.map(refusalOf).filter((text) => text !== undefined);
  expect(new Set(refusals).size).toBeLessThanOrEqual(1);
  for (const text of refusals) expect(text).toBe(QUOTA);
  return count - refusals.length;
}

describe.concurrent('quotas', () => {
  test('exactly 37 of 120 concurrent calls, over four sidecars', async () => {
    const sessions = await Promise.all(Array.from({ length: 8 }, () => open('exact')));
    expect(await admittedOf(sessions, 120, 'echo', 'exact')).toBe(37);
    expect(await admittedOf(sessions, 20)).toBe(0);
    expect(await used('exact')).toEqual([37]);
    expect(scratch.journal('counter').filter(({ tag }) => tag === 'exact')).toHaveLength(37);
  });

  test('a request fits all of its quotas, or is charged nowhere', async () => {
    const [ann, ben] = [await open('several'), await open('several', { subject: 'ben' })];
    // Each caller has 20; what they are refused for must not come off the others' quotas.
    expect(await admittedOf([ann], 45)).toBe(20);
    expect(await used('several')).toEqual([20, null, 20, 0]);
    // 10 are left for the glob, which the other caller has not used up.
    expect(await admittedOf([ben], 45)).toBe(10);
    expect(await admittedOf([ben], 45, 'whoami')).toBe(10);
    expect(await used('several')).toEqual([40, null, 30, 0]);
  });

  test('a batch is charged by its calls, or refused as a whole', async () => {
    const session = await open('batches', { protocolVersion: '2025-03-26' });
    const batch = (calls: number) => [
      ...Array.from({ length: calls }, () => callOf('echo', 'batch')),
      message('ping'),
      { jsonrpc: '2.0', method: 'notifications/progress', params: { progressToken: 1, progress: 1 } },
    ];
    expect((await session.send(batch(3))).status).toBe(200);
    expect(await used('batches')).toEqual([3]);
    const refused = await session.send(batch(3));
    expect([refused.status, refused.messages[0]]).toEqual([429, { jsonrpc: '2.0', id: null, error: { code: -32000, message: QUOTA } }]);
    expect(await used('batches')).toEqual([3]);
    expect(scratch.journal('counter').filter(({ tag }) => tag === 'batch')).toHaveLength(3);
    expect((await session.send(batch(2))).status).toBe(200);
    expect(await admittedOf([session], 3)).toBe(0);
    // Without a call in it, a batch costs nothing.
    expect((await session.send(batch(0))).status).toBe(200);
  });

  test('only calls count, and with `countAll` only requests', async () => {
    const session = await open('free');
    const neither = async (one: Session): Promise<void> => {
      expect((await one.send({ jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'none' } })).status).toBe(202);
      expect((await one.send({ jsonrpc: '2.0', id: 'none', result: {} })).status).toBe(202);
      const gone = new AbortController();
      expect((await one.stream(gone.signal)).status).toBe(200);
      gone.abort();
    };
    for (const method of ['ping', 'tools/list', 'resources/list']) expect((await session.send(message(method))).status).toBe(200);
    await neither(session);
    expect(await used('free')).toEqual([0]);
    expect(await admittedOf([session], 5)).toBe(3);
    await neither(session);
    expect((await session.send(message('ping'))).status).toBe(200);

    // Its `initialize` is the first of the four.
    const counted = await open('all');
    await neither(counted);
    for (const method of ['ping', 'tools/list', 'resources/list']) expect((await counted.send(message(method))).status).toBe(200);
    expect((await counted.send(message('ping'))).status).toBe(429);
    await neither(counted);
    expect(await used('all')).toEqual([4]);
    expect([await counted.end(), await session.end()]).toEqual([200, 200]);
  });

  test('a changed limit is in force everywhere within a second, and goes on counting', async () => {
    const session = await open('changing');
    const policies = async (): Promise<Set<string | null>> => {
      const answers = await Promise.all(Array.from({ length: 8 * WORKERS }, () => session.send(callOf())));
      return new Set(answers.map(({ headers }) => headers.get('ratelimit-policy')));
    };
    expect(await policies()).toEqual(new Set(['"tenant-365d";q=1000000;w=31536000']));
    const took: number[] = [];
    for (const requests of [900_000, 20, 800_000]) {
      const changedAt = Date.now();
      writeTenant(gateway, 'changing', specOf('changing', [{ requests, per: '365d' }]));
      const wanted = JSON.stringify([`"tenant-365d";q=${requests};w=31536000`]);
      let askedAt = 0;
      await waitFor(`the limit ${requests} on every sidecar`, async () => {
        askedAt = Date.now();
        return JSON.stringify([...(await policies())]) === wanted;
      });
      took.push(askedAt - changedAt);
    }
    // 20 were used up long before.
    expect((await used('changing'))[0]).toBeGreaterThan(8 * WORKERS);
    expect(Math.min(...took)).toBeLessThan(1_000);
  });

  test('a request that is recovered is charged once', async () => {
    const session = await open('recovered', { at: 'mortal', protocolVersion: '2025-03-26' });
    const { pid } = await session.call('whoami');
    await killAndWait(pid);
    const before = (await used('recovered'))[0] as number;
    const { headers, messages } = await session.send(callOf('whoami'));
    const next = pidIn(messages[0]);
    expect(next).not.toBe(pid);
    expect(await used('recovered')).toEqual([before + 1]);
    expect(headers.get('ratelimit')).toMatch(new RegExp(`^"tenant-365d";r=${99 - before};t=\\d+$`));
    expect(headers.get('ratelimit-policy')).toBe('"tenant-365d";q=100;w=31536000');
    // What has no instance yet is sent to another one when the first refuses.
    await killAndWait(next);
    await open('recovered', { at: 'mortal' });
    expect(await used('recovered')).toEqual([before + 2]);
  });

  test('RateLimit counts down on every answer, refusals included', async () => {
    const session = await open('counted');
    const seen: unknown[] = [];
    for (let index = 0; index < 4; index += 1) {
      const { headers } = await session.send(callOf());
      expect(headers.get('ratelimit-policy')).toBe('"tenant-365d";q=4;w=31536000, "subject-30d";q=9;w=2592000');
      const said = /^"tenant-365d";r=(\d+);t=(\d+), "subject-30d";r=(\d+);t=(\d+)$/.exec(headers.get('ratelimit') ?? '');
      expect(Number(said?.[2])).toBeLessThanOrEqual(31_536_000);
      expect(Number(said?.[4])).toBeLessThanOrEqual(2_592_000);
      seen.push([Number(said?.[1]), Number(said?.[3])]);
    }
    expect(seen).toEqual([
      [3, 8],
      [2, 7],
      [1, 6],
      [0, 5],
    ]);
    for (let index = 0; index < 3; index += 1) {
      const { headers } = await session.send(callOf());
      // A sidecar that knows the window to be used up asks nobody, and says nothing of the others.
      expect(headers.get('ratelimit-policy')).toMatch(/^"tenant-365d";q=4;w=31536000(, "subject-30d";q=9;w=2592000)?$/);
      expect(headers.get('ratelimit')).toMatch(/^"tenant-365d";r=0;t=\d+(, "subject-30d";r=5;t=\d+)?$/);
    }
    expect((await session.send(message('ping'))).headers.get('ratelimit')).toBeNull();
  });

  test('a window ends when it was said to end, and the next one is whole', async () => {
    const session = await open('short');
    const untilRefused = async (): Promise<{ refusedFor: number; askedAt: number }> => {
      for (;;) {
        const askedAt = Date.now();
        const [answer] = (await session.send(callOf())).messages as [RpcAnswer];
        const { _meta } = answer.result as { _meta?: Record<string, number> };
        const retryAfterMs = _meta?.['mcpgateway.dev/retryAfterMs'];
        if (retryAfterMs !== undefined) return { refusedFor: retryAfterMs, askedAt };
      }
    };
    // It was judged some time after it was asked, and says how long from then on.
    const { refusedFor, askedAt } = await untilRefused();
    expect(refusedFor).toBeGreaterThan(0);
    expect(refusedFor).toBeLessThanOrEqual(10_000);
    await waitFor('the next window', async () => refusalOf(await session.send(callOf())) === undefined);
    expect(Date.now() - askedAt).toBeGreaterThanOrEqual(refusedFor - 50);
    expect(await admittedOf([session], 12)).toBe(2);
  });
});

test('no sidecar ever counted for itself', () => {
  expect(gateway.logs()).not.toContain('limits are counted locally');
});
