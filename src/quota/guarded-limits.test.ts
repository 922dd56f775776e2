// The guard around counters that do not answer, answer late, or answer wrongly.

import { afterEach, expect, it, vi } from 'vitest';
import { claimOf, freshTenant, session, windowOf } from '../../test/fakes/claims.ts';
import { eventually } from '../../test/harness/eventually.ts';
import { createGuardedLimits, type GuardedLimits, type GuardedLimitsOptions, type LimitsEvent } from './guarded-limits.ts';
import { createMemoryLimits } from './memory-limits.ts';
import type { Change, QuotaStore } from './quota-store.ts';

const HOUR_MS = 3_600_000;
let guarded: GuardedLimits | undefined;
afterEach(() => guarded?.close());

interface Fake {
  readonly limits: GuardedLimits;
  readonly store: QuotaStore;
  readonly told: Change[];
  readonly events: LimitsEvent[];
  /** What is asked from now on gets no answer, until `speak`. */
  silence(): void;
  speak(): void;
  asked(): number;
}

async function fake(options: Partial<GuardedLimitsOptions> = {}): Promise<Fake> {
  const memory = createMemoryLimits();
  const told: Change[] = [];
  const events: LimitsEvent[] = [];
  let silent: Promise<void> | undefined;
  let speak = (): void => {};
  let asked = 0;
  const store: QuotaStore = {
    async admit(claim) {
      asked += 1;
      // It counts the claim, although its answer comes too late.
      const verdict = await memory.admit(claim);
      await silent;
      return verdict;
    },
    async apply(changes) {
      await silent;
      told.push(...changes);
      await memory.apply(changes);
    },
    async beat(process) {
      await silent;
      return (await memory.beat(process)) + 1;
    },
    usage: memory.usage,
  };
  const limits = createGuardedLimits({ store, beatMs: HOUR_MS, onEvent: (event) => events.push(event), ...options });
  guarded = limits;
  await eventually(() => expect(limits.state()).toEqual({ down: false, live: 2 }));
  return {
    ...{ limits, store, told, events },
    asked: () => asked,
    silence() {
      silent = new Promise((resolve) => {
        speak = resolve;
      });
    },
    speak() {
      silent = undefined;
      speak();
    },
  };
}

it('waits once, then decides alone without asking', async () => {
  const { limits, asked, events, silence, speak } = await fake();
  silence();
  const tenant = freshTenant();
  const claim = (onOutage: 'deny' | 'allow-local') => claimOf(tenant, { windows: [windowOf(4)], onOutage });
  const started = performance.now();
  expect((await limits.admit(claim('deny'))).kind).toBe('unavailable');
  expect(performance.now() - started).toBeGreaterThanOrEqual(45);
  expect(limits.state().down).toBe(true);
  const verdicts = [];
  for (let i = 0; i < 3; i += 1) verdicts.push((await limits.admit(claim('allow-local'))).kind);
  // Two live, so that half of four may pass here.
  expect(verdicts).toEqual(['admitted', 'admitted', 'refused']);
  expect(asked()).toBe(1);
  expect(events).toEqual(['failed', 'denied', 'local', 'local', 'local']);
  speak();
  await eventually(() => expect(limits.state().down).toBe(false));
  expect((await limits.admit(claim('deny'))).kind).toBe('admitted');
});

it('gives back what was lent to a claim that was refused here meanwhile, and keeps what it let pass', async () => {
  const { limits, store, told, silence, speak } = await fake();
  const tenant = freshTenant();
  silence();
  const lent = { concurrent: 5, sessions: 5 };
  const refused = claimOf(tenant, { ...lent });
  const passed = claimOf(tenant, { ...lent, onOutage: 'allow-local' });
  const [one, two] = await Promise.all([limits.admit(refused), limits.admit(passed)]);
  expect([one.kind, two.kind]).toEqual(['unavailable', 'admitted']);
  speak();
  await eventually(() => expect(told.map(({ kind }) => kind)).toEqual(['release', 'free']));
  await eventually(async () => expect(await store.usage(tenant, [])).toMatchObject({ concurrent: 1, sessions: 1 }));
});

it('answers a repeated Check as before, whatever has happened since', async () => {
  const { limits, silence, asked } = await fake();
  const tenant = freshTenant();
  const claim = claimOf(tenant, { windows: [windowOf(1)], onOutage: 'deny' });
  const answer = await limits.admit(claim);
  expect(answer).toMatchObject({ kind: 'admitted', windows: [{ remaining: 0 }] });
  expect((await limits.admit(claimOf(tenant, { windows: [windowOf(1)] }))).kind).toBe('refused');
  expect(await limits.admit(claim)).toEqual(answer);
  silence();
  await limits.admit(claimOf(freshTenant()));
  expect(limits.state().down).toBe(true);
  expect(await limits.admit(claim)).toEqual(answer);
  expect((await limits.admit({ ...claim, tenant: freshTenant() })).kind).toBe('unavailable');
  expect(asked()).toBe(2);
});

it('tells everything that happens to leases and slots', async () => {
  const { limits, told } = await fake();
  const tenant = freshTenant();
  limits.prolong(tenant, 'r1');
  limits.release(tenant, 'r1');
  void limits.confirmSlot(tenant, 'r2', session('a'), 1_000);
  limits.keepSlots([{ tenant, session: session('b'), idleMs: 2_000 }]);
  limits.releaseSlot(tenant, session('a'));
  await eventually(() => expect(told).toHaveLength(5));
  expect(told).toEqual([
    { kind: 'prolong', tenant, requestId: 'r1' },
    { kind: 'release', tenant, requestId: 'r1' },
    { kind: 'confirm', tenant, requestId: 'r2', session: session('a'), idleMs: 1_000 },
    { kind: 'keep', tenant, session: session('b'), idleMs: 2_000 },
    { kind: 'free', tenant, member: session('a') },
  ]);
});

it('does not count sessions of an outage that is none', async () => {
  const { limits, silence } = await fake();
  const tenant = freshTenant();
  void limits.confirmSlot(tenant, 'r', session('a'), HOUR_MS);
  silence();
  await limits.admit(claimOf(tenant));
  const open = () => claimOf(tenant, { sessions: 4, onOutage: 'allow-local' });
  limits.keepSlots([{ tenant, session: session('b'), idleMs: HOUR_MS }]);
  expect((await limits.admit(open())).kind).toBe('admitted');
  expect(await limits.admit(open())).toMatchObject({ kind: 'refused', why: 'sessions' });
});

it('treats an error of the counters like an outage', async () => {
  const onDown = vi.fn<(error: Error) => void>();
  const { limits, store } = await fake({ onDown });
  store.admit = async () => {
    throw new Error('OOM command not allowed');
  };
  expect((await limits.admit(claimOf(freshTenant()))).kind).toBe('unavailable');
  expect(onDown).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ message: 'OOM command not allowed' }));
  expect((await limits.admit(claimOf(freshTenant(), { onOutage: 'allow-local' }))).kind).toBe('admitted');
});

it('notices an outage by its heartbeat, before any claim does', async () => {
  const { limits, silence, asked } = await fake({ beatMs: 20 });
  silence();
  await eventually(() => expect(limits.state().down).toBe(true));
  expect(asked()).toBe(0);
});

it('is not counted where it admits nobody, and hears the number all the same', async () => {
  const store = createMemoryLimits();
  const watcher = createGuardedLimits({ store, alive: false, beatMs: 10 });
  const sidecars = [createGuardedLimits({ store }), createGuardedLimits({ store })];
  try {
    await eventually(() => expect(watcher.state()).toEqual({ down: false, live: 2 }));
  } finally {
    for (const each of [watcher, ...sidecars]) each.close();
  }
});
