// A process's copy of the news: what it forgets, and what it keeps as long as it can.

import { expect, test } from 'vitest';
import { binding } from '../../test/fakes/sessions.ts';
import type { SessionKey } from '../core/ids.ts';
import { createNewsCopy } from './news-copy.ts';
import { createRevocations } from './revocations.ts';
import type { SessionNews } from './store.ts';

const news = (key: string, over: Partial<SessionNews> = {}): SessionNews => ({
  key: key as SessionKey,
  binding: { generation: 0, ...binding('i1', 'up-1') },
  ended: true,
  ...over,
});

test('what is no news any more is forgotten', () => {
  const copy = createNewsCopy();
  copy.put(news('a'));
  expect(copy.find('a' as SessionKey)?.ended).toBe(true);
  copy.put(news('a', { ended: false }));
  expect(copy.find('a' as SessionKey)).toBeUndefined();
});

test('ends of clients never push out those of an administrator', () => {
  const copy = createNewsCopy();
  copy.put(news('early'));
  copy.put(news('revoked', { revoked: true }));
  for (let n = 0; n < 200_000; n += 1) copy.put(news(`${n}`));
  expect(copy.find('early' as SessionKey)).toBeUndefined();
  expect(copy.find('revoked' as SessionKey)?.revoked).toBe(true);
  expect([...copy.revoked()]).toHaveLength(1);
  expect([...copy.all()]).toHaveLength(200_001);
});

test('revoked callers are bounded: the one that was revoked first is forgotten first', () => {
  const revocations = createRevocations();
  expect(revocations.covers('0', 0)).toBe(false);
  for (let n = 0; n <= 100_000; n += 1) revocations.add({ caller: `${n}`, before: 10 });
  expect([revocations.covers('0', 10), revocations.covers('1', 10), revocations.covers('1', 11)]).toEqual([false, true, false]);
  expect([revocations.add({ caller: '1', before: 9 }), revocations.add({ caller: '1', before: 11 })]).toEqual([false, true]);
  expect(revocations.covers('1', 11)).toBe(true);
});
