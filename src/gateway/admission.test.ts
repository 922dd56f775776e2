// Limits around a decision: what a refusal looks like for each kind of request, and that nothing lent is kept without a request.

import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { backendOf } from '../../test/fakes/backends.ts';
import { quotaOf, tenantPolicyOf } from '../../test/fakes/callers.ts';
import { asForward, decisionWorld, rpcOf, summary } from '../../test/fakes/decision.ts';
import { notedLimits } from '../../test/fakes/limits.ts';
import { type RequestOptions, requestOf } from '../../test/fakes/requests.ts';
import type { SessionKey } from '../core/ids.ts';
import type { TenantPolicy } from '../directory/snapshot.ts';
import type { Claim, Verdict, WindowState } from '../quota/limits.ts';
import { createAdmissions } from './admission.ts';

const tenant = (over: Partial<Omit<TenantPolicy, 'name'>>) => [tenantPolicyOf({ name: 'default', ...over })];
const limited = tenant({ quotas: [quotaOf({ countAll: true })], limits: { sessions: 5, concurrentRequests: 5 } });
const body = (method: string, params?: object) => JSON.stringify({ jsonrpc: '2.0', id: 7, method, params });
const CALL = body('tools/call', { name: 'a' });
const INITIALIZE = body('initialize', { protocolVersion: '2025-06-18' });
const window: WindowState = { name: 'tenant-1m', limit: 10, windowMs: 60_000, remaining: 0, resetMs: 30_500 };
const refusedBy = (why: 'quota' | 'concurrency' | 'sessions'): Verdict => ({
  kind: 'refused',
  why,
  windows: [window],
  retryAfterMs: 30_500,
});

function world(verdict?: (claim: Claim) => Verdict | Promise<Verdict>, tenants = limited, backends = [backendOf()]) {
  const limits = notedLimits(verdict);
  const decisions = decisionWorld({ tenants, limits, backends });
  return { ...decisions, limits, decide: (request: RequestOptions) => decisions.authorize(requestOf(request)) };
}

describe('refused for a quota', () => {
  const { decide, sessionId } = world(() => refusedBy('quota'));
  const inSession = { sessionId: sessionId() };

  test('a call gets a result that a model can read, with HTTP 200', async () => {
    const decision = await decide({ body: CALL, headers: inSession });
    expect(summary(decision)).toBe('200 quota_exceeded');
    expect(rpcOf(decision)).toEqual({
      jsonrpc: '2.0',
      id: 7,
      result: {
        content: [{ type: 'text', text: expect.stringContaining('quota') }],
        isError: true,
        _meta: { 'mcpgateway.dev/retryAfterMs': 30_500 },
      },
    });
    expect(decision).toMatchObject({
      headers: expect.arrayContaining([
        ['ratelimit', '"tenant-1m";r=0;t=31'],
        ['ratelimit-policy', '"tenant-1m";q=10;w=60'],
      ]),
    });
  });

  test.each([
    ['another request', { body: body('resources/read', { uri: 'a:b' }), headers: inSession }, 429],
    ['initialize', { body: INITIALIZE }, 429],
    ['a batch', { body: `[${CALL}]`, headers: inSession }, 429],
    ['server/discover', { body: body('server/discover') }, 503],
  ])('%s gets an error with Retry-After', async (_, request, status) => {
    const decision = await decide(request);
    expect(summary(decision)).toBe(`${status} quota_exceeded`);
    expect(decision).toMatchObject({ headers: expect.arrayContaining([['retry-after', '31']]) });
  });

  test.each([
    ['a notification', { body: '{"jsonrpc":"2.0","method":"notifications/initialized"}', headers: inSession }],
    ['an answer', { body: '{"jsonrpc":"2.0","id":1,"result":{}}', headers: inSession }],
    ['GET', { method: 'GET', headers: inSession }],
    ['DELETE', { method: 'DELETE', headers: inSession }],
  ])('%s is never asked', async (_, request) => {
    expect(asForward(await decide(request)).way).toBe('session');
  });
});

test.each([
  ['concurrency', CALL, '200 too_many_requests'],
  ['concurrency', body('ping'), '429 too_many_requests'],
  ['sessions', INITIALIZE, '429 too_many_sessions'],
] as const)('refused for %s', async (why, request, expected) => {
  expect(summary(await world(() => refusedBy(why)).decide({ body: request }))).toBe(expected);
});

test.each([
  [CALL, '200 limits_unavailable'],
  [body('ping'), '503 limits_unavailable'],
])('when the counters cannot be reached and the tenant wants nobody in: %s', async (request, expected) => {
  const { decide, sessionId } = world(() => ({ kind: 'unavailable' }));
  expect(summary(await decide({ body: request, headers: { sessionId: sessionId() } }))).toBe(expected);
});

test('an admitted request says where its quotas stand, and holds its lease', async () => {
  const { decide, sessionId, limits } = world();
  const forward = asForward(await decide({ body: CALL, headers: { sessionId: sessionId() } }));
  expect(forward.rateLimit).toEqual([
    ['ratelimit-policy', '"tenant-1m";q=10;w=60'],
    ['ratelimit', '"tenant-1m";r=9;t=60'],
  ]);
  expect(forward.leased).toBe('default');
  expect(limits.told).toEqual([]);
});

test('initialize reserves a slot that goes with what it opens', async () => {
  const { decide } = world();
  expect(asForward(await decide({ id: 'r9', body: INITIALIZE })).opening).toMatchObject({ slot: 'r9', tenant: 'default' });
});

test('without limits no answer says anything of them, and a verdict at once is a decision at once', () => {
  const free = world(undefined, []);
  const forward = free.decide({ body: CALL, headers: { sessionId: free.sessionId() } });
  expect(forward).toMatchObject({ kind: 'forward', rateLimit: undefined, leased: undefined });
  expect(free.limits.claims).toEqual([]);
  expect(world().decide({ body: INITIALIZE })).not.toBeInstanceOf(Promise);
});

describe('what was lent is given back', () => {
  test('when no instance comes', async () => {
    const { decide, directory, limits } = world(async () => ({ kind: 'admitted', windows: [] }), limited, [backendOf({ instances: [] })]);
    const decision = decide({ body: INITIALIZE });
    for (const { name } of directory.snapshot().backends.values()) directory.removeBackend(name);
    expect(summary(await decision)).toBe('503 no_instance');
    expect(limits.told).toEqual(['release default r1', 'release slot default r1']);
  });

  test('when the client goes while the limits are asked', async () => {
    const abort = new AbortController();
    const { decide, limits } = world(async () => {
      abort.abort();
      return { kind: 'admitted', windows: [] };
    });
    expect(summary(await decide({ body: CALL, signal: abort.signal }))).toBe('499 client_gone');
    expect(limits.told).toEqual(['release default r1']);
  });

  test('when the decision fails', async () => {
    const { limits, authorize } = (() => {
      const noted = notedLimits();
      const broken = decisionWorld({
        tenants: limited,
        limits: noted,
        over: {
          balancer: {
            pick: () => {
              throw new Error('broken');
            },
            report() {},
            suspect() {},
          },
        },
      });
      return { limits: noted, authorize: broken.authorize };
    })();
    expect(summary(await authorize(requestOf({ body: INITIALIZE })))).toBe('500 internal_error');
    expect(limits.told).toEqual(['release default r1', 'release slot default r1']);
  });
});

describe('sessions in use', () => {
  beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'Date'] }));
  afterEach(() => void vi.useRealTimers());

  test('are reported together, once each, when what was said before is read', async () => {
    const limits = notedLimits();
    const admissions = createAdmissions(limits, { isOver: (session) => session === 'over' });
    const used = (key: string, sessions: number | undefined, { method = 'POST', idleTimeoutMs = 60_000 } = {}) =>
      admissions.sessionUsed(
        {
          caller: { policy: tenantPolicyOf({ limits: { sessions, concurrentRequests: undefined } }) },
          backend: { sessions: { idleTimeoutMs } },
          request: { method },
        } as never,
        key as SessionKey,
      );
    for (const key of ['a', 'b', 'over', 'a']) used(key, 5);
    used('leaving', 5, { method: 'DELETE' });
    used('idle again by then', 5, { idleTimeoutMs: 2_000 });
    used('free', undefined);
    expect(limits.kept).toEqual([]);
    vi.advanceTimersByTime(5_000);
    expect(limits.kept).toEqual([]);
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(limits.kept).toEqual([
      { tenant: 'red', session: 'a', idleMs: 55_000 },
      { tenant: 'red', session: 'b', idleMs: 55_000 },
    ]);
    used('c', 5);
    admissions.close();
    expect(limits.kept).toHaveLength(3);
    expect(vi.getTimerCount()).toBe(0);
  });
});
