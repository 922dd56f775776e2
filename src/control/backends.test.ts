// Backends as people see them: how healthy a set of instances is, who is on it, and what is never told.

import { expect, test } from 'vitest';
import { actorOf, memoryRegistry } from '../../test/fakes/control.ts';
import { parseResourceText } from '../config/resource-files.ts';
import type { BackendResource } from '../config/resources.ts';
import type { InstanceId } from '../core/ids.ts';
import type { BackendStatus } from '../runtime/local/backend.ts';
import type { InstanceStatus } from '../runtime/local/replica.ts';
import type { AuditEntry } from '../telemetry/audit-line.ts';
import { createBackendControl, type RestartOutcome } from './backends.ts';

const [viewer, operator] = [actorOf('viewer'), actorOf('operator')];

const declare = (name: string, spec: string): BackendResource =>
  parseResourceText(`{apiVersion: mcpgateway.dev/v1alpha1, kind: MCPBackend, metadata: {name: ${name}}, spec: {${spec}}}`, '/r/one.yaml')
    .resources[0] as BackendResource;

const instance = (over: Partial<InstanceStatus> = {}): InstanceStatus => ({
  ...{ id: 'i1' as InstanceId, pid: 7, address: '127.0.0.1:1', state: 'ready', restarts: 0, since: 0, lastError: undefined, log: '/l' },
  ...over,
});
const statusOf = (over: Partial<BackendStatus> = {}): BackendStatus => ({
  ...{ name: 'one', image: 'exec:x', desired: 1, ready: 1, updated: 1, instances: [instance()], message: '' },
  ...over,
});

function world({
  declared = [declare('one', 'image: "exec:./x"')],
  status = [statusOf()],
  counts = async () => new Map([['i1', 3]]),
  outcome = 'restarting',
}: {
  declared?: readonly BackendResource[];
  status?: readonly BackendStatus[];
  counts?: () => Promise<ReadonlyMap<string, number>>;
  outcome?: RestartOutcome;
} = {}) {
  const told: AuditEntry[] = [];
  const control = createBackendControl({
    declared: () => declared,
    registry: memoryRegistry(),
    imagePolicy: () => undefined,
    urlRefusal: () => undefined,
    status: () => status,
    countByInstance: counts as () => Promise<ReadonlyMap<InstanceId, number>>,
    baseUrl: () => 'https://gw.example.com',
    restart: () => outcome,
    endSessionsOn: async () => {},
    audit: (entry) => told.push(entry),
  });
  return { control, told };
}

const failing = instance({ id: undefined, state: 'restarting', lastError: 'exited with 1' });
const starting = instance({ state: 'starting' });

test.each([
  ['healthy', statusOf()],
  ['healthy', statusOf({ ready: 2, instances: [instance(), instance()] })],
  ['degraded', statusOf({ desired: 2, instances: [instance(), failing] })],
  ['degraded', statusOf({ updated: 0, instances: [failing, instance()], message: '0 of 1 ready (the previous processes go on serving)' })],
  ['starting', statusOf({ ready: 0, instances: [starting] })],
  ['unhealthy', statusOf({ ready: 0, instances: [failing] })],
  ['unhealthy', statusOf({ ready: 0, instances: [], message: 'needs a cluster' })],
  ['stopped', statusOf({ desired: 0, ready: 0, instances: [] })],
])('%s', async (health, status) => {
  expect(await world({ status: [status] }).control.get('one', viewer)).toMatchObject({ health });
});

test('a backend shows what is declared, but of its variables only the names', async () => {
  const spec = `image: "npm:@a/b@1.0.0", args: [--x], access: { tenants: [red] },
    env: [{ name: KEY, value: S3CRET }, { name: TOKEN, valueFrom: { secretKeyRef: { name: a, key: b } } }]`;
  const found = await world({ declared: [declare('one', spec)] }).control.get('one', viewer);
  expect(found).toMatchObject({
    image: 'npm:@a/b@1.0.0',
    url: 'https://gw.example.com/adapters/one/mcp',
    access: { tenants: ['red'] },
    env: [
      { name: 'KEY', from: 'value' },
      { name: 'TOKEN', from: 'secret' },
    ],
    sessions: 3,
    instances: [{ id: 'i1', pid: 7, sessions: 3, since: '1970-01-01T00:00:00.000Z', error: null }],
  });
  expect(JSON.stringify(found)).not.toContain('S3CRET');
});

test('without the store everything but the sessions is known', async () => {
  const { control } = world({ counts: async () => Promise.reject(new Error('gone')) });
  expect(await control.list(viewer)).toMatchObject([{ name: 'one', health: 'healthy', sessions: null, instances: [{ sessions: null }] }]);
});

test('backends come by name; others are not known', async () => {
  const { control } = world({ declared: [declare('two', 'url: "https://x.example/mcp"'), declare('one', 'image: "exec:./x"')] });
  expect((await control.list(viewer)).map(({ name, image }) => [name, image])).toEqual([
    ['one', 'exec:./x'],
    ['two', 'https://x.example/mcp'],
  ]);
  await expect(control.get('three', viewer)).rejects.toMatchObject({ code: 'missing', message: 'there is no backend three' });
});

test('only what runs here has a log', () => {
  const { control } = world({ status: [statusOf({ instances: [instance(), instance({ log: '' })] })] });
  expect(control.logOf('one', 0, operator)).toBeTypeOf('function');
  expect(() => control.logOf('one', 1, operator)).toThrow('one runs elsewhere: its log is there');
  expect(() => control.logOf('one', 2, operator)).toThrow('one has 2 instances');
  expect(() => control.logOf('two', 0, operator)).toThrow('there is no backend two');
});

test.each([
  ['restarting', 'done', undefined],
  ['unknown', 'refused', 'missing'],
  ['elsewhere', 'refused', 'elsewhere'],
  ['refused', 'refused', 'elsewhere'],
] as const)('a restart leaves a line whatever becomes of it (%s)', async (outcome, said, code) => {
  const { control, told } = world({ outcome });
  const restarted = control.restart('one', operator);
  if (code === undefined) await restarted;
  else await expect(restarted).rejects.toMatchObject({ code });
  const { issuer, subject } = operator;
  expect(told).toEqual([{ event: 'admin', action: 'backend.restart', target: 'one', issuer, subject, outcome: said }]);
});

test('a restart by somebody who may not is in the audit log, too', async () => {
  const { control, told } = world();
  await expect(control.restart('one', viewer)).rejects.toMatchObject({ code: 'forbidden' });
  expect(told).toEqual([expect.objectContaining({ action: 'backend.restart', subject: viewer.subject, outcome: 'refused' })]);
});

test('who may not register is told nothing about what was sent', async () => {
  const { control } = world();
  await expect(control.create({ nonsense: true }, viewer)).rejects.toMatchObject({ code: 'forbidden' });
});
