// Callers of the control plane, and a registry that forgets: for tests of what stands on top of them.

import type { Actor, Rank } from '../../src/control/actor.ts';
import type { Registered, Registry } from '../../src/control/registry.ts';
import { registered } from '../../src/control/registry.ts';

export const actorOf = (rank: Rank, over: Partial<Actor> = {}): Actor => ({
  ...{ issuer: 'https://login.example.com/', subject: rank ?? 'ann', rank, tenant: 'default', roles: [] },
  ...over,
});

/** In memory, one change after the other. */
export function memoryRegistry(): Registry {
  const known = new Map<string, Registered>();
  return {
    list: () => [...known.values()],
    find: (kind, name) => known.get(`${kind}/${name}`),
    async change(kind, name, change, check) {
      const document = change(known.get(`${kind}/${name}`));
      if (document === undefined) {
        known.delete(`${kind}/${name}`);
        return undefined;
      }
      const next = registered(document, `/registry/${kind}.${name}.json`);
      check?.(next.resource);
      known.set(`${kind}/${name}`, next);
      return next;
    },
  };
}
