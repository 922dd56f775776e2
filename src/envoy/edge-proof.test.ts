// Which headers prove that an Envoy strips what its clients send, and how secrets are read.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createEdgeProof, openEdgeSecrets } from './edge-proof.ts';

const SECRET = '0123456789abcdef0123456789abcdef';

let folder: string;
let file: string;
let lines: string[];
const log = pino({}, { write: (line: string) => void lines.push((JSON.parse(line) as { why: string }).why) });
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'edge-proof-'));
  file = join(folder, 'secret');
  lines = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

function proofOf(contents: string, now?: () => number) {
  writeFileSync(file, contents);
  const { secrets, close } = openEdgeSecrets(file, log);
  close();
  const proof = createEdgeProof({ secrets, log, ...(now && { now }) });
  return (...headers: [string, string][]) =>
    proof({
      attributes: {
        request: { http: { header_map: { headers: headers.map(([key, value]) => ({ key, raw_value: Buffer.from(value) })) } } },
      },
    });
}

describe('a request', () => {
  it.each<[string, [string, string][], boolean]>([
    ['with the mark', [['x-mcp-edge', SECRET]], true],
    ['without', [['accept', 'x']], false],
    ['with another secret', [['x-mcp-edge', `${SECRET}x`]], false],
    ['with an empty one', [['x-mcp-edge', '']], false],
    [
      'with two',
      [
        ['x-mcp-edge', SECRET],
        ['x-mcp-edge', SECRET],
      ],
      false,
    ],
    [
      'with the mark and the canary',
      [
        ['x-mcp-edge', SECRET],
        ['x-mcp-canary', 'planted'],
      ],
      false,
    ],
    ['with a ticket, which must open later', [['x-mcp-rebound', 'x']], true],
    [
      'with a ticket and the canary',
      [
        ['x-mcp-canary', 'planted'],
        ['x-mcp-rebound', 'x'],
      ],
      false,
    ],
  ])('%s', (_, headers, admitted) => {
    expect(proofOf(SECRET)(...headers)).toBe(admitted);
    expect(lines).toHaveLength(admitted ? 0 : 1);
  });

  it('that is refused is logged once in a minute for each reason', () => {
    let now = 0;
    const proof = proofOf(SECRET, () => now);
    proof();
    proof();
    proof(['x-mcp-edge', 'wrong']);
    expect(lines).toHaveLength(2);
    now = 60_000;
    proof();
    expect(lines).toHaveLength(3);
  });
});

describe('the file of secrets', () => {
  it('may hold several, one in each line', () => {
    const proof = proofOf(`${SECRET}\n\n  ${SECRET}2 \n`);
    expect([SECRET, `${SECRET}2`, `${SECRET}3`].map((secret) => proof(['x-mcp-edge', secret]))).toEqual([true, true, false]);
  });

  it.each(['', '\n', 'short', `${SECRET}\nshort`])('is refused when it holds %j', (contents) => {
    expect(() => proofOf(contents)).toThrow('must hold a secret of at least 32 characters');
  });
});
