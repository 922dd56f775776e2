// What every operation has in common: its query is read as a whole or refused, and lists come page by page.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { flag, page, paged, parseQuery, text, wholeNumber } from './operation.ts';

const schema = z.strictObject({ ...page, name: text.optional(), follow: flag, lines: wholeNumber(0, 10).default(5) });
const read = (query: string): unknown => parseQuery(schema, new URLSearchParams(query));

describe('a query', () => {
  test.each([
    ['', { limit: 1_000, follow: 'false', lines: 5 }],
    ['limit=3&after=b&name=x%20y&follow=true&lines=0', { limit: 3, after: 'b', name: 'x y', follow: 'true', lines: 0 }],
  ])('%s', (query, expected) => {
    expect(read(query)).toEqual(expected);
  });

  test.each([
    ['limit=0', 'limit'],
    ['limit=1001', 'limit'],
    ['limit=1.5', 'limit'],
    ['limit=x', 'limit'],
    ['lines=-1', 'lines'],
    ['lines=11', 'lines'],
    ['after=', 'after'],
    ['follow=yes', 'follow'],
    ['name=', 'name'],
    [`name=${'x'.repeat(1_025)}`, 'name'],
    ['typo=1', 'typo'],
    ['Limit=1', 'Limit'],
    ['__proto__=1', '__proto__'],
  ])('%s is refused', (query, field) => {
    expect(() => read(query)).toThrow(expect.objectContaining({ code: 'invalid', problems: [expect.objectContaining({ field })] }));
  });

  test.each(['name=a&name=b', 'name=a&name=a', 'follow=true&follow=false'])('%s: twice is refused', (query) => {
    expect(() => read(query)).toThrow(expect.objectContaining({ code: 'invalid', message: expect.stringContaining('twice') }));
  });

  test('every problem at once', () => {
    expect(() => read('limit=0&lines=x&typo=1')).toThrow(/limit.*lines.*typo/);
  });

  test.each(['limit=', 'lines=', 'lines=%20', 'limit=0x10', 'limit=1e2'])('%s is no number', (query) => {
    expect(() => read(query)).toThrow(expect.objectContaining({ code: 'invalid' }));
  });
});

describe('a page', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  const pageOf = (all: readonly string[], limit: number, after: string | undefined) =>
    paged(all, (name) => name, { limit, after }, '/things');
  const take = (query: { limit: number; after?: string }) => paged(names, (name) => name, query, '/things');

  test('says where the next one is', () => {
    expect(take({ limit: 2 })).toEqual({ items: ['a', 'b'], headers: { link: '</things?limit=2&after=b>; rel="next"' } });
    expect(take({ limit: 2, after: 'b' })).toEqual({ items: ['c', 'd'], headers: { link: '</things?limit=2&after=d>; rel="next"' } });
  });

  test('the last one does not', () => {
    expect(take({ limit: 2, after: 'd' })).toEqual({ items: ['e'], headers: {} });
    expect(take({ limit: 5 })).toEqual({ items: names, headers: {} });
    expect(take({ limit: 2, after: 'e' })).toEqual({ items: [], headers: {} });
    expect(paged([], String, { limit: 2 }, '/things')).toEqual({ items: [], headers: {} });
  });

  test('behind something that is not there is refused', () => {
    expect(() => take({ limit: 2, after: 'x' })).toThrow(expect.objectContaining({ code: 'invalid' }));
  });

  test('one after the other they are the whole list', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.string({ minLength: 1 })), fc.integer({ min: 1, max: 7 }), (all, limit) => {
        const seen: string[] = [];
        for (let after: string | undefined; ; ) {
          const { items, headers } = pageOf(all, limit, after);
          expect(items.length).toBeLessThanOrEqual(limit);
          seen.push(...items);
          const next = /^<([^>]*)>; rel="next"$/.exec(headers['link'] ?? '')?.[1];
          if (next === undefined) break;
          after = new URL(next, 'http://x').searchParams.get('after') ?? undefined;
        }
        expect(seen).toEqual(all);
      }),
    );
  });
});
