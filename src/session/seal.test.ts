// Sealed texts: nothing opens but what this ring sealed for this purpose.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ringKey, testSealer } from '../../test/fakes/sessions.ts';
import { anyText } from '../../test/fakes/texts.ts';
import { createKeyRing } from './key-ring.ts';
import { createSealer, type Purpose } from './seal.ts';

const RUNS = { seed: 20260728, numRuns: 200 };
const purposes: readonly Purpose[] = ['session', 'ticket-a', 'ticket-b'];
const anyPurpose = fc.constantFrom(...purposes);
const anyPlain = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes));
const BASE64URL = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

const sealer = testSealer();

describe('what was sealed', () => {
  test('opens for its purpose, and for no other', () => {
    fc.assert(
      fc.property(anyPurpose, anyPlain, (purpose, plain) => {
        const sealed = sealer.seal(purpose, plain);
        expect(sealed).toMatch(/^[A-Za-z0-9_-]+$/);
        for (const other of purposes) {
          const opened = sealer.open(other, sealed);
          if (other === purpose) expect(opened?.equals(plain)).toBe(true);
          else expect(opened).toBeUndefined();
        }
      }),
      RUNS,
    );
  });

  test('never opens with one character changed', () => {
    const change = fc.record({ at: fc.nat(), to: fc.nat(63) });
    fc.assert(
      fc.property(anyPlain, change, (plain, { at, to }) => {
        const sealed = sealer.seal('session', plain);
        const place = at % sealed.length;
        const changed = sealed.slice(0, place) + BASE64URL[to] + sealed.slice(place + 1);
        fc.pre(changed !== sealed);
        expect(sealer.open('session', changed)).toBeUndefined();
      }),
      RUNS,
    );
  });

  test('never opens cut or lengthened', () => {
    const sealed = sealer.seal('session', Buffer.from('a grant'));
    for (let length = 0; length < sealed.length; length += 1) expect(sealer.open('session', sealed.slice(0, length))).toBeUndefined();
    for (const more of ['A', 'AA', 'AAAA', '=', '==', '.', '\n', ' ']) expect(sealer.open('session', sealed + more)).toBeUndefined();
  });

  test('has one spelling only', () => {
    // Lengths that leave unused bits in the last character, which a forgiving decoder ignores.
    for (const length of [0, 1, 2, 3, 4, 5]) {
      const sealed = sealer.seal('session', Buffer.alloc(length, 0xff));
      for (const character of BASE64URL) {
        const spelled = sealed.slice(0, -1) + character;
        if (spelled !== sealed) expect(sealer.open('session', spelled)).toBeUndefined();
      }
      expect(sealer.open('session', `${sealed.replaceAll('-', '+').replaceAll('_', '/')}=`)).toBeUndefined();
      expect(sealer.open('session', ` ${sealed}`)).toBeUndefined();
    }
  });

  test('does not open with another key of the same id', () => {
    const sealed = sealer.seal('session', Buffer.from('a grant'));
    const foreign = createSealer(createKeyRing([{ ...ringKey('00000001'), secret: Buffer.alloc(32, 9) }]));
    expect(foreign.open('session', sealed)).toBeUndefined();
    expect(createSealer(createKeyRing([ringKey('00000002')])).open('session', sealed)).toBeUndefined();
  });
});

test('junk does not open', () => {
  fc.assert(
    fc.property(anyText({ maxLength: 200 }), (text) => sealer.open('session', text) === undefined),
    RUNS,
  );
  expect(sealer.open('session', '')).toBeUndefined();
  expect(sealer.open('session', 'A'.repeat(10_000_000))).toBeUndefined();
});

test('nonces of one process differ', () => {
  const nonces = new Set(Array.from({ length: 2_000 }, () => nonceOf(sealer.seal('session', Buffer.alloc(0)))));
  expect(nonces.size).toBe(2_000);
});

test('sealers of two processes with one key share no nonce', () => {
  const prefixes = Array.from({ length: 50 }, () => nonceOf(testSealer().seal('session', Buffer.alloc(0))).slice(0, 16));
  expect(new Set(prefixes).size).toBe(50);
});

describe('rotation in two phases', () => {
  const old = ringKey('00000001', 0);
  const fresh = ringKey('00000002', 100);
  const idOf = (sealed: string): string => Buffer.from(sealed, 'base64url').toString('hex', 1, 5);

  test('the new key opens at once, seals later, and the old one still opens', () => {
    let now = 99;
    const ring = createKeyRing([fresh, old], () => now);
    const rotated = createSealer(ring);
    const early = rotated.seal('session', Buffer.from('early'));
    expect(idOf(early)).toBe('00000001');

    const ahead = createSealer(createKeyRing([fresh], () => 100)).seal('session', Buffer.from('sealed by a replica ahead'));
    expect(rotated.open('session', ahead)?.toString()).toBe('sealed by a replica ahead');

    now = 100;
    expect(idOf(rotated.seal('session', Buffer.alloc(0)))).toBe('00000002');
    expect(rotated.open('session', early)?.toString()).toBe('early');

    ring.replace([fresh]);
    expect(rotated.open('session', early)).toBeUndefined();
  });

  test('a clock that went back seals with the oldest key', () => {
    const sealed = createSealer(createKeyRing([ringKey('00000003', 30), ringKey('00000002', 20)], () => 1)).seal(
      'session',
      Buffer.alloc(0),
    );
    expect(idOf(sealed)).toBe('00000002');
  });
});

const nonceOf = (sealed: string): string => Buffer.from(sealed, 'base64url').toString('hex', 5, 17);
