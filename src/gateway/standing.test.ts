// Where the quotas of a request stand that is sent round again: read, never taken, and never worth a failure.

import { expect, test, vi } from 'vitest';
import { backendOf, directoryOf } from '../../test/fakes/backends.ts';
import { callerOf, quotaOf, tenantPolicyOf } from '../../test/fakes/callers.ts';
import { requestOf } from '../../test/fakes/requests.ts';
import type { BackendName } from '../core/ids.ts';
import type { Usage, WindowLimit } from '../quota/limits.ts';
import { readBody } from './body.ts';
import { claimOf } from './claim.ts';
import { createStanding } from './standing.ts';

const policy = tenantPolicyOf({ quotas: [quotaOf(), quotaOf({ scope: 'subject', requests: 3 }), quotaOf({ backend: 'other' })] });
const caller = callerOf({ policy });
const call = '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a"}}';

function askedBy(body: string) {
  const asked = readBody(requestOf({ body, method: 'POST' }), false);
  if (asked.kind !== 'asked') throw new Error('refused');
  return asked;
}

function standing(usage: (windows: readonly WindowLimit[]) => Promise<Usage> = async () => Promise.reject(new Error('gone'))) {
  const directory = directoryOf(backendOf());
  directory.replace({ backends: [backendOf()], tenants: [policy] });
  const limits = { usage: vi.fn<(tenant: string, windows: readonly WindowLimit[]) => Promise<Usage>>((_, windows) => usage(windows)) };
  const ask = createStanding(directory, limits);
  return {
    limits,
    of: (body: string, tenant = caller.tenant) => ask({ backend: 'memory' as BackendName, caller: { ...caller, tenant } }, askedBy(body)),
  };
}

const half = async (windows: readonly WindowLimit[]): Promise<Usage> => ({
  windows: windows.map(({ name, limit, windowMs }) => ({ name, limit, windowMs, remaining: 1, resetMs: 7_000 })),
  concurrent: 0,
  sessions: 0,
});

test('the counters are those that the first pass took from', async () => {
  const { limits, of } = standing(half);
  expect(await of(call)).toEqual([
    ['ratelimit-policy', '"tenant-1m";q=10;w=60, "subject-1m";q=3;w=60'],
    ['ratelimit', '"tenant-1m";r=1;t=7, "subject-1m";r=1;t=7'],
  ]);
  const backend = backendOf();
  const request = requestOf({ body: call, method: 'POST' });
  const shaped = { kind: 'shaped', backend, query: '', modern: false } as const;
  const claim = claimOf({ request, shaped, backend, caller, asked: askedBy(call), admission: undefined }, false);
  expect(limits.usage.mock.calls).toEqual([['red', claim?.windows]]);
});

test('nothing is said, and nobody asked, where no quota applies', async () => {
  const { limits, of } = standing(half);
  expect(await of('{"jsonrpc":"2.0","id":1,"method":"ping"}')).toBeUndefined();
  expect(await of('{"jsonrpc":"2.0","method":"notifications/cancelled"}')).toBeUndefined();
  expect(await of(call, 'nobody' as typeof caller.tenant)).toBeUndefined();
  expect(limits.usage).not.toHaveBeenCalled();
});

test('nothing is said when nobody can say', async () => {
  expect(await standing().of(call)).toBeUndefined();
  expect(await standing(() => new Promise(() => {})).of(call)).toBeUndefined();
});
