// A session that nobody uses ends on its server; when its client comes back it goes on under the same id.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession } from '../harness/mcp-http.ts';
import { serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';
import { waitFor } from '../harness/wait-for.ts';

const scratch = createScratch();
let gateway: Gateway;

beforeAll(async () => {
  gateway = await startGateway({
    resources: [
      serverBackend('idle', 'counter-server', { env: { COUNTER_JOURNAL: scratch.journalPath('idle') }, sessions: { idleTimeout: '1s' } }),
    ],
  });
});

afterAll(async () => {
  await gateway?.stop();
  scratch.remove();
});

test('idle sessions end on the server and come back', { timeout: 90_000 }, async () => {
  const session = await openSession(gateway.backendUrl('idle'));
  const before = await session.call('put', { value: 'kept in memory' });
  await waitFor(
    'the server to be told',
    () => scratch.journal('idle').some(({ event, session: id }) => event === 'ended' && id === before.session),
    {
      timeoutMs: 60_000,
    },
  );
  const after = await session.call('get');
  expect(after.session).not.toBe(before.session);
  expect(after['value']).toBeNull();
  expect(scratch.journal('idle').filter(({ method }) => method === 'initialize')).toHaveLength(2);
});
