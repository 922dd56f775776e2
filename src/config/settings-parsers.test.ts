// What each kind of value accepts, and what it refuses.

import { describe, expect, it } from 'vitest';
import { baseUrl, formatAddress, hostName, integer, list, listenAddress, origin, type Parser, path, program } from './settings-parsers.ts';

const context = { baseDir: '/etc/gateway', homeDir: '/home/me' };
const parsed = <Value>(parser: Parser<Value>, raw: unknown) => parser(raw, context);

describe.each<[string, Parser<unknown>, [unknown, unknown][], unknown[]]>([
  [
    'listenAddress',
    listenAddress,
    [['127.0.0.1:1', { host: '127.0.0.1', port: 1 }]],
    ['8080', ':8080', 8080, '127.0.0.1', '::1:80', '[127.0.0.1]:80', '127.0.0.1:65536', 'a.example:80'],
  ],
  [
    'integer',
    integer(1, 9),
    [
      ['9', 9],
      [1, 1],
      [' 5 ', 5],
    ],
    ['0', '10', '1.5', 1.5, '', '-1', '1e0', true, null],
  ],
  [
    'path',
    path,
    [
      ['x', '/etc/gateway/x'],
      ['/x', '/x'],
      ['~/x', '/home/me/x'],
      ['~', '/home/me'],
    ],
    ['', 7, 'a\nb'],
  ],
  [
    'program',
    program,
    [
      ['envoy', 'envoy'],
      ['./envoy', '/etc/gateway/envoy'],
    ],
    [' '],
  ],
  [
    'list',
    list(integer(1, 9)),
    [
      ['1, 2,', [1, 2]],
      ['', []],
      [[3], [3]],
    ],
    [7, { a: 1 }, 'x', Array(101).fill(1)],
  ],
  [
    'origin',
    origin,
    [
      ['HTTPS://App.example.com', 'https://app.example.com'],
      ['loopback', 'loopback'],
    ],
    ['*', 'null', 'https://a.example/', 'https://a.example/x', 'a.example'],
  ],
  [
    'hostName',
    hostName,
    [
      ['MCP.example.com', 'mcp.example.com'],
      ['[::1]:80', '[::1]:80'],
    ],
    ['*.example.com', 'http://a', 'a b', 'a/b'],
  ],
  [
    'baseUrl',
    baseUrl,
    [
      ['https://a.example/mcp/', 'https://a.example/mcp'],
      ['http://a.example', 'http://a.example'],
    ],
    ['ftp://a', 'https://u@a', 'https://a?x', 'https://a#x', '/x'],
  ],
])('%s', (_name, parser, accepted, refused) => {
  it.each(accepted)('takes %j', (raw, value) => {
    expect(parsed(parser, raw)).toEqual(value);
  });

  it.each(refused.map((raw) => [raw]))('refuses %j', (raw) => {
    expect(() => parsed(parser, raw)).toThrow(/^must be /);
  });
});

it('formatAddress writes what listenAddress reads', () => {
  for (const text of ['127.0.0.1:8080', '[::1]:0']) expect(formatAddress(parsed(listenAddress, text))).toBe(text);
});
