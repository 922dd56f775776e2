// Members that leave by themselves.

import { expect, it } from 'vitest';
import { createExpiringMembers } from './expiring-members.ts';

it('counts members until they expire, in whatever order that is', () => {
  const members = createExpiringMembers(100);
  members.add('late', 300);
  members.add('early', 100);
  members.add('middle', 200);
  expect([0, 99, 100, 199, 200, 299, 300].map((now) => members.count(now))).toEqual([3, 3, 2, 2, 1, 1, 0]);
});

it('is full of those that have not expired', () => {
  const members = createExpiringMembers(100);
  members.add('a', 100);
  members.add('b', 200);
  expect([members.isFull(2, 99), members.isFull(2, 100), members.isFull(1, 100), members.isFull(0, 500)]).toEqual([
    true,
    false,
    true,
    true,
  ]);
});

it('counts a member once, by its last time', () => {
  const members = createExpiringMembers(100);
  members.add('a', 100);
  members.add('a', 300);
  members.add('b', 300);
  expect([members.count(200), members.count(300)]).toEqual([2, 0]);
  members.add('c', 500);
  members.delete('c');
  members.delete('unknown');
  expect(members.count(400)).toBe(0);
});

it('is bounded', () => {
  const members = createExpiringMembers(2);
  for (const name of ['a', 'b', 'c']) members.add(name, 100);
  expect(members.count(0)).toBe(2);
});
