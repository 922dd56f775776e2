// What tools say of themselves: believed only where the backend is trusted, read in the background, never waited for.

import { pino } from 'pino';
import { expect, test } from 'vitest';
import { backendOf, directoryOf, instanceOf } from '../../test/fakes/backends.ts';
import { requestOf } from '../../test/fakes/requests.ts';
import { eventually } from '../../test/harness/eventually.ts';
import type { UpstreamSessionId } from '../core/ids.ts';
import { readBody } from './body.ts';
import { type Caller, createLocalIdentify } from './caller.ts';
import type { Case } from './case.ts';
import { createToolHints } from './tool-hints.ts';
import type { UpstreamRequest } from './upstream.ts';

function caseOf(tool: string, trustToolHints = true): Case {
  const request = requestOf({ body: `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"${tool}"}}` });
  const shaped = { kind: 'shaped' as const, backend: backendOf({ trustToolHints }), query: '', modern: false };
  const asked = readBody(request, false);
  if (asked.kind !== 'asked') throw new Error('refused');
  const caller = createLocalIdentify()(request, shaped.backend, directoryOf().snapshot()) as Caller;
  return { request, shaped, backend: shaped.backend, caller, asked, admission: undefined };
}

const tool = (name: string, annotations?: object) => ({ name, ...(annotations ? { annotations } : {}) });
const PAGES = [
  { tools: [tool('read', { readOnlyHint: true }), tool('write'), tool('lies', { readOnlyHint: 'true' })], nextCursor: 'p2' },
  { tools: [tool('put', { idempotentHint: true }), tool('drop', { destructiveHint: true })] },
];

function world(fail = false) {
  const asked: UpstreamRequest[] = [];
  let now = 0;
  const hints = createToolHints(
    async (request) => {
      asked.push(request);
      if (fail) throw new Error('no');
      const { id, params } = JSON.parse(String(request.body)) as { id: string; params?: { cursor?: string } };
      const result = PAGES[params?.cursor === 'p2' ? 1 : 0];
      return {
        status: 200,
        headers: { 'content-type': 'application/json' },
        body: Buffer.from(JSON.stringify({ jsonrpc: '2.0', id, result })),
      };
    },
    pino({ level: 'silent' }),
    () => now,
  );
  const may = (name: string, trusted = true) => hints.replayable(caseOf(name, trusted), instanceOf('i1'), 'up-1' as UpstreamSessionId);
  return { asked, may, wait: (ms: number) => (now += ms) };
}

test('a tool is not repeatable until it is known to be', async () => {
  const { asked, may } = world();
  expect(may('read')).toBe(false);
  await eventually(() => expect(may('read')).toBe(true));
  expect(['read', 'put', 'write', 'lies', 'drop', 'unknown', 'constructor'].filter((name) => may(name))).toEqual(['read', 'put']);
  expect(asked).toHaveLength(2);
  expect(asked[0]?.headers['mcp-session-id']).toBe('up-1');
});

test('a backend that is not trusted is not even asked', () => {
  const { asked, may } = world();
  expect(may('read', false)).toBe(false);
  expect(asked).toEqual([]);
});

test('what is known is asked again after five minutes, and believed until then', async () => {
  const { asked, may, wait } = world();
  may('read');
  await eventually(() => expect(may('read')).toBe(true));
  wait(300_000);
  may('read');
  expect(asked).toHaveLength(2);
  wait(1);
  expect(may('read')).toBe(true);
  expect(asked).toHaveLength(3);
});

test('a server that does not say is not asked with every call', async () => {
  const { asked, may, wait } = world(true);
  for (let n = 0; n < 10; n += 1) {
    expect(may('read')).toBe(false);
    await new Promise(setImmediate);
  }
  expect(asked).toHaveLength(1);
  wait(30_001);
  may('read');
  expect(asked).toHaveLength(2);
});
