// What was declared by API, in a real folder: one whole file for each resource, one change after the other, and nothing lost.

import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { documentOf, type ResourceDocument } from '../config/resource-document.ts';
import { expectRevision, InvalidDocument, openRegistry, type Registry, revisionOf } from './registry.ts';

let folder: string;
let changes: number;
let problems: string[];

beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'registry-')), 'registry');
  changes = 0;
  problems = [];
});
afterEach(() => rm(join(folder, '..'), { recursive: true, force: true }));

const open = (): Promise<Registry> =>
  openRegistry({
    folder,
    onChange: () => {
      changes += 1;
    },
    onProblem: (problem) => problems.push(problem),
  });
const backendAt = (name: string, url: string): ResourceDocument => documentOf('MCPBackend', name, { url });
const fileOf = (name: string, kind = 'MCPBackend'): string => join(folder, `${kind}.${name}.json`);
const put = (registry: Registry, name: string, url = 'https://mcp.example.com/mcp') =>
  registry.change('MCPBackend', name, () => backendAt(name, url));

describe('a change', () => {
  test('creates, replaces and removes one file, and is there after the next start', async () => {
    const registry = await open();
    const first = await put(registry, 'one', 'https://a.example.com/');
    expect(first?.resource).toMatchObject({ kind: 'MCPBackend', name: 'one', origin: 'api', spec: { url: 'https://a.example.com/' } });
    expect(JSON.parse(await readFile(fileOf('one'), 'utf8'))).toEqual(first?.document);
    const second = await put(registry, 'one', 'https://b.example.com/');
    expect(second?.revision).not.toBe(first?.revision);
    expect(registry.find('MCPBackend', 'one')).toBe(second);
    const again = (await open()).find('MCPBackend', 'one');
    expect([again?.document, again?.revision]).toEqual([second?.document, second?.revision]);
    expect(await registry.change('MCPBackend', 'one', () => undefined)).toBeUndefined();
    expect([await readdir(folder), registry.list(), (await open()).list()]).toEqual([[], [], []]);
    expect(changes).toBe(3);
  });

  test('sees what is there, and of both kinds each by its own name', async () => {
    const registry = await open();
    const seen: unknown[] = [];
    await registry.change('MCPTenant', 'one', (present) => {
      seen.push(present);
      return documentOf('MCPTenant', 'one', { priority: 1 });
    });
    await put(registry, 'one');
    await put(registry, 'another');
    await registry.change('MCPTenant', 'one', (present) => {
      seen.push(present?.document.spec);
      return documentOf('MCPTenant', 'one', { priority: 2 });
    });
    expect(seen).toEqual([undefined, { priority: 1 }]);
    expect(registry.list().map(({ resource }) => `${resource.kind}/${resource.name}`)).toEqual([
      'MCPBackend/another',
      'MCPBackend/one',
      'MCPTenant/one',
    ]);
  });

  test('to nothing, of what is not there, changes nothing', async () => {
    expect(await (await open()).change('MCPBackend', 'one', () => undefined)).toBeUndefined();
    expect([await readdir(folder), changes]).toEqual([[], 0]);
  });

  test('keeps others out of the folder and the file', async () => {
    await put(await open(), 'one');
    expect([(await stat(folder)).mode & 0o777, (await stat(fileOf('one'))).mode & 0o777]).toEqual([0o700, 0o600]);
  });

  test('has been told when it resolves', async () => {
    let told: unknown;
    const registry: Registry = await openRegistry({
      folder,
      onChange: () => {
        told = registry.find('MCPBackend', 'one')?.document;
      },
      onProblem() {},
    });
    const done = await put(registry, 'one');
    expect(told).toEqual(done?.document);
  });
});

describe('many changes at once', () => {
  test('happen one after the other, in the order in which they were asked for', async () => {
    const registry = await open();
    const add = (digit: number) =>
      registry.change('MCPTenant', 'count', (present) =>
        documentOf('MCPTenant', 'count', { priority: Number(present?.document.spec['priority'] ?? 0) * 10 + digit }),
      );
    const revisions = (await Promise.all([1, 2, 3, 4, 5, 6].map(add))).map((done) => done?.revision);
    expect(registry.find('MCPTenant', 'count')?.document.spec).toEqual({ priority: 123_456 });
    expect(new Set(revisions).size).toBe(6);
    expect(await readdir(folder)).toEqual(['MCPTenant.count.json']);
  });

  test('one that fails does not hold up the next', async () => {
    const registry = await open();
    const failing = registry.change('MCPBackend', 'one', () => {
      throw new Error('no');
    });
    const [failed, done] = await Promise.allSettled([failing, put(registry, 'one')]);
    expect([failed.status, done.status]).toEqual(['rejected', 'fulfilled']);
  });

  test('who has seen what is no longer there may not change it', async () => {
    const registry = await open();
    const seen = (await put(registry, 'one'))?.revision;
    const change = (url: string) =>
      registry.change('MCPBackend', 'one', (present) => {
        expectRevision('backend', 'one', present, seen);
        return backendAt('one', url);
      });
    const outcomes = await Promise.allSettled(['https://a.example.com/', 'https://b.example.com/'].map(change));
    expect(outcomes).toMatchObject([{ status: 'fulfilled' }, { status: 'rejected', reason: { code: 'changed' } }]);
    expect(registry.find('MCPBackend', 'one')?.document.spec).toEqual({ url: 'https://a.example.com/' });
  });
});

test('what has been seen: any revision when none is named, and none of what is not there', async () => {
  const present = await put(await open(), 'one');
  expect(() => expectRevision('backend', 'one', present, undefined)).not.toThrow();
  expect(() => expectRevision('backend', 'one', present, present?.revision)).not.toThrow();
  expect(() => expectRevision('backend', 'one', present, '')).toThrow(expect.objectContaining({ code: 'changed' }));
  for (const expected of [undefined, 'x']) {
    expect(() => expectRevision('tenant', 'one', undefined, expected)).toThrow(expect.objectContaining({ code: 'missing' }));
  }
});

test('a revision says which content it is, and nothing that an ETag cannot hold', () => {
  expect(revisionOf({ a: 1 })).toBe(revisionOf({ a: 1 }));
  expect(revisionOf({ a: 1 })).not.toBe(revisionOf({ a: 2 }));
  expect(revisionOf('x')).toMatch(/^[\w-]{22}$/);
});

describe('nothing happens when', () => {
  test('the document makes no sense: every problem is told', async () => {
    const registry = await open();
    await put(registry, 'one');
    const before = registry.find('MCPBackend', 'one');
    const wrong = registry.change('MCPBackend', 'one', () => documentOf('MCPBackend', 'one', { url: 'x', affinity: 'y', more: 1 }));
    const error = await wrong.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(InvalidDocument);
    expect((error as InvalidDocument).problems.map(({ path }) => path).toSorted()).toEqual(['spec.affinity', 'spec.more', 'spec.url']);
    expect([registry.find('MCPBackend', 'one'), changes]).toEqual([before, 1]);
  });

  test('the check refuses it', async () => {
    const registry = await open();
    const refused = registry.change(
      'MCPBackend',
      'one',
      () => backendAt('one', 'https://a.example.com/'),
      ({ name }) => {
        throw new Error(`not ${name}`);
      },
    );
    await expect(refused).rejects.toThrow('not one');
    expect([await readdir(folder), registry.list(), changes]).toEqual([[], [], 0]);
  });

  test('it is too large', async () => {
    const env = Array.from({ length: 40 }, (_, n) => ({ name: `V${n}`, value: 'x'.repeat(32_000) }));
    const change = (await open()).change('MCPBackend', 'one', () => documentOf('MCPBackend', 'one', { image: 'npm:x@1.0.0', env }));
    await expect(change).rejects.toBeInstanceOf(InvalidDocument);
    expect(await readdir(folder)).toEqual([]);
  });

  test('the folder cannot be written to: it may be tried again', async () => {
    const registry = await open();
    await put(registry, 'one');
    await rm(folder, { recursive: true });
    await expect(put(registry, 'two')).rejects.toMatchObject({ code: 'unavailable' });
    expect(registry.list().map(({ resource }) => resource.name)).toEqual(['one']);
  });

  test('there are as many as there may be; those that are there can still be changed', async () => {
    await open();
    const names = Array.from({ length: 1_000 }, (_, n) => `b${n}`);
    await Promise.all(names.map((name) => writeFile(fileOf(name), JSON.stringify(backendAt(name, 'https://a.example.com/')))));
    const registry = await open();
    await expect(put(registry, 'more')).rejects.toMatchObject({ code: 'full' });
    expect((await put(registry, 'b7'))?.resource.name).toBe('b7');
    const tenant = await registry.change('MCPTenant', 'one', () => documentOf('MCPTenant', 'one', {}));
    expect(tenant?.resource.name).toBe('one');
    await registry.change('MCPBackend', 'b7', () => undefined);
    expect((await put(registry, 'more'))?.resource.name).toBe('more');
  });
});

describe('what lies in the folder at the start', () => {
  test('a change that a crash cut off is gone', async () => {
    await put(await open(), 'one');
    await writeFile(`${fileOf('one')}.tmp`, '{"apiVersion"');
    await writeFile(`${fileOf('two')}.tmp`, JSON.stringify(backendAt('two', 'https://a.example.com/')));
    const registry = await open();
    expect(registry.list().map(({ resource }) => resource.name)).toEqual(['one']);
    expect([await readdir(folder), problems]).toEqual([['MCPBackend.one.json'], []]);
  });

  const other = JSON.stringify(backendAt('other', 'https://a.example.com/'));
  test.each([
    ['half a document', '{"apiVersion": "mcpgateway.dev/v1'],
    ['nothing', ''],
    ['null', 'null'],
    ['a list', '[]'],
    ['no resource', '{"apiVersion": "mcpgateway.dev/v1alpha1"}'],
    ['a field that nobody knows', JSON.stringify(documentOf('MCPBackend', 'one', { url: 'https://a.example.com/', more: 1 }))],
    ['another name', other],
    ['another kind', JSON.stringify(documentOf('MCPTenant', 'one', {}))],
  ])('%s: it is left as it is, told of, and its name refused', async (_, text) => {
    await put(await open(), 'two');
    await writeFile(fileOf('one'), text);
    const registry = await open();
    expect(registry.list().map(({ resource }) => resource.name)).toEqual(['two']);
    expect(problems).toEqual([expect.stringContaining(fileOf('one'))]);
    for (const change of [() => backendAt('one', 'https://b.example.com/'), () => undefined]) {
      await expect(registry.change('MCPBackend', 'one', change)).rejects.toMatchObject({ code: 'unavailable' });
    }
    expect(await readFile(fileOf('one'), 'utf8')).toBe(text);
    expect((await put(registry, 'three'))?.resource.name).toBe('three');
  });

  test('what is no resource file is left alone', async () => {
    await open();
    const names = ['README', 'MCPBackend.Upper.json', 'MCPThing.one.json', 'MCPBackend.one.yaml'];
    for (const name of names) await writeFile(join(folder, name), 'x');
    expect((await open()).list()).toEqual([]);
    expect([(await readdir(folder)).toSorted(), problems]).toEqual([names.toSorted(), []]);
  });
});
