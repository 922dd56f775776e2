// Tickets: A is never B, and neither outlives its time.

import { expect, test } from 'vitest';
import { testSealer } from '../../test/fakes/sessions.ts';
import { ticketOf } from '../../test/fakes/tickets.ts';
import { createTicketWriter, openTicketA, openTicketB, sealTicketA, sealTicketB, TICKET_LIFETIME_MS } from './ticket.ts';

const sealer = testSealer();
const { a, b } = ticketOf();

test('a ticket opens as what it was sealed for, until it expires', () => {
  const sealedA = sealTicketA(sealer, a, 1_000);
  const sealedB = sealTicketB(sealer, b, 1_000);
  expect(openTicketA(sealer, sealedA, 1_000)).toEqual(a);
  expect(openTicketA(sealer, sealedA, 1_000 + TICKET_LIFETIME_MS)).toEqual(a);
  expect(openTicketA(sealer, sealedA, 1_001 + TICKET_LIFETIME_MS)).toBeUndefined();
  expect(openTicketB(sealer, sealedB, 1_000)).toEqual(b);
  expect(openTicketB(sealer, sealedB, 1_001 + TICKET_LIFETIME_MS)).toBeUndefined();
});

test('what pods see (A) never opens as what pass 2 trusts (B), nor the other way', () => {
  expect(openTicketB(sealer, sealTicketA(sealer, b, 0), 0)).toBeUndefined();
  expect(openTicketA(sealer, sealTicketB(sealer, b, 0), 0)).toBeUndefined();
  expect(openTicketB(sealer, sealer.seal('session', Buffer.from(JSON.stringify([9e15, b]))), 0)).toBeUndefined();
});

test('the header of an upstream’s secret travels in both', () => {
  const { a: with_, b: then } = ticketOf({ secretHeader: 'x-api-key' });
  const opened = openTicketA(sealer, sealTicketA(sealer, { ...with_, secretHeader: 'x-api-key' }, 0), 0);
  expect(opened?.secretHeader).toBe('x-api-key');
  expect(openTicketB(sealer, sealTicketB(sealer, then, 0), 0)?.secretHeader).toBe('x-api-key');
});

test('text from elsewhere is no ticket', () => {
  for (const text of ['', 'undefined', 'null', '[9e15,{}]']) {
    expect(openTicketA(sealer, text, 0)).toBeUndefined();
    expect(openTicketB(sealer, text, 0)).toBeUndefined();
  }
});

test('integers and characters of a JSON-RPC id survive', () => {
  for (const rpcId of [0, -1, 9007199254740991, 1.5, '', 'a"b\\c', 'ä€😀']) {
    expect(openTicketB(sealer, sealTicketB(sealer, { ...b, rpcId }, 0), 0)?.rpcId).toBe(rpcId);
  }
});

test('one ticket A serves the requests of a session until a third of its life is over, or anything in it changes', () => {
  const { ticketFor } = createTicketWriter(sealer);
  const first = ticketFor(a, 0);
  expect(ticketFor({ ...a }, 29_999)).toBe(first);
  expect(ticketFor(a, 30_000)).not.toBe(first);
  const later = ticketFor(a, 30_001);
  for (const change of [{ tried: 'i9' as typeof a.tried }, { authority: 'other' }, { secretHeader: 'x' }, { caller: { ...a.caller } }]) {
    expect(ticketFor({ ...a, ...change }, 30_002)).not.toBe(later);
  }
  const other = ticketFor({ ...a, sessionId: 'sealed-2' as NonNullable<typeof a.sessionId> }, 30_003);
  expect(openTicketA(sealer, other.text, 30_003)?.sessionId).toBe('sealed-2');
});
