// The controller against a real API server and controller manager: what it makes, what it leaves alone, and what it does not write.

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { KubeApi } from '../../src/runtime/k8s/api.ts';
import {
  DEPLOYMENTS,
  DISRUPTION_BUDGETS,
  EVENTS,
  NETWORK_POLICIES,
  OWNED_KINDS,
  SERVICE_ACCOUNTS,
  SERVICES,
  STATEFUL_SETS,
} from '../../src/runtime/k8s/controller/kinds.ts';
import { instanceIdOf, type Pod } from '../../src/runtime/k8s/instances.ts';
import { type KubeObject, MCP_BACKENDS, MCP_TENANTS, PODS } from '../../src/runtime/k8s/objects.ts';
import { waitFor } from '../harness/wait-for.ts';
import { createWorld, quiet, type Seen, type World, workload } from './controller-world.ts';

const image = 'ghcr.io/acme/server:1.0';
let world: World;

beforeAll(async () => {
  world = await createWorld();
});
afterEach(() => world?.closeControllers());
afterAll(() => world?.close());

/** Resource versions of everything that the controller may write. */
async function versions(): Promise<Record<string, string | undefined>> {
  const found: Record<string, string | undefined> = {};
  for (const kind of [...OWNED_KINDS, MCP_BACKENDS, MCP_TENANTS]) {
    for (const { metadata } of await world.list(kind)) found[`${kind.plural}/${metadata.name}`] = metadata.resourceVersion;
  }
  return found;
}

const templateOf = (workload: Seen | undefined): unknown => JSON.stringify(workload?.['spec'].template);

describe('what a backend consists of', () => {
  it('is made, accepted by restricted pod security, and reported', async () => {
    world.controller('first');
    await world.declare('github', {
      image,
      replicas: 2,
      args: ['--port', '$(PORT)', 'a$(HOME)b'],
      env: [
        { name: 'EMPTY', value: '' },
        { name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'github', key: 'token' } } },
      ],
      resources: { requests: { cpu: '1000m', memory: '1024Mi' }, limits: { memory: '2Gi' } },
    });
    await waitFor('two pods', async () => (await world.list(PODS)).length === 2);
    for (const kind of [DEPLOYMENTS, SERVICES, SERVICE_ACCOUNTS, NETWORK_POLICIES, DISRUPTION_BUDGETS]) {
      const object = await world.get(kind, 'github');
      expect(object?.metadata.labels, kind.kind).toMatchObject({ 'app.kubernetes.io/managed-by': 'mcp-gateway' });
      expect(object?.metadata.ownerReferences, kind.kind).toMatchObject([{ kind: 'MCPBackend', name: 'github', controller: true }]);
    }
    await world.makeReady('github');
    await waitFor('Ready', async () => (await world.condition('github', 'Ready'))?.status === 'True');
    const status = (await world.get(MCP_BACKENDS, 'github'))?.['status'];
    expect(status).toMatchObject({ replicas: 2, readyReplicas: 2, updatedReplicas: 2, message: '', observedGeneration: 1 });
    expect(await world.condition('github', 'Progressing')).toMatchObject({ status: 'False', reason: 'Complete' });
    expect(await world.condition('github', 'Degraded')).toMatchObject({ status: 'False' });
    const events = await waitFor('an event', async () => {
      const all = (await world.list(EVENTS)).filter(({ regarding }) => regarding.kind === 'MCPBackend');
      return all.length > 0 && all;
    });
    expect(events).toMatchObject([{ reason: 'Serving', type: 'Normal', regarding: { name: 'github' } }]);
  });

  it('is not written again when nothing has changed', async () => {
    await quiet(world);
    const before = await versions();
    world.writes.length = 0;
    const controller = world.controller('second');
    await controller.synced;
    await waitFor('a leader', controller.isLeader);
    for (let round = 0; round < 5; round += 1) {
      controller.look('github');
      await quiet(world, 300);
    }
    expect(world.work()).toEqual([]);
    expect(await versions()).toEqual(before);
  });

  it('keeps its pods when only policy changes', async () => {
    world.controller('third');
    const before = await world.get(DEPLOYMENTS, 'github');
    const spec = (await world.get(MCP_BACKENDS, 'github'))?.['spec'];
    const access = { tenants: ['engineering'] };
    await world.declare('github', { ...spec, access, sessions: { idleTimeout: '5m', maxAge: '1d' }, scaling: { startTimeout: '60s' } });
    await waitFor('observed', async () => (await world.get(MCP_BACKENDS, 'github'))?.['status'].observedGeneration === 2);
    expect((await world.get(DEPLOYMENTS, 'github'))?.metadata.generation).toBe(before?.metadata.generation);
    await world.declare('github', { ...spec, image: 'ghcr.io/acme/server:2.0' });
    await waitFor('rolled', async () => templateOf(await world.get(DEPLOYMENTS, 'github')) !== templateOf(before));
  });

  it('is mended when somebody changes it, and loses what is no longer wanted', async () => {
    world.controller('fourth');
    const manager = { fieldManager: 'somebody', force: true };
    const metadata = { name: 'github', namespace: world.namespace };
    await world.api.apply(
      SERVICES,
      { metadata, spec: { ports: [{ name: 'mcp', port: 8000, targetPort: 'other', protocol: 'TCP' }] } },
      manager,
    );
    await waitFor('mended', async () => (await world.get(SERVICES, 'github'))?.['spec'].ports[0].targetPort === 'mcp');
    await world.api.delete(NETWORK_POLICIES, 'github', world.namespace);
    await waitFor('made again', () => world.get(NETWORK_POLICIES, 'github'));
    await world.declare('github', { image, replicas: 1 });
    await waitFor('no budget', async () => !(await world.get(DISRUPTION_BUDGETS, 'github')));
    const server = (await world.get(DEPLOYMENTS, 'github'))?.['spec'].template.spec.containers[0];
    expect(server.env).toEqual([{ name: 'PORT', value: '8000' }]);
  });

  it('goes with the backend', { timeout: 120_000 }, async () => {
    world.controller('fifth');
    await world.api.delete(MCP_BACKENDS, 'github', world.namespace);
    const left = async (): Promise<boolean> => {
      const all = await Promise.all([...OWNED_KINDS, PODS].map((kind) => world.list(kind)));
      return all.flat().every(({ metadata }) => metadata.labels?.['mcpgateway.dev/backend'] !== 'github');
    };
    // The garbage collector looks for new kinds every 30 s.
    await waitFor('nothing left', left, { timeoutMs: 90_000 });
  });

  it('is made anew for a backend of the same name', async () => {
    world.controller('sixth');
    const first = await world.declare('again', { image });
    await waitFor('made', () => world.get(DEPLOYMENTS, 'again'));
    await world.api.delete(MCP_BACKENDS, 'again', world.namespace);
    const second = await world.declare('again', { image });
    expect(second.metadata.uid).not.toBe(first.metadata.uid);
    await waitFor('made anew', async () => {
      const objects = await Promise.all(
        [DEPLOYMENTS, SERVICES, SERVICE_ACCOUNTS, NETWORK_POLICIES].map((kind) => world.get(kind, 'again')),
      );
      return objects.every((object) => object?.metadata.ownerReferences?.[0]?.uid === second.metadata.uid);
    });
    expect((await world.condition('again', 'Degraded'))?.status).toBe('False');
  });
});

describe('what is not the controller’s', () => {
  it('is neither taken over nor changed, and the backend says so', async () => {
    const controller = world.controller('one');
    const foreign: KubeObject = {
      metadata: { name: 'taken', namespace: world.namespace, labels: { app: 'other' } },
      spec: { selector: { app: 'other' }, ports: [{ port: 80 }] },
    };
    const before = await world.api.create(SERVICES, foreign);
    await world.declare('taken', { image });
    await waitFor('NameTaken', async () => (await world.condition('taken', 'Degraded'))?.reason === 'NameTaken');
    expect((await world.condition('taken', 'Degraded'))?.message).toMatch(/^Service taken in namespace .* was not made for this backend/);
    expect(await world.get(SERVICES, 'taken')).toEqual(before);
    expect(await world.get(DEPLOYMENTS, 'taken')).toBeUndefined();
    expect(await world.get(SERVICE_ACCOUNTS, 'taken')).toBeUndefined();
    await world.api.delete(SERVICES, 'taken', world.namespace);
    controller.look('taken');
    await waitFor('made', () => world.get(DEPLOYMENTS, 'taken'));
    await waitFor('mended', async () => (await world.condition('taken', 'Degraded'))?.status === 'False');
  });

  it.each([
    { what: 'in the way', kind: SERVICES, content: { spec: { selector: { app: 'other' }, ports: [{ name: 'mcp', port: 80 }] } } },
    { what: 'of which nothing is in the way', kind: SERVICE_ACCOUNTS, content: { metadata: { labels: { app: 'other' } } } },
  ])('is left as it was when it appears while we look: $what', async ({ kind, content }) => {
    const name = `race-${kind.plural}`;
    const metadata = { ...(content as Partial<KubeObject>).metadata, name, namespace: world.namespace };
    let foreign: Seen | undefined;
    const racing: KubeApi = {
      ...world.own.api,
      async get(...call) {
        const found = await world.own.api.get(...call);
        if (!found && !foreign && call[0].plural === kind.plural && call[1] === name) {
          foreign = (await world.api.create(kind, { ...content, metadata })) as Seen;
        }
        return found as never;
      },
    };
    world.controller('racing', { api: racing });
    await world.declare(name, { image });
    await waitFor('NameTaken', async () => (await world.condition(name, 'Degraded'))?.reason === 'NameTaken');
    const { metadata: after, ...rest } = (await world.get(kind, name)) as Seen;
    const { metadata: before, ...restBefore } = foreign as Seen;
    expect(rest).toEqual(restBefore);
    expect([after.labels, after.annotations, after.ownerReferences]).toEqual([before.labels, before.annotations, before.ownerReferences]);
    expect(await world.get(DEPLOYMENTS, name)).toBeUndefined();
    await world.api.delete(MCP_BACKENDS, name, world.namespace);
  });
});

describe('a change of what runs', () => {
  it('to storage and back: what serves goes when its replacement is ready', async () => {
    world.controller('storage');
    await world.declare('files', { image });
    await waitFor('a pod', async () => (await world.list(PODS)).some(({ metadata }) => metadata.name.startsWith('files-')));
    await world.makeReady('files');
    await waitFor('Ready', async () => (await world.condition('files', 'Ready'))?.status === 'True');

    await world.declare('files', { image, storage: { size: '1Gi' } });
    await waitFor('a StatefulSet', () => world.get(STATEFUL_SETS, 'files'));
    await quiet(world);
    expect(await world.get(DEPLOYMENTS, 'files')).toBeDefined();
    expect(await world.condition('files', 'Ready')).toMatchObject({ status: 'True' });
    expect(await world.condition('files', 'Progressing')).toMatchObject({ status: 'True', reason: 'RollingOut' });
    await waitFor('its pod', async () => (await world.list(PODS)).some(({ metadata }) => metadata.name === 'files-0'));
    await world.makeReady('files');
    await waitFor('no Deployment', async () => !(await world.get(DEPLOYMENTS, 'files')));
    expect(await world.get(SERVICES, 'files-headless')).toBeDefined();

    await world.declare('files', { image, storage: { size: '2Gi' } });
    await waitFor('StorageKept', async () => (await world.condition('files', 'Degraded'))?.reason === 'StorageKept');
    expect((await world.get(STATEFUL_SETS, 'files'))?.['spec'].volumeClaimTemplates[0].spec.resources.requests.storage).toBe('1Gi');

    await world.declare('files', { image });
    await waitFor('a Deployment', () => world.get(DEPLOYMENTS, 'files'));
    await waitFor('its pod', async () => (await world.list(PODS)).some(({ metadata }) => /^files-.*-/.test(metadata.name)));
    await world.makeReady('files');
    await waitFor('no StatefulSet', async () => !(await world.get(STATEFUL_SETS, 'files')));
    await waitFor('no governing Service', async () => !(await world.get(SERVICES, 'files-headless')));
  });

  it('to a url: nothing of it is left', async () => {
    world.controller('remote');
    await world.declare('away', { image });
    await waitFor('made', () => world.get(DEPLOYMENTS, 'away'));
    await world.api.delete(MCP_BACKENDS, 'away', world.namespace);
    await waitFor('gone', async () => !(await world.get(DEPLOYMENTS, 'away')));
    await world.declare('away', { url: 'https://mcp.example.com/mcp' });
    await waitFor('Ready', async () => (await world.condition('away', 'Ready'))?.reason === 'Remote');
    await world.api.patch(MCP_BACKENDS, 'away', world.namespace, { spec: { url: null, image } });
    await waitFor('made', () => world.get(DEPLOYMENTS, 'away'));
    await world.api.patch(MCP_BACKENDS, 'away', world.namespace, { spec: { url: 'https://mcp.example.com/mcp', image: null } });
    await waitFor('nothing left', async () =>
      (await Promise.all(OWNED_KINDS.map((kind) => world.get(kind, 'away')))).every((found) => !found),
    );
  });

  it('to no pods and back, as the hook says', async () => {
    let replicas = 0;
    const controller = world.controller('zero', { hooks: { replicasWanted: () => replicas, sessionsOn: () => 0 } });
    await world.declare('sleepy', { image, scaling: { toZeroAfter: '1m' } });
    await waitFor('asleep', async () => (await world.condition('sleepy', 'Ready'))?.reason === 'ScaledToZero');
    expect((await world.get(DEPLOYMENTS, 'sleepy'))?.['spec'].replicas).toBe(0);
    replicas = 1;
    controller.look('sleepy');
    await waitFor('awake', async () => (await world.get(DEPLOYMENTS, 'sleepy'))?.['spec'].replicas === 1);
  });

  it('to another version of the gateway replaces no pod; the drain agent comes along when something else does', async () => {
    const first = world.controller('old-version');
    await world.declare('kept', { image });
    await waitFor('a pod', async () => (await world.get(DEPLOYMENTS, 'kept'))?.['status']?.replicas === 1);
    const before = await world.get(DEPLOYMENTS, 'kept');
    await first.close();
    world.controller('new-version', { workload: { ...workload, runnerImage: 'registry.example/runner:2' } });
    const drainOf = (deployment: Seen | undefined): string => deployment?.['spec'].template.spec.initContainers[0].image;
    await world.declare('kept', { image, replicas: 2 });
    await waitFor('scaled', async () => (await world.get(DEPLOYMENTS, 'kept'))?.['spec'].replicas === 2);
    expect(templateOf(await world.get(DEPLOYMENTS, 'kept'))).toBe(templateOf(before));
    await world.declare('kept', { image, replicas: 2, args: ['--other'] });
    await waitFor('replaced', async () => templateOf(await world.get(DEPLOYMENTS, 'kept')) !== templateOf(before));
    expect(drainOf(before)).toBe('registry.example/runner:1');
    expect(drainOf(await world.get(DEPLOYMENTS, 'kept'))).toBe('registry.example/runner:2');
  });

  it('to fewer pods: the one with the most sessions stays, and the order is not written more often than it has to be', async () => {
    let replicas = 3;
    const sessions = new Map<string, number>();
    const sessionsOn = (instances: readonly string[]): number => instances.reduce((sum, each) => sum + (sessions.get(each) ?? 0), 0);
    const controller = world.controller('fewer', { hooks: { replicasWanted: () => replicas, sessionsOn } });
    await world.declare('many', { image });
    const pods = await waitFor('three pods', async () => {
      const own = (await world.list(PODS)).filter(({ metadata }) => metadata.labels?.['mcpgateway.dev/backend'] === 'many');
      return own.length === 3 && own;
    });
    await world.makeReady('many');
    await waitFor('Ready', async () => (await world.condition('many', 'Ready'))?.status === 'True');
    // The oldest and the youngest are equally old here: the cluster alone would take any of them.
    const [busy, , used] = pods.map((pod) => instanceIdOf(pod as Pod));
    sessions.set(busy ?? '', 12);
    sessions.set(used ?? '', 3);
    controller.look('many');
    await waitFor('counted', async () => (await world.get(MCP_BACKENDS, 'many'))?.['status'].sessions === 15, { timeoutMs: 40_000 });
    world.writes.length = 0;
    replicas = 1;
    controller.look('many');
    const left = await waitFor('one pod', async () => {
      const own = (await world.list(PODS)).filter(({ metadata }) => metadata.labels?.['mcpgateway.dev/backend'] === 'many');
      return own.length === 1 && own;
    });
    expect(left.map((pod) => instanceIdOf(pod as Pod))).toEqual([busy]);
    expect(world.work().filter(({ kind }) => kind === 'pods').length).toBeLessThanOrEqual(2);
  });

  it('is made anyway when one backend makes no sense; that one says why', async () => {
    world.controller('sense');
    await world.api.create(MCP_TENANTS, { metadata: { name: 'engineering', namespace: world.namespace }, spec: { priority: 1 } });
    // What the rules of the custom resource cannot see, and a name that a file may have and a Secret may not.
    await world.declare('bare', { url: 'https://mcp.example.com:99999/' });
    const env = [{ name: 'KEY', valueFrom: { secretKeyRef: { name: 'My_Secret', key: 'k' } } }];
    await world.declare('odd', { image, env });
    await world.declare('good', { image });
    for (const name of ['bare', 'odd']) {
      await waitFor('InvalidSpec', async () => (await world.condition(name, 'Degraded'))?.reason === 'InvalidSpec');
    }
    await waitFor('made', () => world.get(DEPLOYMENTS, 'good'));
    await waitFor('tenant', async () => (await world.get(MCP_TENANTS, 'engineering'))?.['status']?.conditions[0].status === 'True');
  });
});
