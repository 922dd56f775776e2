// The secret of a server elsewhere: on every request to it, in place of the client's own, and always the latest one.

import { describe, expect, test } from 'vitest';
import { backendOf, instanceOf } from '../../test/fakes/backends.ts';
import { asForward, decisionWorld } from '../../test/fakes/decision.ts';
import { requestOf } from '../../test/fakes/requests.ts';
import { binding, sessionKey } from '../../test/fakes/sessions.ts';
import { openTicketA } from '../session/ticket.ts';

const ping = '{"jsonrpc":"2.0","id":1,"method":"ping"}';
const far = (header: string | undefined, value = 'Bearer one') =>
  backendOf({
    instances: [instanceOf('i1')],
    remote: { authority: 'far.example', tls: true, ...(header && { auth: { header, value } }) },
  });

async function send(world: ReturnType<typeof decisionWorld>, sessionId?: string) {
  return asForward(await world.authorize(requestOf({ body: ping, headers: sessionId === undefined ? {} : { sessionId } })));
}

describe.each([false, true])('with a session: %s', (inSession) => {
  const start = (header: string | undefined) => {
    const world = decisionWorld({ backends: [far(header)] });
    return { world, id: inSession ? world.sessionId() : undefined };
  };

  test.each(['authorization', 'cookie', 'x-api-key'])('%s is set, and not among what Envoy removes afterwards', async (header) => {
    const { world, id } = start(header);
    const { set, remove } = await send(world, id);
    expect(set.filter(([name]) => name === header)).toEqual([[header, 'Bearer one']]);
    expect(remove).not.toContain(header);
    expect(remove).toEqual(expect.arrayContaining(['authorization', 'cookie'].filter((name) => name !== header)));
    expect(remove.includes('mcp-session-id')).toBe(!inSession);
  });

  test('without a secret the client’s own are removed', async () => {
    const { world, id } = start(undefined);
    expect((await send(world, id)).remove).toEqual(expect.arrayContaining(['authorization', 'cookie']));
  });

  test('a changed secret, a changed header and none at all are noticed at once', async () => {
    const { world, id } = start('authorization');
    await send(world, id);
    const names = ['authorization', 'x-api-key'];
    for (const [header, value] of [
      ['authorization', 'Bearer two'],
      ['x-api-key', 'Bearer two'],
      [undefined, ''],
    ] as const) {
      world.directory.putBackend(far(header, value));
      const { set, remove } = await send(world, id);
      expect(set.filter(([name]) => names.includes(name))).toEqual(header === undefined ? [] : [[header, value]]);
      expect(remove.includes('authorization')).toBe(header !== 'authorization');
    }
  });
});

test('a session that was opened again on a server that keeps none: neither the client’s id nor an empty one goes there', async () => {
  const world = decisionWorld();
  await world.store.rebind(sessionKey('a'), 0, binding('i2', ''));
  const id = world.sessionId();
  const forwarded = await send(world, id);
  expect(forwarded.upstream).toBe('127.0.0.1:2');
  expect(forwarded.set.map(([name]) => name)).not.toContain('mcp-session-id');
  expect(forwarded.remove).toContain('mcp-session-id');
  expect(forwarded.sessionId).toBe(id);
});

test('a directory that says the same again changes nothing: the codec knows the headers by their array', async () => {
  const world = decisionWorld({ backends: [far('authorization')] });
  const id = world.sessionId();
  const before = await send(world, id);
  world.directory.putBackend(far('authorization'));
  const after = await send(world, id);
  expect(after.set).toBe(before.set);
  expect(after.remove).toBe(before.remove);
});

test('the ticket says which header pass 1 has set, so that pass 2 can take it off', async () => {
  const world = decisionWorld({ backends: [far('x-api-key')] });
  const { set } = await send(world, world.sessionId());
  const ticket = set.find(([name]) => name === 'x-mcp-ticket')?.[1] ?? '';
  expect(openTicketA(world.sealer, ticket, 0)?.secretHeader).toBe('x-api-key');
});
