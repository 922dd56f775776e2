// Issuers in trouble while requests go on: no wrong answer, nobody waits for long, nothing restarts, and what has changed is picked up.

import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AuthorizationServer, startAuthorizationServer } from '../auth/authorization-server.ts';
import { createTestKey, signToken, type TestKey } from '../fixtures/tokens/keys.ts';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { type HttpAnswer, post } from '../harness/mcp-http.ts';
import { backend } from '../harness/resource.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type RecordingUpstream, startRecordingUpstream } from '../servers/recording-upstream.ts';

/** Of the gateway: one attempt to read keys. */
const FETCH_TIMEOUT_MS = 5_000;
/** Of an answer that waits for no issuer, on a busy machine: less than that of one which does. */
const PROMPT_MS = 4_500;
/** The longest pause between two attempts to read keys, and some. */
const PICKED_UP_MS = 45_000;
const WORKERS = 2;
/** At once: so that each sidecar has its say. */
const OFTEN = 16;

const names = ['calm', 'error', 'garbage', 'never', 'kept', 'dropped', 'dark'] as const;
type Name = (typeof names)[number];

const issuers = {} as Record<Name, TestIssuer>;
let restarting: AuthorizationServer;
let attacker: TestKey;
let upstream: RecordingUpstream;
let gateway: Gateway;
let pids: readonly number[];
const stop = new AbortController();
let load: Promise<unknown>;
const loaded = { requests: 0, wrong: [] as string[], slowest: 0 };

interface Asked {
  readonly status: number;
  readonly ms: number;
  readonly answer: HttpAnswer;
}

async function ask(token: string): Promise<Asked> {
  const begun = performance.now();
  const answer = await post(gateway.backendUrl('x'), { jsonrpc: '2.0', id: 1, method: 'ping' }, { authorization: `Bearer ${token}` });
  return { status: answer.status, ms: performance.now() - begun, answer };
}

/** The statuses of the same question `OFTEN` times. @throws when one of the answers was not there in time. */
async function askOften(makeToken: () => string, withinMs = PROMPT_MS): Promise<string> {
  const all = await Promise.all(Array.from({ length: OFTEN }, () => ask(makeToken())));
  for (const { ms } of all) expect(ms).toBeLessThan(withinMs);
  return [...new Set(all.map(({ status }) => status))].join();
}

const another = (issuer: TestIssuer): string => issuer.token('ann', { jti: randomUUID() });
/** Signed by somebody else, under a key id that the issuer has. */
const forged = ({ issuer }: TestIssuer): string => {
  const exp = Math.floor(Date.now() / 1000) + 300;
  return signToken(attacker, { iss: issuer, sub: 'ann', aud: 'mcp', exp, jti: randomUUID() });
};

/** Requests of an issuer with which nothing is wrong, good ones and bad ones, until the end. */
async function keepAsking(issuer: TestIssuer): Promise<void> {
  const cached = issuer.token('ann');
  const kinds: readonly (readonly [string, () => string, number])[] = [
    ['known', () => cached, 200],
    ['new', () => another(issuer), 200],
    ['forged', () => forged(issuer), 401],
    ['expired', () => issuer.token('ann', { exp: 1, jti: randomUUID() }), 401],
  ];
  for (let n = 0; !stop.signal.aborted; n += 1) {
    const [kind, makeToken, expected] = kinds[n % kinds.length] as (typeof kinds)[number];
    const { status, ms } = await ask(makeToken());
    loaded.requests += 1;
    loaded.slowest = Math.max(loaded.slowest, ms);
    if (status !== expected) loaded.wrong.push(`${kind}: ${status}`);
    await delay(5);
  }
}

beforeAll(async () => {
  attacker = await createTestKey('ES256', 'key-1');
  const started = await Promise.all(names.map(() => startIssuer()));
  for (const [at, name] of names.entries()) issuers[name] = started[at] as TestIssuer;
  [restarting, upstream] = await Promise.all([startAuthorizationServer(), startRecordingUpstream()]);
  issuers.dark.answer('never');
  const audiences = ['mcp'];
  const specs = [...started.map(({ issuer }) => ({ issuer, audiences })), { issuer: restarting.issuer, audiences }];
  gateway = await startGateway({
    workers: WORKERS,
    env: { MCP_GATEWAY_ISSUERS: JSON.stringify(specs) },
    resources: [backend('x', { url: upstream.url('x'), access: { tenants: ['*'] } })],
  });
  await waitFor('the backend', async () => (await ask(issuers.calm.token('ann'))).status === 200, { timeoutMs: 30_000 });
  pids = [gateway.envoyPid(), ...gateway.sidecarPids()];
  load = Promise.all([keepAsking(issuers.calm), keepAsking(issuers.calm)]);
});

afterAll(async () => {
  stop.abort();
  await load?.catch(() => {});
  await gateway?.stop();
  await Promise.all([...Object.values(issuers).map((issuer) => issuer.stop()), restarting?.stop(), upstream?.stop()]);
});

/** Of tokens for which the gateway may ask the issuer first. */
const WAITING_MS = FETCH_TIMEOUT_MS + PROMPT_MS;

describe.concurrent('while keys cannot be read', () => {
  test.each(['error', 'garbage', 'never'] as const)('(%s) known ones hold, and tokens with others get 503, not 401', async (name) => {
    const issuer = issuers[name];
    const cached = issuer.token('ann');
    const unseen = Array.from({ length: OFTEN }, () => another(issuer));
    expect(await askOften(() => cached)).toBe('200');
    const before = issuer.asked();
    issuer.answer(name);
    await issuer.rotate('kept');

    const begun = performance.now();
    const unknown = askOften(() => another(issuer), WAITING_MS);
    // They may wait for the issuer; all others do not.
    expect(await askOften(() => cached)).toBe('200');
    expect(await askOften(() => unseen.pop() as string)).toBe('200');
    expect(await unknown).toBe('503');
    expect(await askOften(() => forged(issuer), WAITING_MS)).toBe('401');
    const { status, answer } = await ask(another(issuer));
    expect([status, answer.headers.get('retry-after'), answer.headers.get('www-authenticate')]).toEqual([503, '5', null]);
    expect(JSON.parse(answer.text)).toMatchObject({ id: null, error: { code: -32603 } });
    // Each sidecar asks at once, and then after pauses of 1 s, 2 s, 4 s and so on.
    const attempts = Math.ceil(Math.log2(2 + (performance.now() - begun) / 1000)) + 1;
    expect(issuer.asked() - before).toBeLessThanOrEqual(WORKERS * attempts);

    issuer.answer('ok');
    await waitFor('the new key', async () => (await askOften(() => another(issuer), WAITING_MS)) === '200', { timeoutMs: PICKED_UP_MS });
    expect(await askOften(() => cached)).toBe('200');
  });

  test('an issuer that was silent from the start: 503 for its own callers alone, until it answers', async () => {
    const { dark } = issuers;
    expect(await askOften(() => another(dark), WAITING_MS)).toBe('503');
    dark.answer('ok');
    await waitFor('its keys', async () => (await askOften(() => another(dark), WAITING_MS)) === '200', { timeoutMs: PICKED_UP_MS });
    expect(await askOften(() => forged(dark))).toBe('401');
  });

  test('an issuer that is gone: its tokens hold until it is back with other keys', async () => {
    const machine = { resource: gateway.backendUrl('x') };
    const [cached, unseen] = await Promise.all([restarting.token(machine), restarting.token(machine)]);
    expect(await askOften(() => cached)).toBe('200');
    await restarting.stop();
    expect(await askOften(() => cached)).toBe('200');
    expect(await askOften(() => unseen)).toBe('200');
    const unknown = signToken(attacker, { iss: restarting.issuer, sub: 'ann', aud: machine.resource, exp: Date.now() / 1000 + 300 });
    expect(await askOften(() => unknown, WAITING_MS)).toBe('503');

    restarting = await startAuthorizationServer({ port: Number(new URL(restarting.issuer).port) });
    const fresh = await restarting.token(machine);
    await waitFor('the new keys', async () => (await askOften(() => fresh, WAITING_MS)) === '200', { timeoutMs: PICKED_UP_MS });
    await waitFor('the end of the old ones', async () => (await askOften(() => cached, WAITING_MS)) === '401');
    expect(await askOften(() => unknown)).toBe('401');
  });
});

describe.concurrent('keys that change', () => {
  test('the old ones kept: old tokens and new ones are good at once', async () => {
    const { kept } = issuers;
    const cached = kept.token('ann');
    const unseen = another(kept);
    expect(await askOften(() => cached)).toBe('200');
    await kept.rotate('kept');
    expect(await askOften(() => another(kept))).toBe('200');
    expect(await askOften(() => cached)).toBe('200');
    expect(await askOften(() => unseen)).toBe('200');
  });

  test('the old ones withdrawn: old tokens are refused as soon as the new keys are known, also those in use', async () => {
    const { dropped } = issuers;
    const cached = dropped.token('ann');
    expect(await askOften(() => cached)).toBe('200');
    await dropped.rotate('dropped');
    await waitFor('the end of the old key', async () => {
      expect(await askOften(() => another(dropped))).toBe('200');
      return (await askOften(() => cached)) === '401';
    });
  });
});

test('all the while others were answered rightly and at once, and nothing was restarted', async () => {
  stop.abort();
  await load;
  expect(loaded.wrong).toEqual([]);
  expect(loaded.requests).toBeGreaterThan(100);
  expect(loaded.slowest).toBeLessThan(PROMPT_MS);
  expect([gateway.envoyPid(), ...gateway.sidecarPids()]).toEqual(pids);
  const metrics = await (await fetch(`${gateway.admin}/metrics`)).text();
  for (const name of ['error', 'garbage', 'never', 'dark'] as const) {
    expect(metrics).toContain(`mcp_issuer_fetches_total{issuer="${issuers[name].issuer}",outcome="failed"}`);
  }
});
