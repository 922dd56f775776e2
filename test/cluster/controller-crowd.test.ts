// The controller with many backends at once, and while the API server is away.

import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { DEPLOYMENTS, EVENTS, OWNED_KINDS, SERVICES } from '../../src/runtime/k8s/controller/kinds.ts';
import { MCP_BACKENDS, PODS } from '../../src/runtime/k8s/objects.ts';
import { waitFor } from '../harness/wait-for.ts';
import { createWorld, quiet, type Seen, STEADY_LEASE, type World } from './controller-world.ts';

const image = 'ghcr.io/acme/server:1.0';
const CROWD = 200;
let world: World;

beforeAll(async () => {
  world = await createWorld();
});
afterEach(() => world?.closeControllers());
afterAll(() => world?.close());

const names = Array.from({ length: CROWD }, (_, at) => `crowd-${at}`);
const timed = async (what: string, work: () => Promise<void>): Promise<void> => {
  const from = performance.now();
  const writes = world.work().length;
  await work();
  const seconds = (to: number): string => `${((to - from) / 1000).toFixed(1)} s`;
  const own = world.work().slice(writes);
  const objects = own.filter(({ kind }) => kind !== MCP_BACKENDS.plural && kind !== EVENTS.plural);
  const made = seconds(Math.max(from, ...objects.map(({ to }) => to)));
  process.stdout.write(
    `${what}: objects written after ${made}, all done and reported after ${seconds(performance.now())}; ${own.length} writes\n`,
  );
};

it(`${CROWD} backends created, changed and deleted at once converge`, { timeout: 300_000 }, async () => {
  // The pods would be the cluster's work, not ours.
  const hooks = { replicasWanted: () => 0, sessionsOn: () => 0 };
  const controller = world.controller('crowd', { hooks, leaseTiming: STEADY_LEASE });
  await waitFor('a leader', controller.isLeader);
  // Its own copy: asking the API server for all of them all the time would be most of the work.
  const backendsSeen = (): readonly Seen[] => [...controller.view.backends.values()] as Seen[];
  const allComplete = (generation: number): boolean => {
    const complete = backendsSeen().filter(
      ({ status }) => status?.observedGeneration === generation && status.conditions[1].reason === 'Complete',
    );
    if (complete.length === CROWD) return true;
    const other = backendsSeen().find((each) => !complete.includes(each));
    const deployment = controller.view.owned(DEPLOYMENTS, `${world.namespace}/${other?.metadata.name}`);
    throw new Error(`${complete.length} are complete; one that is not: ${JSON.stringify([other, deployment])}`);
  };

  await timed(`${CROWD} created`, async () => {
    await Promise.all(names.map((name) => world.declare(name, { image })));
    await waitFor('all made and reported', () => allComplete(1), { timeoutMs: 120_000 });
  });
  for (const kind of [DEPLOYMENTS, SERVICES])
    expect((await world.list(kind)).filter(({ metadata }) => names.includes(metadata.name))).toHaveLength(CROWD);

  await timed(`${CROWD} changed`, async () => {
    await Promise.all(names.map((name) => world.declare(name, { image: 'ghcr.io/acme/server:2.0', port: 9000 })));
    await waitFor('all changed and reported', () => allComplete(2), { timeoutMs: 120_000 });
  });

  for (const { spec } of await world.list(DEPLOYMENTS)) expect(spec.template.spec.containers[0].image).toBe('ghcr.io/acme/server:2.0');
  const services = (await world.list(SERVICES)).filter(({ metadata }) => names.includes(metadata.name));
  expect(services.map(({ spec }) => spec.ports[0].port)).toEqual(names.map(() => 9000));

  await quiet(world, 2_000);
  const before = world.work().length;
  for (const name of names) controller.look(name);
  await quiet(world, 2_000);
  expect(world.work().length).toBe(before);

  await timed(`${CROWD} deleted, with what they owned`, async () => {
    await Promise.all(names.map((name) => world.api.delete(MCP_BACKENDS, name, world.namespace)));
    await waitFor(
      'nothing left',
      async () =>
        (await Promise.all(OWNED_KINDS.map((kind) => world.list(kind)))).flat().every(({ metadata }) => !names.includes(metadata.name)),
      { timeoutMs: 180_000 },
    );
  });
});

it('goes on when the API server is killed in the middle, and tells nobody anything wrong meanwhile', { timeout: 180_000 }, async () => {
  const controller = world.controller('through', { leaseTiming: STEADY_LEASE });
  await waitFor('a leader', controller.isLeader);
  const some = names.slice(0, 20);
  const before = world.work().length;
  await Promise.all(some.map((name) => world.declare(name, { image })));
  await waitFor('begun', () => world.work().length > before + 10);
  await world.server.kill();
  await waitFor('it has noticed', () => !controller.isLeader() && !controller.connected());
  expect(controller.view.backends.size).toBeGreaterThan(0);
  await world.server.start();
  const from = performance.now();
  await world.declare('late', { image });
  await waitFor(
    'all made',
    async () => {
      const made = (await world.list(DEPLOYMENTS)).map(({ metadata }) => metadata.name);
      return [...some, 'late'].every((name) => made.includes(name));
    },
    { timeoutMs: 90_000 },
  );
  process.stdout.write(`converged ${((performance.now() - from) / 1000).toFixed(1)} s after the API server was back\n`);
  await waitFor('pods', async () => (await world.list(PODS)).length >= 21);
  // Gone while nobody could watch: what is left of it goes as well.
  await world.server.kill();
  await world.server.start();
  await world.api.delete(MCP_BACKENDS, 'late', world.namespace);
  await waitFor('seen', () => !controller.view.backends.has(`${world.namespace}/late`));
  await waitFor('gone', async () => !(await world.get(DEPLOYMENTS, 'late')), { timeoutMs: 60_000 });
});
