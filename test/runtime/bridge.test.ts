// The stdio bridge: one process per session, every byte as it was, and the reference server's answers.

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createBridgeWorld, messages } from './bridge-world.ts';
import { alive, until } from './world.ts';

let world: Awaited<ReturnType<typeof createBridgeWorld>>;
beforeEach(async () => {
  world = await createBridgeWorld();
});
afterEach(() => world.close());

const errorOf = ({ status, text }: { status: number; text: string }) => {
  const { id, error } = JSON.parse(text) as { id: unknown; error: { code: number; message: string } };
  return { status, id, code: error.code };
};

describe('a session', () => {
  it('is a process of its own, named by visible ASCII on every answer', async () => {
    const [one, two] = await Promise.all([world.session(), world.session()]);
    expect(one.id).toMatch(/^[\x21-\x7e]{20,}$/);
    expect(one.id).not.toBe(two.id);
    expect(one.pid).not.toBe(two.pid);
    const answer = await one.call('about');
    expect(answer.headers['mcp-session-id']).toBe(one.id);
    expect(answer.headers['content-type']).toBe('text/event-stream');
    expect(answer.text).toMatch(/^event: message\ndata: \{"jsonrpc"/);
    expect(answer.text).toContain(`"pid":${one.pid}`);
  });

  it('ends with DELETE, and its process with it', async () => {
    const { end, pid, call } = await world.session();
    expect((await end()).status).toBe(200);
    await until('the process gone', () => !alive(pid));
    expect(errorOf(await call('about', {}, 'x'))).toEqual({ status: 404, id: 'x', code: -32001 });
    expect((await end()).status).toBe(404);
  });

  it('whose process dies answers what is open with an error, and is unknown from then on', async () => {
    const { start, listen, call } = await world.session();
    const held = await start('hold', {}, 'held');
    const listening = await listen();
    const answer = await call('die', {}, 12);
    expect(JSON.parse(answer.data[0] as string)).toMatchObject({
      id: 12,
      error: { code: -32603, message: expect.stringContaining('exit code 9') as string },
    });
    await Promise.all([held.ended, listening.ended]);
    expect(held.data()[0]).toContain('"id":"held","error":{"code":-32603');
    expect(errorOf(await call('about'))).toEqual({ status: 404, id: 1, code: -32001 });
    expect((await world.session()).id).toBeTruthy();
  });

  it('is not made when the server refuses initialize, dies, or cannot be started', async () => {
    const refused = await world.post('{"jsonrpc":"2.0","id":7,"method":"initialize","params":{"refuse":true}}');
    expect(refused).toMatchObject({ status: 200, text: '{"jsonrpc":"2.0","id":7,"error":{"code":-32602,"message":"no"}}' });
    expect(refused.headers).not.toHaveProperty('mcp-session-id');
    for (const options of [{ args: ['--broken'] }, { command: '/nowhere/server' }]) {
      const other = await createBridgeWorld(options);
      const answer = await other.post('{"jsonrpc":"2.0","id":7,"method":"initialize","params":{}}');
      expect(errorOf(answer)).toEqual({ status: 500, id: 7, code: -32603 });
      expect(answer.headers).not.toHaveProperty('mcp-session-id');
      await other.close();
    }
  });

  it('whose initialize nobody waits for any more, or nobody answers, is ended', async () => {
    const impatient = await createBridgeWorld({ limits: { initializeMs: 1000 } });
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    const body = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"hang":true}}';
    const pidOf = (text: string): number => Number(/started (\d+)/.exec(text)?.[1] ?? 0);
    expect(errorOf(await impatient.post(body))).toEqual({ status: 500, id: 1, code: -32603 });
    // It may have been ended before it could say who it was. (0 would be this process' own group.)
    await until('no process', () => pidOf(impatient.stderr()) === 0 || !alive(pidOf(impatient.stderr())));
    await impatient.close();

    const leave = new AbortController();
    const left = fetch(`http://127.0.0.1:${world.bridge.port}/mcp`, { method: 'POST', headers, body, signal: leave.signal });
    const pid = await until('a process', () => pidOf(world.stderr()));
    leave.abort();
    await expect(left).rejects.toThrow('aborted');
    await until('no process', () => !alive(pid));
  });

  it('says on stderr which session a line is of, and does not stumble over noise on stdout', async () => {
    const noisy = await createBridgeWorld({ args: ['--noisy'] });
    const [one, two] = [await noisy.session(), await noisy.session()];
    await until(
      'both on stderr',
      () => noisy.stderr().includes(`[session 1] started ${one.pid}`) && noisy.stderr().includes(`[session 2] started ${two.pid}`),
    );
    expect(noisy.stderr()).not.toContain(one.id);
    await noisy.close();
  });
});

describe('a message', () => {
  it('reaches the server, and comes back, byte for byte', async () => {
    const { post } = await world.session();
    const sent =
      '{ "jsonrpc":"2.0",\t"id" : 9007199254740993, "method":"line","params":{"big":12345678901234567890123,"e":1.50E+2,"s":"\\u00e9é\\/","dup":1,"dup":2} }';
    const { data } = await post(sent);
    expect(data).toEqual([
      `{"jsonrpc":"2.0","id":9007199254740993,"result":{"line":${JSON.stringify(sent)},"number":12345678901234567890,"e":1.0e2}}`,
    ]);
  });

  it('that is spread over lines is put on one', async () => {
    const { post } = await world.session();
    const { data } = await post('{\r\n "jsonrpc": "2.0",\n "id": "a",\r "method": "line"\n}\n');
    expect(JSON.parse(data[0] as string)).toMatchObject({
      id: 'a',
      result: { line: '{   "jsonrpc": "2.0",  "id": "a",  "method": "line" }' },
    });
  });

  it('of several megabytes passes in both directions', async () => {
    const { call } = await world.session();
    const text = 'é'.repeat(2_500_000);
    const up = await call('line', { text });
    expect(up.text).toContain(text);
    const down = await call('big', { bytes: 5_000_000 });
    expect(down.data[0]).toHaveLength(5_000_000 + '{"jsonrpc":"2.0","id":1,"result":""}'.length);
  });

  it('is answered with 202 when it is a notification or an answer', async () => {
    const { post, call } = await world.session();
    expect(await post('{"jsonrpc":"2.0","method":"notifications/initialized"}')).toMatchObject({ status: 202, text: '' });
    expect(await post('{"jsonrpc":"2.0","id":1,"result":{}}')).toMatchObject({ status: 202, text: '' });
    expect((await call('about')).text).toContain('"received":4');
  });

  it('may be one of a batch, each of which is answered', async () => {
    const { post } = await world.session();
    const ping = (id: number) => `{"jsonrpc":"2.0","id":${id},"method":"ping"}`;
    const { status, data } = await post(`[${ping(1)}, {"jsonrpc":"2.0","method":"x"},\n${ping(2)}]`);
    expect(status).toBe(200);
    expect(data.map((text) => (JSON.parse(text) as { id: number }).id)).toEqual([1, 2]);
    expect((await post('[{"jsonrpc":"2.0","method":"x"}]')).status).toBe(202);
    expect(errorOf(await post(`[${Array.from({ length: 51 }, (_, at) => ping(at)).join()}]`))).toMatchObject({ status: 400, code: -32600 });
    expect(errorOf(await post(`[${ping(1)},${ping(1)}]`))).toMatchObject({ status: 400, code: -32600 });
  });
});

describe('what the server sends by itself', () => {
  it('comes before the answer on the stream of the only request', async () => {
    const { call, listen } = await world.session();
    const listening = await listen();
    const { data } = await call('progress', { _meta: { progressToken: 't' } });
    expect(data.map((text) => /"method":"([^"]+)"|"result"/.exec(text)?.[1] ?? 'result')).toEqual([
      'notifications/message',
      'notifications/progress',
      'result',
    ]);
    expect(listening.data()).toEqual([]);
    listening.leave();
  });

  it('goes by its progress token, or to the listening stream, when several requests are open', async () => {
    const { start, call, listen } = await world.session();
    const listening = await listen();
    const held = await start('hold', {}, 'held');
    const { data } = await call('progress', { _meta: { progressToken: 5 } }, 2);
    expect(data).toHaveLength(2);
    expect((await messages(listening, 1))[0]).toContain('notifications/message');
    expect(held.data()).toEqual([]);
    await call('release', {}, 3);
    await held.ended;
    expect(held.data()).toEqual(['{"jsonrpc":"2.0","id":"held","result":"released"}']);
    listening.leave();
  });

  it('may be a question, which the client answers with a POST of its own', async () => {
    const { start, post } = await world.session();
    const asked = await start('ask', {}, 4);
    expect(await messages(asked, 1)).toEqual(['{"jsonrpc":"2.0","id":"question","method":"roots/list"}']);
    expect((await post('{"jsonrpc":"2.0","id":"question","result":{"roots":[]}}')).status).toBe(202);
    await asked.ended;
    expect(asked.data()[1]).toBe('{"jsonrpc":"2.0","id":4,"result":{"answer":{"roots":[]}}}');
  });

  it('waits for a listening stream, the oldest being lost first', async () => {
    const small = await createBridgeWorld({ limits: { waitingMessages: 3 } });
    const { post, listen } = await small.session();
    await post('{"jsonrpc":"2.0","method":"notify","params":{"count":5}}');
    await until('the server to have spoken', () => small.stderr().includes('notified'));
    const listening = await listen();
    expect((await messages(listening, 3)).map((text) => /test:\/\/(\d)/.exec(text)?.[1])).toEqual(['3', '4', '5']);
    listening.leave();
    await small.close();
  });

  it('is heard on one listening stream at a time', async () => {
    const { listen } = await world.session();
    const first = await listen();
    expect(first).toMatchObject({ status: 200, headers: { 'content-type': 'text/event-stream' } });
    const second = await listen();
    await second.ended;
    expect(errorOf({ status: second.status, text: second.text() })).toEqual({ status: 409, id: null, code: -32000 });
    first.leave();
    await until('the place to be free', async () => {
      const third = await listen();
      third.leave();
      return third.status === 200;
    });
  });
});

describe('a client that leaves', () => {
  it('has not cancelled its request, and does not disturb the next', async () => {
    const { start, call } = await world.session();
    const held = await start('hold', {}, 'left');
    held.leave();
    await held.ended;
    expect((await call('release', {}, 2)).data).toEqual(['{"jsonrpc":"2.0","id":2,"result":"ok"}']);
    expect((await call('about', {}, 'left')).status).toBe(200);
  });

  it('can cancel by a notification, after which its stream ends although nobody answers', async () => {
    const quick = await createBridgeWorld({ limits: { cancelGraceMs: 50 } });
    const { start, post, call } = await quick.session();
    const held = await start('hold', {}, 'gone');
    expect((await post('{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"gone"}}')).status).toBe(202);
    await held.ended;
    expect(held.data()).toEqual([]);
    expect((await call('about')).text).toContain('"received":4');
    await quick.close();
  });
});

describe('limits', () => {
  it('on sessions', async () => {
    const small = await createBridgeWorld({ limits: { sessions: 1 } });
    const one = await small.session();
    const refused = await small.post('{"jsonrpc":"2.0","id":7,"method":"initialize","params":{}}');
    expect(errorOf(refused)).toEqual({ status: 503, id: 7, code: -32000 });
    expect(refused.headers['retry-after']).toBeDefined();
    await one.end();
    expect((await small.session()).id).toBeTruthy();
    await small.close();
  });

  it('on requests in progress and on ids used twice', async () => {
    const small = await createBridgeWorld({ limits: { requestsPerSession: 2 } });
    const { start, call } = await small.session();
    await start('hold', {}, 'a');
    expect(errorOf(await call('about', {}, 'a'))).toEqual({ status: 400, id: 'a', code: -32600 });
    await start('hold', {}, 'b');
    expect(errorOf(await call('about', {}, 'c'))).toEqual({ status: 503, id: 'c', code: -32000 });
    await small.close();
  });

  it('on bodies, with and without a declared length', async () => {
    const small = await createBridgeWorld({ limits: { bodyBytes: 1000 } });
    const { post } = await small.session();
    const large = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'line', params: { text: 'x'.repeat(1000) } });
    expect(errorOf(await post(large))).toMatchObject({ status: 413, code: -32000 });
    expect(errorOf(await post(large, { 'transfer-encoding': 'chunked' }))).toMatchObject({ status: 413, code: -32000 });
    await small.close();
  });

  it('on the time that a session may be idle; a listening stream does not keep it, an open request does', async () => {
    const small = await createBridgeWorld({ limits: { idleMs: 2_000 } });
    const [idle, busy] = [await small.session(), await small.session()];
    const listening = await idle.listen();
    const held = await busy.start('hold', {}, 'h');
    await listening.ended;
    expect((await idle.call('about')).status).toBe(404);
    await until('the idle process gone', () => !alive(idle.pid));
    expect((await busy.call('release', {}, 2)).status).toBe(200);
    await held.ended;
    await small.close();
  });
});

it('ends all processes when it is closed', async () => {
  const sessions = await Promise.all(Array.from({ length: 3 }, () => world.session()));
  const held = await (sessions[0] as (typeof sessions)[0]).start('hold');
  await world.close();
  await held.ended;
  expect(held.data()[0]).toContain('"error":{"code":-32603');
  expect(sessions.filter(({ pid }) => alive(pid))).toEqual([]);
  world = await createBridgeWorld();
});
