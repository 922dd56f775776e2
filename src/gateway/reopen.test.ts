// Opening a session again: what is sent to the new instance, in which order, and what counts as alive.

import { describe, expect, test } from 'vitest';
import { backendOf, instanceOf } from '../../test/fakes/backends.ts';
import { recordOf } from '../../test/fakes/sessions.ts';
import type { TenantId, UpstreamSessionId } from '../core/ids.ts';
import { createReopener } from './reopen.ts';
import { type UpstreamAnswer, type UpstreamRequest, UpstreamUnreachable } from './upstream.ts';

const target = {
  backend: backendOf(),
  instance: instanceOf('i2'),
  authority: 'localhost:8080',
  caller: { issuer: 'local', subject: 'ann', tenant: 'default' as TenantId, roles: [] },
};
const never = new AbortController().signal;
const id = 'up-1' as UpstreamSessionId;

interface Sent {
  readonly http: string;
  readonly method: string | undefined;
  readonly id: string | undefined;
  readonly params: unknown;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}
type Reply = Partial<UpstreamAnswer> | Error;

/** A server that answers `reply`, or an ordinary 200/202. */
function server(reply: (sent: Sent) => Reply | undefined) {
  const sent: Sent[] = [];
  const reopener = createReopener(async (request: UpstreamRequest) => {
    const text = request.body.toString();
    const message = (text === '' ? {} : JSON.parse(text)) as { method?: string; id?: string; params?: unknown };
    const one: Sent = {
      http: request.method,
      method: message.method,
      id: message.id,
      params: message.params,
      text,
      headers: request.headers,
    };
    sent.push(one);
    request.signal?.throwIfAborted();
    const answer = reply(one) ?? {};
    if (answer instanceof Error) throw answer;
    const result = one.method === 'initialize' ? { protocolVersion: '2025-06-18' } : {};
    const headers = one.method === 'initialize' ? { 'mcp-session-id': 'up-2' } : {};
    const body = Buffer.from(one.id === undefined ? '' : JSON.stringify({ jsonrpc: '2.0', id: one.id, result }));
    return { status: one.id === undefined ? 202 : 200, headers, body, ...answer };
  });
  return { reopener, sent };
}

describe('alive', () => {
  const aliveWith = (reply: Reply) => server(() => reply).reopener.alive(target, id, '2025-06-18');

  test.each([
    [404, false],
    [400, false],
    [200, true],
    [202, true],
    [401, true],
    [500, true],
    [503, true],
  ])('HTTP %i on a ping: %s', async (status, alive) => {
    expect(await aliveWith({ status })).toBe(alive);
  });

  test('only a refused connection is proof of the contrary', async () => {
    expect(await aliveWith(new UpstreamUnreachable('refused', 'x'))).toBe(false);
    expect(await aliveWith(new UpstreamUnreachable('broken', 'x'))).toBe(true);
    expect(await aliveWith(new Error('bug'))).toBe(true);
  });

  test('it asks for the session by its own id, as the caller', async () => {
    const { reopener, sent } = server(() => undefined);
    await reopener.alive(target, id, '2025-06-18');
    expect(sent).toEqual([
      expect.objectContaining({
        method: 'ping',
        headers: expect.objectContaining({ 'mcp-session-id': 'up-1', 'mcp-protocol-version': '2025-06-18', 'x-mcp-subject': 'ann' }),
      }),
    ]);
  });
});

describe('reopening', () => {
  const record = recordOf({
    initialize: '{ "protocolVersion":"2025-06-18","big":9007199254740993 }',
    level: 'debug',
    subscriptions: ['file:///a', 'file:///b'],
  });

  test('repeats what the client said: its own params to the byte, initialized, level, subscriptions', async () => {
    const { reopener, sent } = server(() => undefined);
    expect(await reopener.reopen(target, record, never)).toEqual({ upstreamId: 'up-2', warnings: [] });
    expect(sent.map(({ method, params }) => [method, params])).toEqual([
      ['initialize', expect.anything()],
      ['notifications/initialized', undefined],
      ['logging/setLevel', { level: 'debug' }],
      ['resources/subscribe', { uri: 'file:///a' }],
      ['resources/subscribe', { uri: 'file:///b' }],
    ]);
    expect(sent[0]?.text).toContain(record.initialize);
    expect(sent[0]?.headers['mcp-session-id']).toBeUndefined();
    for (const later of sent.slice(1))
      expect(later.headers).toMatchObject({ 'mcp-session-id': 'up-2', 'mcp-protocol-version': '2025-06-18' });
    expect(new Set(sent.flatMap((one) => one.id ?? [])).size).toBe(4);
  });

  test('reads the answer from an event stream too', async () => {
    const { reopener } = server(({ method, id: asked }) =>
      method === 'initialize'
        ? {
            headers: { 'content-type': 'text/event-stream', 'mcp-session-id': 'up-9' },
            body: Buffer.from(
              `: hi\n\ndata: {"id":"other","result":{}}\n\ndata: {"id":"${asked}","result":{"protocolVersion":"2025-03-26"}}\n\n`,
            ),
          }
        : undefined,
    );
    expect((await reopener.reopen(target, recordOf(), never)).upstreamId).toBe('up-9');
  });

  test.each<[string, Reply]>([
    ['HTTP 500', { status: 500 }],
    ['an error', { body: Buffer.from('{"id":"x","error":{}}') }],
    ['no JSON', { body: Buffer.from('<html>') }],
  ])('an initialize that is answered with %s is a failure', async (_, reply) => {
    const { reopener, sent } = server(() => reply);
    await expect(reopener.reopen(target, record, never)).rejects.toThrow('initialize was answered with');
    expect(sent).toHaveLength(1);
  });

  test('a session whose `initialized` is refused is not left behind', async () => {
    const { reopener, sent } = server(({ method }) => (method === 'notifications/initialized' ? { status: 400 } : undefined));
    await expect(reopener.reopen(target, record, never)).rejects.toThrow('HTTP 400');
    expect(sent.at(-1)).toMatchObject({ http: 'DELETE', headers: { 'mcp-session-id': 'up-2' } });
  });

  const givingId = (sessionId: string | string[]) => {
    const given = server(({ method }) => (method === 'initialize' ? { headers: { 'mcp-session-id': sessionId } } : undefined));
    return { ...given, outcome: given.reopener.reopen(target, record, never) };
  };

  test.each<[string, string | string[], string]>([
    ['with a space', 'up 2', 'not visible ASCII'],
    ['with a line break', 'up-2\nx', 'not visible ASCII'],
    ['with other bytes than ASCII', 'up-\u00e4', 'not visible ASCII'],
    ['of two', ['up-2', 'up-3'], 'not visible ASCII'],
    ['of 2,049 characters', 'x'.repeat(2_049), '2049 characters'],
  ])('a session with an id that is no good (%s) is a failure, and not left behind', async (_, sessionId, why) => {
    const { sent, outcome } = givingId(sessionId);
    await expect(outcome).rejects.toThrow(why);
    expect(sent.map(({ http, method }) => method ?? http)).toEqual(['initialize', 'DELETE']);
  });

  test('an id of 2,048 characters is good', async () => {
    expect((await givingId('~'.repeat(2_048)).outcome).upstreamId).toHaveLength(2_048);
  });

  test.each<[string, Record<string, string>]>([
    ['without an id', {}],
    ['with an empty one', { 'mcp-session-id': '' }],
  ])('a server that answers %s keeps no session: nothing that follows carries one', async (_, headers) => {
    const { reopener, sent } = server(({ method }) => (method === 'initialize' ? { headers } : undefined));
    expect(await reopener.reopen(target, record, never)).toEqual({ upstreamId: '', warnings: [] });
    await reopener.alive(target, '' as UpstreamSessionId, '2025-06-18');
    expect(sent).toHaveLength(6);
    for (const { headers: each } of sent) expect(each).not.toHaveProperty('mcp-session-id');
  });

  test('a level or subscription that is refused is a warning', async () => {
    const { reopener } = server(({ method }) => (method === 'logging/setLevel' ? { status: 404 } : undefined));
    expect((await reopener.reopen(target, record, never)).warnings).toEqual(['logging/setLevel was answered with HTTP 404']);
  });

  test('one that is not answered ends the repeating: the client waits', async () => {
    const { reopener, sent } = server(({ method }) =>
      method === 'logging/setLevel' ? new UpstreamUnreachable('broken', 'slow') : undefined,
    );
    const { warnings } = await reopener.reopen(target, record, never);
    expect(warnings).toHaveLength(1);
    expect(sent.at(-1)?.method).toBe('logging/setLevel');
  });

  test('ends with its signal', async () => {
    const { reopener } = server(() => undefined);
    await expect(reopener.reopen(target, record, AbortSignal.abort(new Error('deadline')))).rejects.toThrow('deadline');
  });
});

test('abandoning never fails, and leaves servers without sessions alone', async () => {
  const { reopener, sent } = server(() => new UpstreamUnreachable('broken', 'x'));
  await reopener.abandon(target, id);
  await reopener.abandon(target, '' as UpstreamSessionId);
  expect(sent.map(({ http }) => http)).toEqual(['DELETE']);
});
