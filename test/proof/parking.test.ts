// A request for a server that is not up yet waits for it instead of failing.

import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession, post } from '../harness/mcp-http.ts';
import { serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';
import { waitFor } from '../harness/wait-for.ts';

const START_DELAY_MS = 4_000;
const scratch = createScratch();
let gateway: Gateway | undefined;

afterEach(async () => {
  const running = gateway;
  gateway = undefined;
  await running?.stop();
});
afterAll(() => scratch.remove());

const initialize = (id: number) => ({
  jsonrpc: '2.0',
  id,
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'parking', version: '1' } },
});

describe('parking', () => {
  test('requests sent while the server starts are answered when it is up', { timeout: 60_000 }, async () => {
    gateway = await startGateway({
      resources: [serverBackend('late', 'counter-server', { env: { COUNTER_START_DELAY_MS: String(START_DELAY_MS) } })],
    });
    const url = gateway.backendUrl('late');
    const startedAt = Date.now();
    const sessions = await Promise.all(Array.from({ length: 8 }, () => openSession(url)));
    expect(Date.now() - startedAt).toBeGreaterThan(500);
    for (const session of sessions) expect((await session.call('whoami')).calls).toBe(1);
  });

  test('at most 10 of one caller wait; the rest is told to come back', { timeout: 90_000 }, async () => {
    gateway = await startGateway({
      resources: [
        serverBackend('never', 'counter-server', { env: { COUNTER_START_DELAY_MS: '3600000' }, scaling: { startTimeout: '4s' } }),
      ],
    });
    const url = gateway.backendUrl('never');
    const startedAt = Date.now();
    const answers = await Promise.all(
      Array.from({ length: 16 }, async (_, id) => {
        const answer = await post(url, initialize(id));
        return {
          status: answer.status,
          id: answer.messages[0]?.id,
          expected: id,
          tookMs: Date.now() - startedAt,
          retry: answer.headers.get('retry-after'),
        };
      }),
    );
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 503));
    expect(answers.map(({ id }) => id)).toEqual(answers.map(({ expected }) => expected));
    expect(answers.every(({ retry }) => Number(retry) > 0)).toBe(true);
    expect(answers.filter(({ tookMs }) => tookMs < 2_500).length, JSON.stringify(answers)).toBe(6);
    expect(answers.filter(({ tookMs }) => tookMs >= 3_500).length).toBe(10);
  });

  test('a client that goes away frees its place at once', { timeout: 60_000 }, async () => {
    gateway = await startGateway({
      resources: [
        serverBackend('never', 'counter-server', { env: { COUNTER_START_DELAY_MS: '3600000' }, scaling: { startTimeout: '40s' } }),
      ],
    });
    const url = gateway.backendUrl('never');
    const send = (signal: AbortSignal) =>
      fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
        body: JSON.stringify(initialize(1)),
        signal,
      });
    const leaving = new AbortController();
    const waiting = Array.from({ length: 10 }, () => send(leaving.signal).catch(() => 'gone'));
    // The eleventh is refused as soon as ten wait.
    await waitFor('ten to wait', async () => (await send(AbortSignal.timeout(1_000)).catch(() => undefined))?.status === 503, {
      timeoutMs: 20_000,
    });
    leaving.abort();
    await Promise.all(waiting);
    await waitFor(
      'a free place',
      async () => {
        const answer = await send(AbortSignal.timeout(1_500)).catch((error: Error) => error.name);
        return answer === 'TimeoutError';
      },
      { timeoutMs: 20_000 },
    );
  });
});
