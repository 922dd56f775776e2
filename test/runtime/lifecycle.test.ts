// Declared backends become processes, and only those processes change whose declaration does.

import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { alive, backend, createWorld, httpBackend, until, type World } from './world.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(() => world.close());

describe('a declared backend', () => {
  it('runs as so many processes as replicas, each on its own port', async () => {
    await world.run(httpBackend('one', { replicas: 3, args: ['--listen=$(PORT)'], env: { URL: 'http://localhost:$(PORT)/' } }));
    const abouts = await Promise.all(world.instances('one').map(world.about));
    expect(new Set(abouts.map(({ pid }) => pid)).size).toBe(3);
    expect(world.instances('one').map(({ state }) => state)).toEqual(['ready', 'ready', 'ready']);
    for (const [at, about] of abouts.entries()) {
      const port = world.instances('one')[at]?.address.split(':')[1];
      expect(about.env['PORT']).toBe(port);
      expect(about.env['URL']).toBe(`http://localhost:${port}/`);
      expect(about.argv).toEqual([`--listen=${port}`]);
      expect(about.cwd).toBe(join(world.home, 'work', 'one'));
    }
    expect(world.status('one')).toMatchObject({ desired: 3, ready: 3, message: '' });
    expect(world.pids('one').sort()).toEqual(abouts.map(({ pid }) => pid).sort());
  });

  it('keeps the output of each process in a file', async () => {
    await world.run(httpBackend('one', { replicas: 2, args: ['hello'] }));
    const logs = world.status('one').instances.map(({ log }) => log);
    expect(logs).toEqual([join(world.home, 'logs', 'one-0.log'), join(world.home, 'logs', 'one-1.log')]);
    for (const log of logs) {
      await until(`output in ${log}`, async () => (await readFile(log, 'utf8')).includes('listening with hello'));
    }
  });

  it('gets a short environment, its secrets, and nothing else', async () => {
    await world.close();
    const environment = { ...process.env, NODE_OPTIONS: '--no-warnings', MCP_GATEWAY_SECRET: 'x', LD_PRELOAD: '', AWS_TOKEN: 'x' };
    world = await createWorld({ environment });
    await mkdir(join(world.home, 'secrets', 'github'), { recursive: true });
    await writeFile(join(world.home, 'secrets', 'github', 'token'), 's3cret\n');
    const { spec } = httpBackend('one');
    const env = [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'github', key: 'token' } } }];
    await world.run(backend('one', { image: spec.image?.text, args: spec.args, env }));
    const about = await world.about(world.instances('one')[0]);
    expect(about.env['TOKEN']).toBe('s3cret');
    expect(about.env['PATH']).toBe(process.env['PATH']);
    for (const name of ['NODE_OPTIONS', 'MCP_GATEWAY_SECRET', 'LD_PRELOAD', 'AWS_TOKEN']) {
      expect(about.env).not.toHaveProperty(name);
    }
    expect(JSON.stringify(world.lines)).not.toContain('s3cret');
  });

  it('is gone from the directory at once and its processes soon after it is removed', async () => {
    await world.run(httpBackend('one', { replicas: 2 }), httpBackend('two'));
    const [pids, other] = [world.pids('one'), world.pids('two')];
    world.apply(httpBackend('two'));
    expect(world.inDirectory('one')).toBeUndefined();
    await until('processes gone', () => !pids.some(alive));
    expect(world.pids('two')).toEqual(other);
  });

  it('can be removed and declared again while it is still stopping', async () => {
    const one = httpBackend('one', { env: { IGNORE_SIGTERM: '1' } });
    await world.run(one);
    const [before] = world.pids('one');
    world.apply();
    await world.run(one);
    const [after] = world.pids('one');
    expect(after).not.toBe(before);
    await until('the first process gone', () => !alive(before as number));
    expect(world.instances('one').map(({ state }) => state)).toEqual(['ready']);
  });
});

describe('a changed declaration', () => {
  it('that is only policy reaches the directory and touches no process', async () => {
    await world.run(httpBackend('one'));
    const [pid] = world.pids('one');
    const [instance] = world.instances('one');
    await world.run(
      httpBackend('one', {
        access: { tools: { deny: ['rm_*'] } },
        sessions: { recovery: 'fail', idleTimeout: '1m' },
        trustToolHints: true,
        affinity: 'none',
        path: '/other',
        healthCheck: { path: '/about' },
        scaling: { startTimeout: '10s' },
      }),
    );
    expect(world.pids('one')).toEqual([pid]);
    expect(world.instances('one')).toEqual([instance]);
    expect(world.inDirectory('one')).toMatchObject({
      tools: { allow: ['*'], deny: ['rm_*'] },
      sessions: { recovery: 'fail', idleTimeoutMs: 60_000 },
      trustToolHints: true,
      affinity: 'none',
      path: '/other',
      startTimeoutMs: 10_000,
    });
  });

  it('that says the same again changes nothing at all', async () => {
    await world.run(httpBackend('one'));
    const { version } = world.directory.snapshot();
    world.apply(httpBackend('one'));
    expect(world.directory.snapshot().version).toBe(version);
  });

  it('of what runs replaces the processes: new ones first, then the old ones drain and end', async () => {
    await world.run(httpBackend('one', { args: ['old'] }), httpBackend('two'));
    const [old] = world.pids('one');
    const [oldInstance] = world.instances('one');
    const two = world.pids('two');
    const seen: string[][] = [];
    const stop = world.directory.onChange((snapshot) => {
      const all = [...snapshot.backends.values()].find(({ name }) => name === 'one')?.instances ?? [];
      seen.push(all.map(({ id, state }) => `${id === oldInstance?.id ? 'old' : 'new'} ${state}`).sort());
    });
    await world.run(httpBackend('one', { args: ['new'] }), httpBackend('two'));
    await until('old process gone', () => !alive(old as number));
    stop();
    expect(seen.every((states) => states.some((state) => state.endsWith('ready')))).toBe(true);
    expect(seen.map((states) => states.join())).toEqual(
      expect.arrayContaining(['new starting,old ready', 'new ready,old draining', 'new ready']),
    );
    expect((await world.about(world.instances('one')[0])).argv).toEqual(['new']);
    expect(world.pids('two')).toEqual(two);
  });

  it('that does not work leaves the old processes serving, and mends when corrected', async () => {
    await world.run(httpBackend('one'));
    const [pid] = world.pids('one');
    world.apply(httpBackend('one', { env: { CRASH_AT_START: '1' } }));
    await until('the failure to be known', () => world.status('one').message.includes('exit code 3'));
    expect(world.status('one').message).toContain('0 of 1 ready (the previous processes go on serving)');
    expect(world.instances('one').filter(({ state }) => state === 'ready')).toHaveLength(1);
    expect(alive(pid as number)).toBe(true);
    await world.run(httpBackend('one', { args: ['third'] }));
    expect((await world.about(world.instances('one')[0])).argv).toEqual(['third']);
  });

  it('of the number of replicas starts or ends only the difference', async () => {
    await world.run(httpBackend('one', { replicas: 2 }));
    const two = world.pids('one');
    await world.run(httpBackend('one', { replicas: 3 }));
    expect(world.pids('one')).toEqual(expect.arrayContaining(two));
    const [, , third] = world.pids('one');
    await world.run(httpBackend('one', { replicas: 1 }));
    expect(world.pids('one')).toEqual([two[0]]);
    await until('the others gone', () => !alive(two[1] as number) && !alive(third as number));
    await world.run(httpBackend('one', { replicas: 0 }));
    expect(world.instances('one')).toEqual([]);
  });
});
