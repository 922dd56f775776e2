// Session ids: grants come back as they were, with every legal upstream id.

import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { grantOf, testSealer } from '../../test/fakes/sessions.ts';
import { MAX_UPSTREAM_ID_CHARS, newSessionKey, openSessionId, sealSessionId } from './session-id.ts';

const RUNS = { seed: 20260728, numRuns: 200 };
const sealer = testSealer();
const visible = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
const name = fc.string({ minLength: 1, maxLength: 60, unit: 'grapheme' }).filter((text) => Buffer.byteLength(text) <= 255);

describe('a grant', () => {
  test('comes back as it was sealed, with every legal upstream id', () => {
    const grants = fc.record({
      upstreamId: fc.string({ maxLength: MAX_UPSTREAM_ID_CHARS, unit: visible, size: 'max' }),
      backend: name,
      instance: name,
      tenant: name,
      issuedAt: fc.nat(2 ** 32 - 1),
      key: fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
      caller: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes)),
    });
    fc.assert(
      fc.property(grants, (fields) => {
        const grant = grantOf(fields);
        expect(openSessionId(sealer, sealSessionId(sealer, grant))).toEqual(grant);
      }),
      RUNS,
    );
  });

  test.each(['_', '.', '~', 'a.b_c~d', '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~', 'x'.repeat(300), `${'~'.repeat(MAX_UPSTREAM_ID_CHARS)}`])(
    'with the upstream id %s',
    (upstreamId) => {
      expect(openSessionId(sealer, sealSessionId(sealer, grantOf({ upstreamId })))?.upstreamId).toBe(upstreamId);
    },
  );

  test('makes an id of visible ASCII that is new each time', () => {
    const ids = new Set(Array.from({ length: 100 }, () => sealSessionId(sealer, grantOf())));
    expect(ids.size).toBe(100);
    for (const id of ids) expect(id).toMatch(/^[\x21-\x7e]+$/);
  });

  test('with a name of more than 255 bytes is a bug', () => {
    expect(() => sealSessionId(sealer, grantOf({ instance: 'ä'.repeat(128) }))).toThrow('255 bytes');
  });
});

test('a ticket, or a sealed text that is too short, is no session id', () => {
  const plain = Buffer.alloc(100);
  expect(openSessionId(sealer, sealer.seal('ticket-a', plain))).toBeUndefined();
  expect(openSessionId(sealer, sealer.seal('session', plain))).toBeDefined();
  expect(openSessionId(sealer, sealer.seal('session', plain.subarray(0, 54)))).toBeUndefined();
});

test('session keys are 128 random bits', () => {
  const key = newSessionKey(randomBytes);
  expect(Buffer.from(key, 'base64url')).toHaveLength(16);
  expect(newSessionKey(randomBytes)).not.toBe(key);
  for (let first = 0; first < 256; first += 1) expect(newSessionKey((length) => Buffer.alloc(length, first))).not.toMatch(/^-/);
});
