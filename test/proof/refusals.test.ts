// The matrix of refusals: for every reason and every request of both eras the exact status, headers and body, through the real gateway.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { reasons } from '../../src/core/reasons.ts';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { openSession, post, type Session } from '../harness/mcp-http.ts';
import { killAndWait } from '../harness/processes.ts';
import { type RawHeaders, sendRaw } from '../harness/raw-http.ts';
import { backend, serverBackend } from '../harness/resource.ts';
import { type ServerProcess, startServer } from '../harness/server-process.ts';
import { tenant } from '../harness/tenant.ts';
import { waitFor } from '../harness/wait-for.ts';
import { ELSEWHERE, type Expected, type Row, rows } from './refusals-expected.ts';
import { MESSAGES, type Message, wireRequest } from './refusals-requests.ts';

/** As a client may write them; above 2^53 numbers change in every parser. */
const IDS = ['9007199254740993', '"a \\"quoted\\" \\u0061"', '-0', '18446744073709551616', '1.50', '"Ünïcode – 文"', '""'];
const START_TIMEOUT_MS = 60_000;
const OWN_HEADERS = ['content-type', 'content-length', 'date'];

let issuer: TestIssuer;
let upstream: ServerProcess;
let gateway: Gateway;
/** Opened before their only instance went away. */
const lost: Session[] = [];

beforeAll(async () => {
  issuer = await startIssuer();
  upstream = await startServer('fixture-server');
  const match = (group: string) => [{ issuer: issuer.issuer, claim: 'groups', values: [group] }];
  const everyone = { tenants: ['*'] };
  const remote = (name: string, access: object) => backend(name, { url: upstream.url, access: { ...everyone, ...access } });
  const gone = (replicas: number) =>
    serverBackend('gone', 'counter-server', {
      access: everyone,
      replicas,
      // How long requests wait for an instance; also how long a process may take to become ready.
      ...(replicas === 0 && { scaling: { startTimeout: '1s' } }),
    });
  gateway = await startGateway({
    env: issuer.env,
    workers: 2,
    resources: [
      tenant('free', { match: match('free') }),
      tenant('policed', { match: match('policed'), tools: { deny: ['test_image_*'] } }),
      tenant('spent', { match: match('spent'), quotas: [{ requests: 0, per: '1h', countAll: true }] }),
      tenant('crowded', { match: match('crowded'), limits: { concurrentRequests: 0 } }),
      tenant('full', { match: match('full'), limits: { sessions: 0 } }),
      remote('main', {}),
      remote('scoped', { scopes: ['mcp:use', 'mcp:more'] }),
      remote('stepped', { toolScopes: { 'test_simple_*': ['mcp:tools'] } }),
      backend('closed', { url: upstream.url, access: { tenants: ['spent'] } }),
      gone(1),
    ],
  });
  const open = () => openSession(gateway.backendUrl('gone'), { headers: tokenOf('free') });
  await waitFor('the first instance', async () => lost.push(await open()), { timeoutMs: START_TIMEOUT_MS });
  for (let index = 0; index < MESSAGES.length; index += 1) lost.push(await open());
  gateway.writeResource(gone(0));
  // It is given time for what it has, which nobody waits for here; killed before the gateway has read the file it is started once more.
  await waitFor(
    'the instance to go',
    async () => {
      const running = gateway.pids().filter(({ command }) => command.includes('counter-server'));
      await Promise.all(running.map(({ pid }) => killAndWait(pid)));
      const asked = await post(gateway.backendUrl('gone'), { jsonrpc: '2.0', id: 1, method: 'ping' }, tokenOf('free'));
      return running.length === 0 && asked.status === 503;
    },
    { timeoutMs: START_TIMEOUT_MS },
  );
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
  await issuer?.stop();
});

function tokenOf(as: string, scope?: string, subject = 'ann'): Record<string, string> {
  if (as === 'none') return {};
  const exp = as === 'expired' ? { exp: Math.floor(Date.now() / 1000) - 600 } : {};
  return { ...issuer.bearer(subject, { groups: [as], ...(scope !== undefined && { scope }), ...exp }) };
}

/** A session of the caller where they may have one, made by a token that is good for it. */
async function sessionOf({ backend: name, session }: Row): Promise<string> {
  if (session === 'unknown') return 'bm8gc3VjaCBzZXNzaW9u';
  if (name === 'gone') return (lost.pop() as Session).id;
  // What may not be entered is asked for with a session of elsewhere: nothing is said about it there.
  const at = name === 'nowhere' || name === 'closed' ? 'main' : name;
  // A tenant over its limits opens none, so it is opened as someone of another tenant: sessions belong to the subject.
  const headers = tokenOf('free', 'mcp:use mcp:more', session === 'foreign' ? 'ben' : 'ann');
  const opened = await openSession(gateway.backendUrl(at), { headers });
  if (session === 'ended') expect(await opened.end()).toBe(200);
  return opened.id;
}

interface Sent {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** @param whole false for what may go on for ever: its answer is only looked at. */
async function send(row: Row, message: Message, id: string, whole: boolean): Promise<Sent> {
  const session = message.era === 'legacy' || row.session !== undefined ? await sessionOf(row) : undefined;
  const { method, headers, body } = wireRequest(message, { ...row, id, session });
  const own = Object.entries(row.headers ?? {});
  const taken = new Set(own.map(([name]) => name.toLowerCase()));
  const all: RawHeaders = [
    ...headers.filter(([name]) => !taken.has(name.toLowerCase())),
    ...own,
    ...Object.entries(tokenOf(row.as, row.scope)),
  ];
  const twisted = body === undefined ? undefined : (row.twist?.(body) ?? body);
  const response = await sendRaw({
    url: gateway.backendUrl(row.backend) + (row.query ?? ''),
    method,
    headers: all,
    ...(twisted !== undefined && { body: twisted }),
  });
  const text = whole ? (await response.body()).toString() : '';
  response.socket.destroy();
  const names = response.headers.map(([name]) => name.toLowerCase());
  for (const name of names) response.header(name);
  return { status: response.status, headers: new Map(response.headers.map(([name, value]) => [name.toLowerCase(), value])), body: text };
}

/** Exactly these headers, besides those of every answer. */
function expectHeaders({ status, headers }: Sent, more: Readonly<Record<string, string | RegExp>>): void {
  // Envoy takes every 400 that it sends itself for a broken message, and starts the connection anew.
  const wanted = status === 400 ? { ...more, connection: 'close' } : more;
  expect(headers.get('content-type')).toBe('application/json');
  // So it does when the answer overtakes a body that is too large.
  const overtaken = (name: string): boolean => status === 413 && name === 'connection';
  const others = [...headers].filter(([name]) => !OWN_HEADERS.includes(name) && !overtaken(name));
  expect(others.map(([name]) => name).sort()).toEqual(Object.keys(wanted).sort());
  for (const [name, value] of others) {
    const want = (wanted as typeof more)[name];
    if (typeof want === 'string') expect(value, name).toBe(want);
    else expect(value, name).toMatch(want as RegExp);
  }
}

function expectAnswer(sent: Sent, expected: Exclude<Expected, { kind: 'never' }>, { era }: Message, id: string): void {
  switch (expected.kind) {
    case 'passes':
      expect(sent.status, sent.body).toBe(expected.status);
      return;
    case 'error':
      expect(sent.body).toBe(`{"jsonrpc":"2.0","id":${expected.echo ? id : 'null'},"error":${JSON.stringify(expected.error)}}`);
      expect(sent.status).toBe(expected.status);
      expectHeaders(sent, expected.headers);
      return;
    case 'result': {
      const told = Number(/"mcpgateway\.dev\/retryAfterMs":([0-9]+)/.exec(sent.body)?.[1]);
      const result = {
        ...(era === 'modern' && { resultType: 'complete' }),
        content: [{ type: 'text', text: expected.text }],
        isError: true,
        _meta: { 'mcpgateway.dev/retryAfterMs': expected.retryAfterMs ?? told },
      };
      expect(sent.body).toBe(`{"jsonrpc":"2.0","id":${id},"result":${JSON.stringify(result)}}`);
      expect(told).toBeGreaterThan(0);
      expect(told).toBeLessThanOrEqual(3_600_000);
      expect(sent.status).toBe(200);
      expectHeaders(sent, expected.headers);
      return;
    }
    default:
      expected satisfies never;
  }
}

const table = rows('BASE');
const cases = table.flatMap((row, at) =>
  MESSAGES.map((message, index) => {
    const expected = row.expect(message);
    return { row, message, expected, id: IDS[(at + index) % IDS.length] as string, name: `${row.name} × ${message.era} ${message.kind}` };
  }),
);
describe('every refusal, for every request', () => {
  test.each(cases.filter(({ expected }) => expected.kind !== 'never'))('$name', async ({ row, message, id }) => {
    const real = rows(gateway.url).find(({ name }) => name === row.name) as Row;
    const expected = real.expect(message) as Exclude<Expected, { kind: 'never' }>;
    // Only ids that any server takes, where the request reaches one.
    const used = expected.kind === 'passes' ? '7' : id;
    const sent = await send(real, message, used, expected.kind !== 'passes' || message.kind !== 'GET');
    expectAnswer(sent, expected, message, used);
  });

  test('requests and reasons that never meet are listed with why', () => {
    const senseless = cases.flatMap(({ expected }) => (expected.kind === 'never' ? [expected.why] : []));
    expect([...new Set(senseless)]).toHaveLength(6);
    expect(senseless.length).toBeLessThan(cases.length / 4);
  });

  test('no reason is forgotten', () => {
    expect([...new Set(table.map(({ reason }) => reason)), ...Object.keys(ELSEWHERE)].sort()).toEqual(Object.keys(reasons).sort());
  });
});

describe('what clients rely on', () => {
  const refused = cases.filter(({ expected }) => expected.kind === 'error' || expected.kind === 'result');
  const AUTH = [401, 403];

  test('VS Code: no refusal of tools/call by policy, quota or for want of an instance has a status from 300 on that is not an auth status', () => {
    const capacity = ['tool_not_allowed', 'quota_exceeded', 'too_many_requests', 'no_instance', 'insufficient_scope'];
    for (const { row, message, expected, name } of refused) {
      if (message.kind !== 'tools/call' || !capacity.includes(row.reason)) continue;
      if (expected.kind === 'error' && !AUTH.includes(expected.status)) expect(expected.status, name).toBe(200);
    }
  });

  test('server/discover is answered with 4xx only where the request itself, or the caller, is wrong', () => {
    const statuses = refused
      .filter(({ message }) => message.kind === 'server/discover')
      .map(({ row, expected }) => [row.reason, expected.kind === 'error' ? expected.status : 200]);
    const capacity = statuses.filter(([reason]) => ['quota_exceeded', 'too_many_requests', 'no_instance'].includes(reason as string));
    expect(capacity).toEqual([
      ['quota_exceeded', 503],
      ['too_many_requests', 503],
      ['no_instance', 503],
    ]);
  });
});
