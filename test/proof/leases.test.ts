// `limits.concurrentRequests` through the real gateway with two sidecars: however a request ends, its place is free again.

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { openSession, post, type Session } from '../harness/mcp-http.ts';
import { killAndWait } from '../harness/processes.ts';
import { backend, serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';
import { tenant } from '../harness/tenant.ts';
import { useOf } from '../harness/tenant-use.ts';
import { waitFor } from '../harness/wait-for.ts';
import { CASE_HEADER, type RawUpstream, startRawUpstream } from '../servers/raw-upstream.ts';

const PLACES = 12;
const START_TIMEOUT_MS = 60_000;
/** In which all places must be free again. */
const SOON_MS = 1_000;
const BUSY = 'Too many requests are under way. Try again shortly.';

const scratch = createScratch();
let issuer: TestIssuer;
let upstream: RawUpstream;
let dying: RawUpstream;
let gateway: Gateway;
let session: Session;

const as = (group: string) => ({ headers: issuer.bearer(`ann-${group}`, { groups: [group] }) });
const underWay = async (name: string) => (await useOf(gateway, name)).concurrentRequests;
const callOf = (tool = 'any', args: object = {}) => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: tool, arguments: args },
});

beforeAll(async () => {
  issuer = await startIssuer();
  upstream = await startRawUpstream();
  dying = await startRawUpstream();
  const access = { tenants: ['*'] };
  const raw = (name: string, { url }: RawUpstream, more: object = {}) =>
    backend(name, { url, access, healthCheck: { path: '/healthz' }, scaling: { startTimeout: '1s' }, ...more });
  const limited = (name: string, concurrentRequests: number, more: object = {}) =>
    tenant(name, { match: [{ issuer: issuer.issuer, claim: 'groups', values: [name] }], limits: { concurrentRequests }, ...more });
  gateway = await startGateway({
    env: issuer.env,
    workers: 2,
    resources: [
      limited('endings', PLACES, { tools: { deny: ['hidden'] } }),
      limited('streams', 2),
      limited('moved', 1),
      limited('spent', PLACES, { quotas: [{ requests: 0, per: '1d' }] }),
      raw('raw', upstream),
      raw('dying', dying),
      serverBackend('counter', 'counter-server', { access, replicas: 2, env: { COUNTER_JOURNAL: scratch.journalPath('counter') } }),
      serverBackend('never', 'counter-server', { access, env: { COUNTER_START_DELAY_MS: '3600000' }, scaling: { startTimeout: '2s' } }),
    ],
  });
  for (const name of ['raw', 'dying', 'counter']) {
    await waitFor(`${name} to be up`, () => openSession(gateway.backendUrl(name), as('endings')), { timeoutMs: START_TIMEOUT_MS });
  }
  session = await openSession(gateway.backendUrl('raw'), as('endings'));
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
  await dying?.stop();
  await issuer?.stop();
  scratch.remove();
});

interface Ask {
  readonly case?: string;
  readonly url?: string;
  readonly message?: object;
  readonly signal?: AbortSignal;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A call with its head only: what becomes of the rest is the test's business. */
function ask({ url = session.url, message = callOf(), signal, headers = session.headers, ...more }: Ask): Promise<Response> {
  return fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...headers,
      ...(more.case !== undefined && { [CASE_HEADER]: more.case }),
    },
    body: JSON.stringify(message),
    ...(signal && { signal }),
  });
}

const asked = (name: string) => upstream.requests.filter((request) => request.case === name).length;
const many = (each: (index: number) => Promise<unknown>) => Promise.all(Array.from({ length: PLACES }, (_, index) => each(index)));

/** The places are counted as free, and as many requests as there are places really get in together, and not one more. */
async function allFree(): Promise<void> {
  await waitFor('all places to be free', async () => (await underWay('endings')) === 0, { timeoutMs: SOON_MS });
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  upstream.on('hold', async (res) => {
    await opened;
    res.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":1,"result":{"content":[]}}');
  });
  const before = asked('hold');
  const answers = Array.from({ length: PLACES }, async () => (await ask({ case: 'hold' })).text());
  await waitFor('all places to be taken', () => asked('hold') === before + PLACES);
  expect(await underWay('endings')).toBe(PLACES);
  expect(await (await ask({ case: 'hold' })).text()).toContain(BUSY);
  open();
  for (const text of await Promise.all(answers)) expect(text).toContain('"content":[]');
  await waitFor('all places to be free again', async () => (await underWay('endings')) === 0, { timeoutMs: SOON_MS });
}

const event = (data: string) => `event: message\ndata: ${data}\n\n`;
const answerStream = { 'content-type': 'text/event-stream' };

/** Ends all requests of one kind. The places are held at the same time where the kind allows it. */
const endings: readonly (readonly [name: string, end: () => Promise<unknown>])[] = [
  [
    'an answer',
    () => {
      upstream.on(
        'json',
        (res) => void res.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":1,"result":{}}'),
      );
      return many(async () => expect(await (await ask({ case: 'json' })).text()).toContain('result'));
    },
  ],
  [
    'an event stream to its end',
    () => {
      upstream.on('stream', async (res) => {
        res.writeHead(200, answerStream);
        for (let index = 0; index < 3; index += 1) {
          res.write(event(`{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":${index}}}`));
          await delay(10);
        }
        res.end(event('{"jsonrpc":"2.0","id":1,"result":{}}'));
      });
      return many(async () => expect(await (await ask({ case: 'stream' })).text()).toContain('"result"'));
    },
  ],
  [
    'a client that leaves an event stream',
    () => {
      upstream.on(
        'endless',
        (res) => void res.writeHead(200, answerStream).write(event('{"jsonrpc":"2.0","method":"notifications/message"}')),
      );
      return many(async () => {
        const gone = new AbortController();
        const response = await ask({ case: 'endless', signal: gone.signal });
        await response.body?.getReader().read();
        gone.abort();
      });
    },
  ],
  [
    'a client that leaves before there is an answer',
    async () => {
      upstream.on('silent', () => {});
      const gone = new AbortController();
      const before = asked('silent');
      const waiting = many(() => ask({ case: 'silent', signal: gone.signal }).catch(() => 'gone'));
      await waitFor('the server to be asked', () => asked('silent') === before + PLACES);
      expect(await underWay('endings')).toBe(PLACES);
      gone.abort();
      expect(await waiting).toEqual(Array(PLACES).fill('gone'));
    },
  ],
  [
    'a server that breaks the connection instead of answering',
    () => {
      upstream.on('reset', (res) => void res.destroy());
      return many(async () => expect((await ask({ case: 'reset' })).status).toBe(503));
    },
  ],
  [
    'a server that breaks the connection in the middle of the stream',
    () => {
      upstream.on('half', async (res) => {
        res.writeHead(200, answerStream).write(event('{"jsonrpc":"2.0","method":"notifications/message"}'));
        await delay(20);
        res.destroy();
      });
      return many(async () => expect(await (await ask({ case: 'half' })).text().catch(() => 'cut')).toBe('cut'));
    },
  ],
  [
    'time that is up: no instance became ready',
    () =>
      many(async () =>
        expect((await post(gateway.backendUrl('never'), { ...callOf(), method: 'initialize' }, as('endings').headers)).status).toBe(503),
      ),
  ],
  [
    'a client that leaves while it waits for an instance',
    async () => {
      const gone = new AbortController();
      const url = gateway.backendUrl('never');
      const waiting = many(() => ask({ url, headers: as('endings').headers, signal: gone.signal }).catch(() => 'gone'));
      await waitFor('all to wait', async () => (await underWay('endings')) === PLACES);
      gone.abort();
      await waiting;
    },
  ],
  [
    'a refusal by a rule, and one by the limit itself',
    async () => {
      await many(async () => expect(await (await ask({ message: callOf('hidden') })).text()).toContain('Unknown tool'));
      const all = await Promise.all(Array.from({ length: 4 * PLACES }, () => ask({ case: 'json' })));
      expect(all.map(({ status }) => status)).toEqual(Array(4 * PLACES).fill(200));
    },
  ],
  [
    'a list that the gateway filters',
    () => {
      upstream.on(
        'list',
        (res) => void res.writeHead(200, { 'content-type': 'application/json' }).end('{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}'),
      );
      return many(async () =>
        expect((await ask({ case: 'list', message: { jsonrpc: '2.0', id: 1, method: 'tools/list' } })).status).toBe(200),
      );
    },
  ],
  [
    'a server that is dead',
    async () => {
      const lost = await openSession(gateway.backendUrl('dying'), as('endings'));
      await dying.stop();
      await many(async () => expect(await (await ask({ url: lost.url, headers: lost.headers })).text()).toContain('Try again shortly.'));
      // An end is heard of a moment after its answer.
      await waitFor('the places to be free', async () => (await underWay('endings')) === 0);
      await many(async () => expect((await post(lost.url, { ...callOf(), method: 'initialize' }, as('endings').headers)).status).toBe(503));
    },
  ],
];

describe('a place among the requests under way is free again after', () => {
  test.each(endings)('%s', async (_, end) => {
    await end();
    await allFree();
  });
});

test('who is over a quota takes no place', async () => {
  const answers = await Promise.all(
    Array.from({ length: 2 * PLACES }, () => post(gateway.backendUrl('counter'), callOf(), as('spent').headers)),
  );
  for (const { text } of answers) expect(text).toContain('The quota is used up');
  expect(await underWay('spent')).toBe(0);
});

test('listening streams take no place', async () => {
  const sessions: Session[] = [];
  const allEnded = () => waitFor('no request under way', async () => (await underWay('streams')) === 0);
  for (let index = 0; index < 5; index += 1) {
    sessions.push(await openSession(gateway.backendUrl('counter'), as('streams')));
    await allEnded();
  }
  const gone = new AbortController();
  const streams = await Promise.all(sessions.map((one) => one.stream(gone.signal)));
  expect(streams.map(({ status }) => status)).toEqual(Array(5).fill(200));
  expect(await underWay('streams')).toBe(0);
  expect((await sessions[0]?.call('whoami'))?.calls).toBe(1);
  gone.abort();
});

test('a request that is recovered keeps its one place until it ends', async () => {
  const moved = await openSession(gateway.backendUrl('counter'), as('moved'));
  await waitFor('no request under way', async () => (await underWay('moved')) === 0);
  await killAndWait((await moved.call('whoami')).pid);
  await waitFor('no request under way', async () => (await underWay('moved')) === 0);
  const seen: (number | null)[] = [];
  let over = false;
  const call = moved.call('slow', { ms: 1_500, tag: 'moved' }).finally(() => {
    over = true;
  });
  await waitFor('it to be under way', async () => (await underWay('moved')) === 1);
  while (!over) seen.push(await underWay('moved'));
  expect((await call)['slept']).toBe(1_500);
  // The last look may have come after the end.
  expect(new Set(seen.slice(0, -1))).toEqual(new Set([1]));
  expect(scratch.journal('counter').filter(({ tag }) => tag === 'moved')).toHaveLength(1);
  await waitFor('the place to be free', async () => (await underWay('moved')) === 0, { timeoutMs: SOON_MS });
  expect((await moved.call('whoami')).calls).toBe(2);
});

test('no sidecar ever counted for itself', () => {
  expect(gateway.logs()).not.toContain('limits are counted locally');
});
