// What limits ought to answer, in thirty lines: one list of what was taken, summed up anew for each claim. Nothing ever expires in it.

import type { Claim } from '../../src/quota/limits.ts';
import type { Change } from '../../src/quota/quota-store.ts';

export interface Expected {
  readonly kind: 'admitted' | 'concurrency' | 'sessions' | 'quota';
  readonly remaining: readonly number[];
}

export function createOracle() {
  const answers = new Map<string, Expected>();
  const taken: { counter: string; cost: number }[] = [];
  let leases: string[] = [];
  let slots: string[] = [];
  const used = (counter: string) => taken.filter((one) => one.counter === counter).reduce((sum, { cost }) => sum + cost, 0);

  const judge = ({ windows, concurrent, sessions }: Claim): Expected['kind'] => {
    if (concurrent !== undefined && leases.length >= concurrent) return 'concurrency';
    if (sessions !== undefined && slots.length >= sessions) return 'sessions';
    return windows.some(({ counter, cost, limit }) => used(counter) + cost > limit) ? 'quota' : 'admitted';
  };

  return {
    used,
    admit(claim: Claim): Expected {
      const earlier = answers.get(claim.requestId);
      if (earlier) return earlier;
      const kind = judge(claim);
      if (kind === 'admitted') {
        taken.push(...claim.windows);
        if (claim.concurrent !== undefined) leases = [...new Set([...leases, claim.requestId])];
        if (claim.sessions !== undefined) slots = [...new Set([...slots, claim.requestId])];
      }
      const remaining = claim.windows.map(({ counter, limit }) => Math.max(0, limit - used(counter)));
      answers.set(claim.requestId, { kind, remaining });
      return { kind, remaining };
    },
    apply(change: Change): void {
      if (change.kind === 'release') leases = leases.filter((id) => id !== change.requestId);
      if (change.kind === 'prolong') leases = [...new Set([...leases, change.requestId])];
      if (change.kind === 'free') slots = slots.filter((id) => id !== change.member);
      if (change.kind === 'confirm') slots = [...new Set([...slots.filter((id) => id !== change.requestId), change.session])];
      if (change.kind === 'keep') slots = [...new Set([...slots, change.session])];
    },
    counts: () => [leases.length, slots.length],
  };
}
