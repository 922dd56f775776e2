// Step 1 of a decision: paths, Hosts, Origins, preflights, repeated headers, encodings.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { backendOf, directoryOf } from '../../test/fakes/backends.ts';
import { type RequestOptions, requestOf } from '../../test/fakes/requests.ts';
import { anyText } from '../../test/fakes/texts.ts';
import { corsHeaders, corsOrigin, type EdgeRules, loopbackHosts, shape } from './shape.ts';

const snapshot = directoryOf(backendOf()).snapshot();
const local: EdgeRules = {
  hosts: loopbackHosts(['gw.lan']),
  origins: new Set(['https://app.example.com']),
  loopbackOrigins: true,
  trustForwardedHost: false,
};
const open: EdgeRules = { hosts: undefined, origins: new Set(), loopbackOrigins: false, trustForwardedHost: false };

/** The reason of a refusal, or what became of the request. */
function outcome(options: RequestOptions, rules = local): string {
  const shaped = shape(requestOf(options), snapshot, rules);
  return shaped.kind === 'shaped'
    ? `${shaped.backend.name}${shaped.query}${shaped.modern ? ' modern' : ''}`
    : (shaped.facts.reason ?? String(shaped.status));
}

describe('paths', () => {
  test.each([
    ['/adapters/memory/mcp', 'memory'],
    ['/adapters/memory/mcp?a=1&b=%2e', 'memory?a=1&b=%2e'],
    ['/adapters/memory/mcp?', 'memory?'],
    ['/adapters/memory/mcp??x', 'memory??x'],
    ['/adapters/unknown/mcp', 'unknown_backend'],
    [`/adapters/${'a'.repeat(51)}/mcp`, 'unknown_path'],
    ['/adapters/Memory/mcp', 'unknown_path'],
    ['/adapters/memory/mcp/', 'unknown_path'],
    ['/adapters/memory/mcp\n', 'unknown_path'],
    ['/adapters/memory', 'unknown_path'],
    ['/adapters//mcp', 'unknown_path'],
    ['/adapters/memory%2fmcp', 'unknown_path'],
    ['/adapters/__proto__/mcp', 'unknown_path'],
    ['/adapters/constructor/mcp', 'unknown_backend'],
    ['/mcp', 'unknown_path'],
    ['', 'unknown_path'],
    ['/adapters/memory/sse', 'legacy_sse_transport'],
    ['/adapters/memory/messages?sessionId=1', 'legacy_sse_transport'],
    ['/adapters/memory/message/', 'legacy_sse_transport'],
  ])('%s → %s', (path, expected) => {
    expect(outcome({ path })).toBe(expected);
  });

  test('no path takes long', () => {
    const started = performance.now();
    for (const path of [`/adapters/${'a-'.repeat(500_000)}`, `/${'adapters/a/mcp'.repeat(50_000)}`]) outcome({ path });
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe('methods', () => {
  test.each(['POST', 'GET', 'DELETE'])('%s is MCP’s', (method) => expect(outcome({ method })).toBe('memory'));
  test.each(['PUT', 'HEAD', 'PATCH', 'post', 'TRACE', ''])('%s is refused, with what is allowed', (method) => {
    const answer = shape(requestOf({ method }), snapshot, local);
    expect(answer).toMatchObject({ status: 405, headers: expect.arrayContaining([['allow', 'GET, POST, DELETE, OPTIONS']]) });
  });
});

describe('a Host', () => {
  test.each(['localhost', 'LOCALHOST:8080', '127.0.0.1:1', '[::1]', '[::1]:8080', 'gw.lan:443'])('%s is served', (authority) => {
    expect(outcome({ authority })).toBe('memory');
  });
  // The page of another site that has its own name point at this machine (DNS rebinding).
  test.each([
    'evil.example',
    'evil.example:8080',
    'localhost.evil.example',
    'evil.example/localhost',
    '',
    '127.0.0.1.nip.io',
    '[::1',
    '[::1]x',
    '[::2]:80',
    'localhost.',
    '0.0.0.0',
    'x]localhost:1',
    'localhost:abc',
    'localhost:123456',
    '[::1]x:1',
  ])('%s is not', (authority) => expect(outcome({ authority })).toBe('host_not_allowed'));

  test('that a trusted proxy passes on must be served too; from others it is not looked at', () => {
    const forwarded = (forwardedHost: string) => ({ headers: { forwardedHost } });
    expect(outcome(forwarded('evil.example'))).toBe('memory');
    const behind = { ...local, trustForwardedHost: true };
    expect(outcome(forwarded('evil.example'), behind)).toBe('host_not_allowed');
    expect(outcome(forwarded('gw.lan:443, inner'), behind)).toBe('memory');
    expect(outcome({}, behind)).toBe('memory');
  });
  test('comes before everything else', () => expect(outcome({ authority: 'evil.example', method: 'OPTIONS' })).toBe('host_not_allowed'));
  test('counts only where a rule is in force', () => expect(outcome({ authority: 'gateway.example' }, open)).toBe('memory'));
});

describe('an Origin', () => {
  test.each(['http://localhost', 'https://localhost:3000', 'http://127.0.0.1:5173', 'http://[::1]:80', 'https://app.example.com'])(
    '%s may call',
    (origin) => {
      expect(outcome({ headers: { origin } })).toBe('memory');
      expect(corsOrigin(origin, local)).toBe(origin);
    },
  );
  test.each([
    'null',
    '',
    'http://evil.example',
    'https://app.example.com.evil.example',
    'http://app.example.com',
    'http://localhost.evil.example',
    'http://localhost@evil.example',
    'http://localhost/x',
    'http://localhost, http://evil.example',
    'file://',
    'chrome-extension://localhost',
    'http://localhost\r\nx: y',
    'https://APP.example.com',
  ])('%s may not', (origin) => {
    expect(outcome({ headers: { origin } })).toBe('origin_not_allowed');
    expect(corsOrigin(origin, local)).toBeUndefined();
  });
  test('of this machine only where that is said', () => {
    expect(outcome({ headers: { origin: 'http://localhost' } }, open)).toBe('origin_not_allowed');
    expect(outcome({}, open)).toBe('memory');
  });
  test('that is echoed holds no line break', () => {
    fc.assert(
      fc.property(anyText(), (text) => {
        const origin = corsOrigin(`http://localhost:${text}`, local);
        for (const [, value] of origin === undefined ? [] : corsHeaders(origin)) expect(value).not.toMatch(/[\r\n\0]/);
      }),
      { seed: 20260728, numRuns: 200 },
    );
  });
});

describe('a preflight', () => {
  const ask = (headers: RequestOptions['headers'], path = '/adapters/memory/mcp') =>
    shape(requestOf({ method: 'OPTIONS', path, ...(headers ? { headers } : {}) }), snapshot, local);

  test('of an allowed page needs nothing else', () => {
    const answer = ask({ origin: 'http://localhost:3000', requestedMethod: 'POST', repeated: true });
    expect(answer).toMatchObject({ kind: 'answer', status: 204, body: '' });
    const headers = new Map(answer.kind === 'answer' ? answer.headers : []);
    expect(headers.get('access-control-allow-methods')).toContain('DELETE');
    for (const name of [
      'Mcp-Session-Id',
      'Mcp-Protocol-Version',
      'Mcp-Method',
      'Mcp-Name',
      'Authorization',
      'Last-Event-ID',
      'Content-Type',
    ]) {
      expect(headers.get('access-control-allow-headers')).toContain(name);
    }
  });

  test('of another page learns nothing', () =>
    expect(outcome({ method: 'OPTIONS', headers: { origin: 'http://evil.example' } })).toBe('origin_not_allowed'));
  test('OPTIONS without a page says what is allowed', () => {
    expect(ask({})).toMatchObject({ status: 204, headers: [['allow', 'GET, POST, DELETE, OPTIONS']] });
  });
  test('the session id can be read by the page', () => {
    expect(new Map(corsHeaders('http://localhost')).get('access-control-expose-headers')).toContain('Mcp-Session-Id');
  });
});

test('a repeated header is refused', () => expect(outcome({ headers: { repeated: true } })).toBe('repeated_header'));

describe('what cannot be read cannot be policed', () => {
  test.each([
    undefined,
    'application/json',
    'APPLICATION/JSON; Charset=UTF-8',
    'application/json;charset="utf-8"',
    'application/json ; charset = utf8 ; x=y',
    'text/plain',
    'application/json; charset=us-ascii',
  ])('content-type %s passes', (contentType) => expect(outcome({ headers: { contentType } })).toBe('memory'));

  test.each([
    'application/json; charset=utf-16',
    'application/json; charset=utf-8; charset=utf-16',
    'application/json; charset=utf-16; charset=utf-8',
    'application/json; charset=utf-8,text/plain; charset=utf-16',
    'application/json; charset="utf-16"',
    'application/json; charset="utf-8;',
    "application/json; charset*=us-ascii'en'utf-16",
    'application/json; charset=',
    'application/json; xcharset=utf-8',
    'application/json; charset=utf-7',
    'application/json;charset=utf-8\u00a0',
  ])('content-type %s does not', (contentType) => expect(outcome({ headers: { contentType } })).toBe('unsupported_encoding'));

  test.each(['gzip', 'br', 'deflate', 'identity, gzip', 'gzip, identity', 'x', ' '])('content-encoding %s does not', (contentEncoding) => {
    expect(outcome({ headers: { contentEncoding } })).toBe('unsupported_encoding');
  });
  test.each(['identity', ' Identity '])('content-encoding %s passes', (contentEncoding) => {
    expect(outcome({ headers: { contentEncoding } })).toBe('memory');
  });
  test('GET and DELETE have no body', () => {
    expect(outcome({ method: 'GET', headers: { contentEncoding: 'gzip', contentType: 'x; charset=utf-16' } })).toBe('memory');
  });
});

describe('the era', () => {
  test.each([
    [undefined, 'memory'],
    ['2025-03-26', 'memory'],
    ['2025-11-25', 'memory'],
    ['2026-07-28', 'memory modern'],
    ['2027-01-01', 'memory modern'],
  ])('of version %s', (protocolVersion, expected) => expect(outcome({ headers: { protocolVersion } })).toBe(expected));

  test('is legacy for GET and DELETE: modern requests are POSTs', () => {
    for (const method of ['GET', 'DELETE']) expect(outcome({ method, headers: { protocolVersion: '2026-07-28' } })).toBe('memory');
  });
});
