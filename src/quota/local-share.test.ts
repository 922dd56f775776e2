// The local share: a part of each limit, never less than one unless there is nothing.

import { expect, it } from 'vitest';
import { claimOf, freshTenant, windowOf } from '../../test/fakes/claims.ts';
import { shareOf, withRealLimits } from './local-share.ts';

it('divides every limit by the sidecars that live', () => {
  const claim = claimOf(freshTenant(), { windows: [windowOf(10), windowOf(1), windowOf(0)], concurrent: 7, sessions: 2 });
  const limits = (live: number) => {
    const { windows, concurrent, sessions } = shareOf(claim, live);
    return [...windows.map(({ limit }) => limit), concurrent, sessions];
  };
  expect(limits(1)).toEqual([10, 1, 0, 7, 2]);
  expect(limits(3)).toEqual([3, 1, 0, 2, 1]);
  expect(limits(0)).toEqual([10, 1, 0, 7, 2]);
  expect(shareOf(claimOf(freshTenant()), 3)).toMatchObject({ windows: [], concurrent: undefined, sessions: undefined });
});

it('tells the real limits', () => {
  const state = { name: 'w', limit: 3, windowMs: 1_000, remaining: 2, resetMs: 10 };
  expect(withRealLimits({ kind: 'admitted', windows: [state] }, [windowOf(10)])).toEqual({
    kind: 'admitted',
    windows: [{ ...state, limit: 10 }],
  });
  expect(withRealLimits({ kind: 'unavailable' }, [])).toEqual({ kind: 'unavailable' });
});
