// A tenant as the API takes it: what is read, and which quota a change is about.

import { describe, expect, test } from 'vitest';
import type { ControlRefusal } from './refusal.ts';
import { adjusted, readTenantAdjustment, readTenantData, type TenantAdjustment } from './tenant-data.ts';

function fieldsOf(read: () => unknown): string[] {
  try {
    read();
  } catch (error) {
    const { code, problems } = error as ControlRefusal;
    expect(code).toBe('invalid');
    return problems.map(({ field }) => field).toSorted();
  }
  return [];
}

describe('reading', () => {
  test('nothing is assumed', () => {
    const data = { name: 'red', priority: 5, quotas: [{ requests: 2, per: '1h' }], limits: { sessions: 3 } };
    expect(readTenantData(data)).toEqual(data);
    expect(readTenantData({ name: 'red' })).toEqual({ name: 'red' });
    expect(readTenantData({}, 'red')).toEqual({ name: 'red' });
  });

  test('what an answer says on top, and null for what is not limited, is not looked at', () => {
    const shown = {
      ...{
        name: 'red',
        priority: 0,
        match: [],
        tools: null,
        onOutage: 'deny',
        source: 'api',
        revision: 'x',
        note: 'x',
        use: { sessions: 1 },
      },
      limits: { sessions: null, concurrentRequests: 4 },
      quotas: [{ requests: 2, per: '1h', scope: 'tenant', backend: null, tool: null, countAll: false, use: { used: 1 } }],
    };
    expect(readTenantData(shown, 'red')).toEqual({
      ...{ name: 'red', priority: 0, match: [], onOutage: 'deny', limits: { concurrentRequests: 4 } },
      quotas: [{ requests: 2, per: '1h', scope: 'tenant', countAll: false }],
    });
  });

  test('every problem at once', () => {
    const wrong = { name: 'Red', priority: 0.5, quotas: [{ requests: -1, per: 'x' }, { per: '1h' }], limits: { session: 1 }, typo: 1 };
    expect(fieldsOf(() => readTenantData(wrong))).toEqual(
      ['limits.session', 'name', 'priority', 'quotas.0.per', 'quotas.0.requests', 'quotas.1.requests', 'typo'].toSorted(),
    );
  });

  test('the name stays', () => {
    expect(fieldsOf(() => readTenantData({ name: 'blue' }, 'red'))).toEqual(['name']);
    expect(fieldsOf(() => readTenantData({}))).toEqual(['name']);
  });

  test.each([null, 'x', 7, []])('%j is no object', (body) => {
    expect(fieldsOf(() => readTenantData(body))).toEqual(['']);
    expect(fieldsOf(() => readTenantAdjustment(body))).toEqual(['']);
  });

  test('two quotas that differ in their number alone are refused', () => {
    const quotas = [
      { requests: 2, per: '1h' },
      { requests: 3, per: '60m' },
    ];
    expect(fieldsOf(() => readTenantData({ name: 'red', quotas }))).toEqual(['quotas.1']);
  });

  test('a change names a number or null', () => {
    const change = { quotas: [{ requests: null, per: '1h' }], limits: { sessions: null, concurrentRequests: 0 } };
    expect(readTenantAdjustment(change)).toEqual(change);
    expect(
      fieldsOf(() => readTenantAdjustment({ quotas: [{ per: '1h' }, { requests: -1, per: '1h' }], limits: { x: 1 }, match: [] })),
    ).toEqual(['limits.x', 'match', 'quotas.0.requests', 'quotas.1.requests'].toSorted());
  });
});

const hourly = { requests: 1_000, per: '1h' };
const daily = { requests: 9_000, per: '1d' };
const ofTool = { requests: 60, per: '1m', scope: 'subject', backend: 'github', tool: 'search_*' } as const;

describe('a change of quotas', () => {
  const quotasOf = (before: readonly object[], change: TenantAdjustment['quotas']) =>
    adjusted({ quotas: before }, { quotas: change ?? [] })['quotas'];

  test.each([
    ['the same requests and time', [hourly, daily], { requests: 5, per: '1h' }, [{ requests: 5, per: '1h' }, daily]],
    ['the same time in other words', [hourly, daily], { requests: 5, per: '60m' }, [{ requests: 5, per: '60m' }, daily]],
    ['another time: one more', [hourly, daily], { requests: 5, per: '1m' }, [hourly, daily, { requests: 5, per: '1m' }]],
    ['other requests: one more', [hourly], ofTool, [hourly, ofTool]],
    ['requests of one tool', [hourly, ofTool], { ...ofTool, requests: 7 }, [hourly, { ...ofTool, requests: 7 }]],
    [
      'what is assumed is the same as what is said',
      [hourly],
      { requests: 5, per: '1h', scope: 'tenant', countAll: false } as const,
      [{ requests: 5, per: '1h', scope: 'tenant', countAll: false }],
    ],
    ['null takes it away', [hourly, daily], { requests: null, per: '1h' }, [daily]],
    ['the first one', [], hourly, [hourly]],
  ] as const)('%s', (_, before, change, after) => {
    expect(quotasOf(before, [change])).toEqual(after);
  });

  test('null for none is refused', () => {
    expect(() => quotasOf([hourly, daily], [{ requests: null, per: '1m' }])).toThrow(expect.objectContaining({ code: 'missing' }));
  });

  test('one after the other', () => {
    expect(quotasOf([hourly], [{ requests: null, per: '1h' }, daily, { ...daily, requests: 1 }])).toEqual([{ ...daily, requests: 1 }]);
  });
});

describe('a change of limits', () => {
  test('leaves the others, and the quotas', () => {
    const spec = { priority: 7, quotas: [hourly], limits: { sessions: 3, concurrentRequests: 4 } };
    expect(adjusted(spec, { limits: { sessions: 5 } })).toEqual({ ...spec, limits: { sessions: 5, concurrentRequests: 4 } });
    expect(adjusted(spec, { limits: { sessions: null } })).toEqual({ ...spec, limits: { concurrentRequests: 4 } });
    expect(adjusted(spec, {})).toEqual(spec);
  });

  test('0 is a limit', () => {
    expect(adjusted({}, { limits: { sessions: 0 } })).toMatchObject({ limits: { sessions: 0 } });
  });

  test('what was there is not touched', () => {
    const spec = Object.freeze({ quotas: Object.freeze([hourly]), limits: Object.freeze({ sessions: 1 }) });
    adjusted(spec, { quotas: [{ requests: null, per: '1h' }], limits: { sessions: null } });
    expect(spec).toEqual({ quotas: [hourly], limits: { sessions: 1 } });
  });
});
