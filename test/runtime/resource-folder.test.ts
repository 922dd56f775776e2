// A folder of resource files, read and watched while people edit it.

import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createResourceLoader, MAX_FILE_BYTES, type ResourceSet } from '../../src/config/resource-files.ts';
import { type ResourceWatcher, watchResources } from '../../src/config/resource-watch.ts';
import { waitFor } from '../harness/wait-for.ts';

let parent: string;
let folder: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'mcp-gateway-resources-'));
  folder = join(parent, 'resources');
  await mkdir(folder);
});
afterEach(() => rm(parent, { recursive: true, force: true }));

const text = (name: string, image = 'exec:x') =>
  JSON.stringify({ apiVersion: 'mcpgateway.dev/v1alpha1', kind: 'MCPBackend', metadata: { name }, spec: { image } });
const put = (file: string, contents: string) => writeFile(join(folder, file), contents);
/** `name=image`, sorted. */
const said = ({ backends }: ResourceSet) => backends.map(({ name, spec }) => `${name}=${spec.image?.text}`).sort();

describe('the loader', () => {
  it('reads .yaml, .yml and .json, and neither hidden nor other files nor folders below', async () => {
    await put('a.yaml', text('a'));
    await put('b.yml', text('b'));
    await put('c.json', text('c'));
    await put('d.txt', text('d'));
    await put('.e.yaml', text('e'));
    await put('f.yaml.swp', text('f'));
    await mkdir(join(folder, 'sub'));
    await put('sub/g.yaml', text('g'));
    const set = await createResourceLoader({ folder }).load();
    expect(said(set)).toEqual(['a=exec:x', 'b=exec:x', 'c=exec:x']);
    expect(set.problems).toEqual([]);
  });

  it('keeps what a file said last while it is broken, and follows all other files', async () => {
    const loader = createResourceLoader({ folder });
    await put('a.yaml', `${text('a')}\n---\n${text('aa')}`);
    await put('b.yaml', text('b'));
    await loader.load();
    await put('a.yaml', `${text('a', 'exec:new')}\n---\n${text('aa', 'npm:-x')}`);
    await put('b.yaml', text('b', 'exec:new'));
    const broken = await loader.load();
    expect(said(broken)).toEqual(['a=exec:x', 'aa=exec:x', 'b=exec:new']);
    expect(broken.problems).toMatchObject([{ file: join(folder, 'a.yaml'), resource: 'MCPBackend/aa', path: 'spec.image' }]);
    await put('a.yaml', `${text('a', 'exec:new')}`);
    expect(said(await loader.load())).toEqual(['a=exec:new', 'b=exec:new']);
    await rm(join(folder, 'a.yaml'));
    expect(said(await loader.load())).toEqual(['b=exec:new']);
  });

  it('leaves a name to the file that had it first', async () => {
    const loader = createResourceLoader({ folder });
    await put('b.yaml', text('one', 'exec:b'));
    await loader.load();
    await put('a.yaml', `${text('one', 'exec:a')}\n---\n${text('two', 'exec:a')}`);
    const twice = await loader.load();
    expect(said(twice)).toEqual(['one=exec:b']);
    expect(twice.problems).toMatchObject([
      { file: join(folder, 'a.yaml'), resource: 'MCPBackend/one', message: `is already declared in ${join(folder, 'b.yaml')}` },
    ]);
    await rm(join(folder, 'b.yaml'));
    const moved = await loader.load();
    expect(said(moved)).toEqual(['one=exec:a', 'two=exec:a']);
    expect(moved.problems).toEqual([]);
  });

  it('loses nothing when the folder is away', async () => {
    const loader = createResourceLoader({ folder });
    await put('a.yaml', text('a'));
    await loader.load();
    await rename(folder, `${folder}-away`);
    const away = await loader.load();
    expect(said(away)).toEqual(['a=exec:x']);
    expect(away.problems).toMatchObject([{ file: folder, message: expect.stringContaining('ENOENT') as string }]);
    await mkdir(folder);
    expect(await loader.load()).toEqual({ backends: [], tenants: [], problems: [] });
  });

  it('refuses files that are too large, not UTF-8 or no files', async () => {
    await put('a.yaml', `# ${'x'.repeat(MAX_FILE_BYTES)}`);
    await writeFile(join(folder, 'b.yaml'), Buffer.from([0x23, 0xff, 0xfe]));
    await mkdir(join(folder, 'c.yaml'));
    await symlink('/nowhere', join(folder, 'd.yaml'));
    await put('e.yaml', text('e'));
    const set = await createResourceLoader({ folder }).load();
    expect(set.problems.map(({ file }) => file.slice(-6))).toEqual(['a.yaml', 'b.yaml', 'c.yaml', 'd.yaml']);
    expect(said(set)).toEqual(['e=exec:x']);
  });
});

describe('the watcher', () => {
  let watcher: ResourceWatcher;
  let last: ResourceSet | undefined;
  let calls = 0;
  const start = async (pollMs?: number): Promise<void> => {
    calls = 0;
    const onChange = (set: ResourceSet): void => {
      last = set;
      calls += 1;
    };
    watcher = await watchResources({ folder, onChange, ...(pollMs === undefined ? {} : { pollMs }) });
    last = watcher.initial;
  };
  const says = (...expected: string[]) =>
    waitFor(`the folder to say ${expected.join()}`, () => last !== undefined && said(last).join() === expected.join());
  afterEach(() => watcher.close());

  it('tells of files that come, change and go, long before the next look', async () => {
    await start(60_000);
    expect(said(watcher.initial)).toEqual([]);
    await put('a.yaml', text('a'));
    await says('a=exec:x');
    await put('a.yaml', text('a', 'exec:y'));
    await says('a=exec:y');
    await rm(join(folder, 'a.yaml'));
    await says();
  });

  it('follows editors that write beside the file and rename', async () => {
    await put('a.yaml', text('a'));
    await start(60_000);
    for (const image of ['exec:1', 'exec:2', 'exec:3']) {
      await put('.a.yaml.tmp', text('a', image));
      await rename(join(folder, '.a.yaml.tmp'), join(folder, 'a.yaml'));
      await says(`a=${image}`);
    }
  });

  it('survives that the folder is deleted and made again', async () => {
    await put('a.yaml', text('a'));
    await start(100);
    await rm(folder, { recursive: true });
    await waitFor('a problem', () => last?.problems.length === 1);
    expect(last && said(last)).toEqual(['a=exec:x']);
    await mkdir(folder);
    await put('b.yaml', text('b'));
    await says('b=exec:x');
    await put('b.yaml', text('b', 'exec:y'));
    await says('b=exec:y');
  });

  it('waits for a folder that is not there yet', async () => {
    await rm(folder, { recursive: true });
    await start(100);
    expect(watcher.initial.problems).toHaveLength(1);
    await mkdir(folder);
    await put('a.yaml', text('a'));
    await says('a=exec:x');
  });

  it('tells once of many files that come together', async () => {
    await start(60_000);
    await Promise.all(Array.from({ length: 50 }, (_, at) => put(`${at}.yaml`, text(`b${at}`))));
    await waitFor('all files', () => last?.backends.length === 50);
    expect(calls).toBeLessThan(4);
  });
});
