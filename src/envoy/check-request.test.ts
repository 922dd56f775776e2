// CheckRequests as Envoy encodes them: which headers count, what is repeated, and when a body is complete.

import { EventEmitter } from 'node:events';
import { describe, expect, test } from 'vitest';
import { readCheck, type WireCheckRequest } from './check-request.ts';
import { loadServices } from './services.ts';

const check = loadServices().authorization['Check'];
const asker = () => Object.assign(new EventEmitter(), { cancelled: false });

interface Sent {
  readonly headers?: readonly (readonly [string, string | Buffer])[];
  readonly body?: Buffer | string;
  readonly path?: string;
}

/** Through real protobuf bytes, with `raw_value` as `encode_raw_headers` sends it. */
function read({ headers = [], body = '', path = '/adapters/memory/mcp?q=1' }: Sent = {}) {
  const wire = {
    attributes: {
      request: {
        http: {
          method: 'POST',
          path,
          host: 'localhost:8080',
          scheme: 'https',
          raw_body: Buffer.from(body),
          header_map: { headers: headers.map(([key, value]) => ({ key, raw_value: Buffer.from(value) })) },
        },
      },
    },
  };
  const bytes = check?.requestSerialize(wire) as Buffer;
  return readCheck(check?.requestDeserialize(bytes) as WireCheckRequest, asker());
}

test('a request, with all its headers', () => {
  const request = read({
    headers: [
      ['x-request-id', 'r1'],
      ['content-length', '2'],
      ['mcp-session-id', 's'],
      ['mcp-protocol-version', '2025-06-18'],
      ['mcp-method', 'tools/call'],
      ['mcp-name', 'echo'],
      ['authorization', 'Bearer x'],
      ['origin', 'http://localhost'],
      ['accept', 'application/json'],
      ['content-type', 'application/json'],
      ['content-encoding', 'identity'],
      ['last-event-id', '7'],
      ['access-control-request-method', 'POST'],
      ['x-mcp-rebound', 'b'],
      ['x-other', 'unseen'],
    ],
    body: '{}',
  });
  expect(request).toMatchObject({
    id: 'r1',
    method: 'POST',
    path: '/adapters/memory/mcp?q=1',
    authority: 'localhost:8080',
    scheme: 'https',
    bodyComplete: true,
    headers: {
      sessionId: 's',
      protocolVersion: '2025-06-18',
      mcpMethod: 'tools/call',
      mcpName: 'echo',
      authorization: 'Bearer x',
      origin: 'http://localhost',
      accept: 'application/json',
      contentType: 'application/json',
      contentEncoding: 'identity',
      lastEventId: '7',
      requestedMethod: 'POST',
      rebound: 'b',
      repeated: false,
    },
  });
  expect(request.body.toString()).toBe('{}');
  expect(JSON.stringify(request.headers)).not.toContain('unseen');
});

test('nothing at all is a request too: decided like any other', () => {
  expect(readCheck({}, asker())).toMatchObject({ id: '', method: '', path: '', authority: '', bodyComplete: true });
});

describe('headers that must be unique', () => {
  test.each([
    'mcp-session-id',
    'mcp-protocol-version',
    'mcp-method',
    'mcp-name',
    'authorization',
    'origin',
    'content-type',
    'content-encoding',
    'x-mcp-rebound',
  ])('%s', (name) => {
    expect(read({ headers: [[name, 'a']] }).headers.repeated).toBe(false);
    expect(
      read({
        headers: [
          [name, 'a'],
          [name, 'a'],
        ],
      }).headers.repeated,
    ).toBe(true);
    expect(read({ headers: [[name, '']] }).headers.repeated).toBe(true);
  });

  test('two tokens that Envoy has joined', () => {
    expect(read({ headers: [['authorization', 'Bearer a,Bearer b']] }).headers.repeated).toBe(true);
  });

  test('accept may come in parts', () => {
    expect(
      read({
        headers: [
          ['accept', 'a/b'],
          ['accept', 'c/d'],
        ],
      }).headers,
    ).toMatchObject({ accept: 'a/b, c/d', repeated: false });
  });
});

test('bytes of a header are characters one by one, so that what is compared is what the server gets', () => {
  expect(read({ headers: [['mcp-name', Buffer.from([0x61, 0xe4, 0xff])]] }).headers.mcpName).toBe('a\u00e4\u00ff');
});

describe('a body is complete', () => {
  const withLength = (length: string | undefined, bytes: number) =>
    read({ headers: length === undefined ? [] : [['content-length', length]], body: Buffer.alloc(bytes, 'x') }).bodyComplete;

  test.each([
    ['10', 10, true],
    ['10', 9, false],
    ['2000000', 1_048_576, false],
    ['0', 0, true],
    [undefined, 1_048_575, true],
    [undefined, 1_048_576, false],
    ['', 5, false],
    ['x', 5, false],
  ])('content-length %s with %i bytes: %s', (length, bytes, complete) => expect(withLength(length, bytes)).toBe(complete));
});

describe('a client that goes', () => {
  const leave = (call: ReturnType<typeof asker>): void => {
    call.cancelled = true;
    call.emit('cancelled');
  };

  test('is gone, and its signal fires; nobody listens before somebody looks at it, and one listens for all', () => {
    const call = asker();
    const request = readCheck({}, call);
    expect([request.gone, call.listenerCount('cancelled')]).toEqual([false, 0]);
    expect(request.signal).toBe(request.signal);
    expect([request.signal.aborted, call.listenerCount('cancelled')]).toEqual([false, 1]);
    leave(call);
    expect([request.gone, request.signal.aborted]).toEqual([true, true]);
  });

  test('before anybody looks at the signal', () => {
    const call = asker();
    const request = readCheck({}, call);
    leave(call);
    expect([request.gone, request.signal.aborted]).toEqual([true, true]);
  });
});
