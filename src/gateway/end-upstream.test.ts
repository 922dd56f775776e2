// The gateway's own DELETE: whom it names, what it leaves alone, and which answers are worth a line.

import { describe, expect, test } from 'vitest';
import { backendOf, directoryOf } from '../../test/fakes/backends.ts';
import { binding, recordOf } from '../../test/fakes/sessions.ts';
import type { TenantId } from '../core/ids.ts';
import type { SessionRecord } from '../session/store.ts';
import { endUpstream } from './end-upstream.ts';
import { type UpstreamRequest, UpstreamUnreachable } from './upstream.ts';

async function end(over: Partial<SessionRecord> = {}, status = 200) {
  const called: UpstreamRequest[] = [];
  const said: object[] = [];
  await endUpstream(recordOf(over), {
    directory: directoryOf(backendOf()),
    call: async (request) => {
      called.push(request);
      return { status, headers: {}, body: Buffer.alloc(0) };
    },
    authority: () => 'localhost:8080',
    log: { info: (fields: object) => void said.push(fields) },
  });
  return { called, said };
}

test('it comes from the session’s caller: a server may let nobody else end it', async () => {
  const { called } = await end({ subject: 'ann', tenant: 'red' as TenantId });
  expect(called).toMatchObject([
    {
      method: 'DELETE',
      instance: { id: 'i1' },
      headers: { 'mcp-session-id': 'up-1', 'x-mcp-subject': 'ann', 'x-mcp-tenant': 'red', 'x-mcp-roles': '' },
    },
  ]);
});

test.each<[string, Partial<SessionRecord>]>([
  ['a session whose instance is gone', { binding: { generation: 1, ...binding('i9', 'up-1') } }],
  ['a session that its server does not keep', { binding: { generation: 1, ...binding('i1', '') } }],
])('%s needs no end', async (_, over) => {
  expect((await end(over)).called).toEqual([]);
});

describe('an answer', () => {
  test.each([200, 202, 204, 404, 405])('of %i is what is expected', async (status) => {
    expect((await end({}, status)).said).toEqual([]);
  });

  test.each([302, 400, 401, 403, 421, 500])('of %i is said: the server still has the session', async (status) => {
    expect((await end({}, status)).said).toEqual([{ backend: 'memory', instance: 'i1', status }]);
  });
});

test('a server that cannot be reached is told to whoever asked', async () => {
  const call = () => Promise.reject(new UpstreamUnreachable('refused', 'x'));
  const dependencies = { directory: directoryOf(backendOf()), call, authority: () => 'x', log: { info: () => {} } };
  await expect(endUpstream(recordOf(), dependencies)).rejects.toThrow(UpstreamUnreachable);
});
