// The controller through failures: killed after each of its writes, two of them at once, a leader that is cut off, watches that have expired.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { KubeApi } from '../../src/runtime/k8s/api.ts';
import { DEPLOYMENTS, LEASES, OWNED_KINDS } from '../../src/runtime/k8s/controller/kinds.ts';
import type { KubeObject } from '../../src/runtime/k8s/objects.ts';
import type { Transport } from '../../src/runtime/k8s/transport.ts';
import { waitFor } from '../harness/wait-for.ts';
import { createWorld, mortal, QUICK_LEASE, quiet, STEADY_LEASE, type World, type Write } from './controller-world.ts';

const image = 'ghcr.io/acme/server:1.0';
/** Steps of one backend's life: more than any of them has writes. */
const MAX_STEPS = 25;
let world: World;

beforeAll(async () => {
  world = await createWorld();
});
afterEach(() => world?.closeControllers());
afterAll(() => world?.close());

/** The objects of a backend without what differs between two of the same declaration. */
async function objectsOf(name: string): Promise<unknown[]> {
  const found = await Promise.all(OWNED_KINDS.map((kind) => world.list(kind)));
  return found
    .flat()
    .filter(({ metadata }) => metadata.labels?.['mcpgateway.dev/backend'] === name)
    .map(({ metadata, spec }) => {
      const { clusterIP: _, clusterIPs: __, ...rest } = (spec ?? {}) as Record<string, unknown>;
      return JSON.parse(JSON.stringify({ name: metadata.name, labels: metadata.labels, spec: rest }).replaceAll(name, 'NAME')) as unknown;
    });
}

async function observed(name: string, generation: number): Promise<boolean> {
  return ((await world.condition(name, 'Progressing')) as { observedGeneration?: number } | undefined)?.observedGeneration === generation;
}

async function settled(name: string, generation: number): Promise<void> {
  await waitFor(`${name} settled`, () => observed(name, generation));
  await quiet(world, 400);
}

const before = { image, replicas: 2, args: ['--first'] };
const changed = { image, replicas: 2, args: ['--second'], port: 9000 };
const after = { image, replicas: 1, port: 9000, storage: { size: '1Gi' } };

it('converges when it is killed after any of its writes, its answer lost', { timeout: 300_000 }, async () => {
  const declared = [before, changed, after];
  const reference = world.controller('reference');
  const wanted: unknown[][] = [];
  for (const [at, spec] of declared.entries()) {
    await world.declare('reference', spec);
    await settled('reference', at + 1);
    wanted.push(await objectsOf('reference'));
  }
  await reference.close();

  let steps = 0;
  for (let step = 1; step <= MAX_STEPS; step += 1) {
    const name = `step-${step}`;
    for (const [at, spec] of declared.entries()) {
      const { api, isDead } = mortal(world.own.api, step);
      const victim = world.controller(`victim-${step}`, { api });
      await waitFor('a leader', victim.isLeader);
      await world.declare(name, spec);
      await waitFor('killed, or done', async () => isDead() || (await observed(name, at + 1)));
      if (isDead()) steps = step;
      await victim.close();
      const successor = world.controller(`successor-${step}`);
      await settled(name, at + 1);
      expect(await objectsOf(name), `${name}, declaration ${at + 1}`).toEqual(wanted[at]);
      await successor.close();
    }
    if (steps < step) break;
  }
  expect(steps).toBeGreaterThan(5);
  process.stdout.write(`killed at each of ${steps} steps\n`);
});

describe('two controllers', () => {
  const spans = (writes: readonly Write[], by: string): { from: number; to: number } | undefined => {
    const own = writes.filter((write) => write.by === by && write.kind !== 'leases');
    return own.length === 0 ? undefined : { from: Math.min(...own.map(({ from }) => from)), to: Math.max(...own.map(({ to }) => to)) };
  };

  it('hand over at once when the leader stops, and never write at the same time', async () => {
    world.writes.length = 0;
    const lease = STEADY_LEASE;
    const [one, two] = [world.controller('one', { leaseTiming: lease }), world.controller('two', { leaseTiming: lease })];
    const leader = await waitFor('a leader', () => [one, two].find((each) => each.isLeader()));
    const other = leader === one ? two : one;
    const [first, second] = leader === one ? ['one', 'two'] : ['two', 'one'];
    for (let at = 0; at < 10; at += 1) await world.declare(`shared-${at}`, { image });
    await waitFor('work', () => world.work().length > 5);
    const closedAt = performance.now();
    await leader.close();
    await waitFor('the other one', other.isLeader);
    const tookMs = performance.now() - closedAt;
    expect(tookMs).toBeLessThan(5_000);
    for (let at = 0; at < 10; at += 1) await world.declare(`shared-${at}`, { image, replicas: 2 });
    await waitFor('all done', async () => {
      const workloads = (await world.list(DEPLOYMENTS)).filter(({ metadata }) => metadata.name.startsWith('shared-'));
      return workloads.length === 10 && workloads.every(({ spec }) => spec.replicas === 2);
    });
    const [a, b] = [spans(world.writes, first ?? ''), spans(world.writes, second ?? '')];
    expect(a && b && a.to <= b.from).toBe(true);
    await other.close();
    process.stdout.write(`hand-over after a clean stop: ${Math.round(tookMs)} ms\n`);
  });

  it('a leader that is cut off stops before the other one begins, and what it had in flight is not written', async () => {
    world.writes.length = 0;
    let cut = false;
    const never = (signal: AbortSignal | undefined): Promise<never> =>
      new Promise((_, reject) => {
        if (signal?.aborted) reject(signal.reason as Error);
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
    const cuttable: KubeApi = {
      get: (kind, name, namespace, signal) => (cut ? never(signal) : world.own.api.get(kind, name, namespace, signal)),
      create: (kind, object, signal) => (cut ? never(signal) : world.own.api.create(kind, object, signal)),
      replace: (kind, object, signal, sub) => (cut ? never(signal) : world.own.api.replace(kind, object, signal, sub)),
      apply: (kind, object, options, signal) => (cut ? never(signal) : world.own.api.apply(kind, object, options, signal)),
      patch: (kind, name, namespace, change, signal, sub) =>
        cut ? never(signal) : world.own.api.patch(kind, name, namespace, change, signal, sub),
      delete: (kind, name, namespace, options, signal) =>
        cut ? never(signal) : world.own.api.delete(kind, name, namespace, options, signal),
    };
    const old = world.controller('old', { api: cuttable });
    await waitFor('a leader', old.isLeader);
    const next = world.controller('next');
    await world.declare('cut', { image });
    await waitFor('made', () => world.get(DEPLOYMENTS, 'cut'));
    cut = true;
    const cutAt = performance.now();
    await world.declare('cut', { image, replicas: 2 });
    await waitFor('the old one has stopped', () => !old.isLeader());
    const stoppedMs = performance.now() - cutAt;
    expect(next.isLeader()).toBe(false);
    await waitFor('the next one', next.isLeader);
    const tookMs = performance.now() - cutAt;
    cut = false;
    await waitFor('two', async () => (await world.get(DEPLOYMENTS, 'cut'))?.['spec'].replicas === 2);
    await quiet(world);
    expect(old.isLeader()).toBe(false);
    const began = spans(world.writes, 'next')?.from ?? 0;
    expect(world.work().filter(({ by, to }) => by === 'old' && to > began)).toEqual([]);
    process.stdout.write(
      `a leader that is cut off stops after ${Math.round(stoppedMs)} ms, the next one leads after ${Math.round(tookMs)} ms (lease: ${QUICK_LEASE.leaseMs} ms)\n`,
    );
    expect(stoppedMs).toBeLessThanOrEqual(QUICK_LEASE.deadlineMs + 500);
    expect(tookMs).toBeLessThan(2 * QUICK_LEASE.leaseMs);
    await Promise.all([old.close(), next.close()]);
  });

  it('a lease that somebody else takes is lost at once', async () => {
    const controller = world.controller('loser');
    await waitFor('a leader', controller.isLeader);
    const lease = (await world.api.get(LEASES, 'mcp-gateway-controller', world.gatewayNamespace)) as KubeObject;
    const spec = { ...(lease['spec'] as object), holderIdentity: 'thief' };
    await world.api.patch(LEASES, lease.metadata.name, world.gatewayNamespace, { spec });
    await waitFor('it has stopped', () => !controller.isLeader());
    expect(controller.leader()).toBe('thief');
    // The thief never renews: by and by the lease is free again.
    await waitFor('leader again', controller.isLeader);
    await controller.close();
  });
});

it('goes on when watches have expired (410 Gone) and when they break in the middle', async () => {
  let asked = 0;
  const broken: Transport = {
    ...world.own.transport,
    // Every other watch asks for a version that the server has long forgotten, or is cut off soon.
    async open(request) {
      if (!request.path.includes('watch=true')) return world.own.transport.open(request);
      asked += 1;
      if (asked % 3 === 1)
        return world.own.transport.open({ ...request, path: request.path.replace(/resourceVersion=\d+/, 'resourceVersion=1') });
      const answer = await world.own.transport.open(request);
      if (asked % 3 === 2) setTimeout(() => answer.destroy(new Error('cut off')), 300);
      return answer;
    },
  };
  const controller = world.controller('watching', { transport: broken });
  for (let at = 0; at < 5; at += 1) {
    await world.declare(`gone-${at}`, { image });
    await waitFor('made', () => world.get(DEPLOYMENTS, `gone-${at}`));
  }
  expect(asked).toBeGreaterThan(9);
  await controller.close();
});
