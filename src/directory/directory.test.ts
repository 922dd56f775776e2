// The directory: immutable snapshots, listeners, waiting for an instance, and its copy in another process.

import { afterEach, describe, expect, test } from 'vitest';
import { backendOf, directoryOf, instanceOf } from '../../test/fakes/backends.ts';
import { type Link, openLink } from '../../test/fakes/link.ts';
import type { BackendName, TenantId } from '../core/ids.ts';
import { createDirectory } from './directory.ts';
import { followDirectory, isFollowed, publishDirectory } from './directory-link.ts';
import type { Instance, Snapshot, TenantPolicy } from './snapshot.ts';

const memory = 'memory' as BackendName;
const ready = ({ state }: Instance): boolean => state === 'ready';
const never = new AbortController().signal;

describe('snapshots', () => {
  test('stay as they were when the directory changes', () => {
    const directory = directoryOf(backendOf());
    const before = directory.snapshot();
    directory.putInstances(memory, []);
    directory.removeBackend(memory);
    expect(before.backends.get(memory)?.instances).toHaveLength(2);
    expect(directory.snapshot().backends.size).toBe(0);
    expect(directory.snapshot().version).toBeGreaterThan(before.version);
  });

  test('a new declaration keeps the instances; instances of nobody are ignored', () => {
    const directory = directoryOf(backendOf());
    const { instances: _, ...policy } = backendOf({ path: '/other' });
    directory.putBackend(policy);
    directory.putInstances('unknown' as BackendName, [instanceOf('i9')]);
    expect(directory.snapshot().backends.get(memory)).toMatchObject({ path: '/other', instances: [{ id: 'i1' }, { id: 'i2' }] });
    expect(directory.snapshot().backends.size).toBe(1);
  });

  test('a list that its writer changes later does not change them', () => {
    const directory = directoryOf(backendOf());
    const instances = [instanceOf('i3')];
    directory.putInstances(memory, instances);
    instances.pop();
    expect(directory.snapshot().backends.get(memory)?.instances).toHaveLength(1);
  });
});

test('a listener hears every change until it stops, also when it stops in the middle', () => {
  const directory = createDirectory();
  const heard: number[] = [];
  const stop = directory.onChange(({ version }) => {
    heard.push(version);
    if (version === 2) stop();
  });
  for (let n = 0; n < 4; n += 1) directory.replace({ backends: [], tenants: [] });
  expect(heard).toEqual([1, 2]);
});

describe('waiting', () => {
  test('ends at once when there is such an instance', async () => {
    const directory = directoryOf(backendOf());
    expect(await directory.waitFor(memory, ready, never)).toBe(directory.snapshot());
  });

  test('ends with the change that brings one, and with the end of the backend', async () => {
    const directory = directoryOf(backendOf({ instances: [instanceOf('i1', 'starting')] }));
    const waiting = directory.waitFor(memory, ready, never);
    directory.replace({ backends: [backendOf({ instances: [instanceOf('i1', 'starting')] }), backendOf({ name: 'other' })], tenants: [] });
    let seen: Snapshot | undefined;
    void waiting.then((snapshot) => {
      seen = snapshot;
    });
    await new Promise(setImmediate);
    expect(seen).toBeUndefined();
    directory.replace({ backends: [backendOf()], tenants: [] });
    expect((await waiting).backends.get(memory)?.instances).toHaveLength(2);

    directory.replace({ backends: [backendOf({ instances: [] })], tenants: [] });
    const inVain = directory.waitFor(memory, ready, never);
    directory.removeBackend(memory);
    expect((await inVain).backends.has(memory)).toBe(false);
  });

  test('ends with the reason of the signal', async () => {
    const directory = directoryOf(backendOf({ instances: [] }));
    const abort = new AbortController();
    const waiting = directory.waitFor(memory, ready, abort.signal);
    abort.abort(new Error('client gone'));
    await expect(waiting).rejects.toThrow('client gone');
    await expect(directory.waitFor(memory, ready, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
  });
});

describe('in another process', () => {
  let link: Link | undefined;
  afterEach(() => link?.close());

  test('it follows: the whole snapshot first, then each change, several of one turn together', async () => {
    const origin = directoryOf(backendOf());
    link = await openLink((connection) => publishDirectory(connection, origin));
    const copy = createDirectory();
    let synced: Promise<void> | undefined;
    await link.client((connection) => {
      synced = followDirectory(connection, copy);
    });
    await synced;
    expect(copy.snapshot().backends).toEqual(origin.snapshot().backends);
    let changes = 0;
    copy.onChange(() => {
      changes += 1;
    });
    for (let n = 3; n < 20; n += 1) origin.putInstances(memory, [instanceOf(`i${n}`)]);
    await copy.waitFor(memory, ({ id }) => id === 'i19', never);
    expect(changes).toBe(1);
  });

  test('who has changed something can wait until it is known there', async () => {
    const origin = directoryOf(backendOf());
    const copy = createDirectory();
    let followed = (): Promise<void> => Promise.reject(new Error('not connected'));
    link = await openLink((connection) => {
      publishDirectory(connection, origin);
      followed = () => isFollowed(connection);
    });
    let synced: Promise<void> | undefined;
    await link.client((connection) => {
      synced = followDirectory(connection, copy);
    });
    await synced;
    for (let n = 0; n < 20; n += 1) {
      origin.putInstances(memory, [instanceOf(`i${n}`)]);
      await followed();
      expect(
        copy
          .snapshot()
          .backends.get(memory)
          ?.instances.map(({ id }) => id),
      ).toEqual([`i${n}`]);
    }
  });
});

test('tenants are kept in the order in which they are tried', () => {
  const directory = createDirectory();
  const tenantOf = (name: string, priority: number): TenantPolicy => ({
    ...{ name: name as TenantId, priority, match: [], tools: undefined, quotas: [], onOutage: 'deny', auditArguments: false },
    limits: { sessions: undefined, concurrentRequests: undefined },
  });
  directory.putTenants([tenantOf('b', 1), tenantOf('c', 2), tenantOf('a', 1)]);
  directory.putBackend(backendOf());
  expect(directory.snapshot().tenants.map(({ name }) => name)).toEqual(['c', 'a', 'b']);
});
