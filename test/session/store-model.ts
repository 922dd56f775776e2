// Random orders of operations, against a model that keeps nothing but what the contract says, in the plainest form.

import fc from 'fast-check';
import { expect } from 'vitest';
import type { SessionKey } from '../../src/core/ids.ts';
import { binding, recordOf, sessionKey } from '../fakes/sessions.ts';
import type { Form } from './forms.ts';

const keys = ['a', 'b', 'c'].map(sessionKey);
const instances = ['i1', 'i2', 'i3'];
const anyKey = fc.constantFrom(...keys);
const ends = ['ending', 'ended', 'revoked', undefined] as const;
const step = fc.oneof(
  fc.record({ do: fc.constant('create' as const), key: anyKey, life: fc.integer({ min: 1, max: 200_000 }) }),
  fc.record({ do: fc.constant('rebind' as const), key: anyKey, from: fc.nat(3), instance: fc.constantFrom(...instances, '') }),
  fc.record({ do: fc.constant('end' as const), key: anyKey, end: fc.constantFrom(...ends) }),
  fc.record({ do: fc.constant('claim' as const), key: anyKey }),
  fc.record({ do: fc.constant('revoke' as const), subject: fc.constantFrom('even', 'odd') }),
  fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 70_000 }) }),
  fc.record({ do: fc.constant('sweep' as const) }),
);

interface Session {
  readonly expiresAt: number;
  readonly subject: string;
  generation: number;
  instance: string;
  end: string | undefined;
  endingSince: number;
  claimed: number;
}

/** Each run gets an empty store. */
export async function anyOrderHolds(form: Form): Promise<void> {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const world = await form.open();
      const { store } = world.first;
      const { clock } = world;
      const model = new Map<SessionKey, Session>();
      const isOver = ({ end }: Session) => end === 'ended' || end === 'revoked';
      const alive = (of: SessionKey): Session | undefined => {
        const known = model.get(of);
        if (known?.end === 'ending' && clock.now - known.endingSince > 60_000) known.end = 'ended';
        return known && known.expiresAt > clock.now ? known : undefined;
      };
      const open = () => keys.filter((of) => alive(of) && !alive(of)?.end);

      try {
        for (const each of steps) {
          if (each.do === 'create' && !model.has(each.key)) {
            const expiresAt = clock.now + each.life;
            const subject = each.key === keys[0] ? 'odd' : 'even';
            model.set(each.key, { expiresAt, subject, generation: 0, instance: 'i1', end: undefined, endingSince: 0, claimed: 0 });
            await store.create(recordOf({ key: each.key, subject, expiresAt }));
          } else if (each.do === 'rebind') {
            const known = alive(each.key);
            if (known && known.end === undefined && known.generation === each.from) {
              known.generation += 1;
              known.instance = each.instance;
            }
            const answer = await store.rebind(each.key, each.from, binding(each.instance, 'up'));
            expect(answer?.generation).toBe(known?.end === undefined ? known?.generation : undefined);
          } else if (each.do === 'end') {
            const known = alive(each.key);
            if (known && !isOver(known)) {
              known.end = each.end;
              known.endingSince = clock.now;
            }
            await store.end(each.key, each.end);
          } else if (each.do === 'claim') {
            const known = alive(each.key);
            expect(await store.claimStream(each.key)).toBe(known !== undefined && known.claimed < known.generation);
            if (known) known.claimed = known.generation;
          } else if (each.do === 'revoke') {
            const mine = keys.filter((of) => alive(of)?.subject === each.subject);
            const opened = open().filter((of) => mine.includes(of)).length;
            for (const known of mine.map(alive)) if (known && !isOver(known)) known.end = 'ended';
            expect(await store.revokeCaller(each.subject, { issuer: 'local', subject: each.subject })).toBe(opened);
          } else if (each.do === 'wait') {
            clock.now += each.ms;
          } else if (each.do === 'sweep') {
            await world.sweep();
          }
          for (const of of keys) {
            const record = await store.read(of);
            const known = alive(of);
            expect(record && [record.end, record.binding.generation, record.binding.instance]).toEqual(
              known && [known.end, known.generation, known.instance],
            );
          }
          expect((await store.list({ limit: 10 })).map(({ key }) => key).toSorted()).toEqual(open().toSorted());
        }
        await world.sweep();
        const expected = instances.map((id) => [id, open().filter((of) => alive(of)?.instance === id).length]);
        expect(await world.counts(instances)).toEqual(Object.fromEntries(expected));
      } finally {
        await world.close();
      }
    }),
    { seed: 20260728, numRuns: form.runs },
  );
}
