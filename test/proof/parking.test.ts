// A request for a server that is not up yet waits for it instead of failing.

import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession, post } from '../harness/mcp-http.ts';
import { killAndWait } from '../harness/processes.ts';
import { serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';
import { waitFor } from '../harness/wait-for.ts';

const START_DELAY_MS = 12_000;
/** Of one backend. */
const PLACES = 100;
/** Seconds, as docs/errors.md says for `too_many_waiting`. */
const TOO_MANY_RETRY_AFTER = '5';
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

  // One sidecar, because each counts for itself.
  const startWithout = (startTimeout: string) =>
    startGateway({
      workers: 1,
      resources: [serverBackend('never', 'counter-server', { env: { COUNTER_START_DELAY_MS: '3600000' }, scaling: { startTimeout } })],
    });

  test(`at most ${PLACES} wait for one backend; the rest is told at once to come back`, { timeout: 90_000 }, async () => {
    gateway = await startWithout('8s');
    const url = gateway.backendUrl('never');
    const startedAt = Date.now();
    const answers = await Promise.all(
      Array.from({ length: PLACES + 10 }, async (_, id) => {
        const { status, messages, headers } = await post(url, initialize(id));
        return { status, ownId: messages[0]?.id === id, retry: Number(headers.get('retry-after')) > 0, tookMs: Date.now() - startedAt };
      }),
    );
    expect(answers.filter(({ status, ownId, retry }) => status !== 503 || !ownId || !retry)).toEqual([]);
    const waited = answers.filter(({ tookMs }) => tookMs > 7_500).length;
    expect([waited, answers.length - waited]).toEqual([PLACES, 10]);
  });

  test('a tool call that waits in vain is told so in band', { timeout: 60_000 }, async () => {
    gateway = await startGateway({ resources: [serverBackend('gone', 'counter-server')] });
    const url = gateway.backendUrl('gone');
    const session = await openSession(url);
    const { pid } = await session.call('whoami');
    // No process is wanted any more: the one that is there keeps its sessions for a while, and nothing follows it.
    gateway.writeResource(serverBackend('gone', 'counter-server', { scaling: { startTimeout: '2s' }, replicas: 0 }));
    await waitFor('no place for new sessions', async () => (await post(url, initialize(1))).status === 503, { timeoutMs: 30_000 });
    await killAndWait(pid);
    const call = { jsonrpc: '2.0', id: 'in vain', method: 'tools/call', params: { name: 'whoami', arguments: {} } };
    const answer = await session.send(call);
    expect([answer.status, answer.messages], answer.text).toMatchObject([
      200,
      [{ jsonrpc: '2.0', id: 'in vain', result: { isError: true, content: [{ type: 'text', text: expect.any(String) }] } }],
    ]);
  });

  test('a client that goes away frees its place at once', { timeout: 60_000 }, async () => {
    gateway = await startWithout('40s');
    const url = gateway.backendUrl('never');
    const send = (signal: AbortSignal) =>
      fetch(url, {
        method: 'POST',
        headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
        body: JSON.stringify(initialize(1)),
        signal,
      });
    const leaving = new AbortController();
    const waiting = Array.from({ length: PLACES }, () => send(leaving.signal).catch(() => 'gone' as const));
    // One more is refused as soon as so many wait; one that is not refused waits too.
    const oneMore = async (): Promise<boolean> => {
      const another = send(leaving.signal).catch(() => 'gone' as const);
      waiting.push(another);
      const answer = await Promise.race([another, delay(1_000, 'waits' as const)]);
      return answer instanceof Response && answer.headers.get('retry-after') === TOO_MANY_RETRY_AFTER;
    };
    await waitFor('all places to be taken', oneMore, { timeoutMs: 20_000 });
    leaving.abort();
    await Promise.all(waiting);
    const late = () => send(AbortSignal.timeout(1_000)).catch((error: Error) => error);
    await waitFor('a free place', async () => (await late()) instanceof Error, { timeoutMs: 20_000 });
  });
});
