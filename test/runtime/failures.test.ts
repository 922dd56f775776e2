// Processes that die, hang, refuse to die or never get well.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { alive, backend, createWorld, fixtureArgs, httpBackend, until, type World } from './world.ts';

let world: World;
let scratch: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'mcp-gateway-failures-'));
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
  await rm(scratch, { recursive: true, force: true });
});

describe('a process that dies', () => {
  it('leaves the directory at once and comes back as another instance on another port', async () => {
    await world.run(httpBackend('one', { replicas: 2 }), httpBackend('two'));
    const [first, second] = world.instances('one');
    const two = world.instances('two');
    const begin = performance.now();
    process.kill(world.pids('one')[0] as number, 'SIGKILL');
    await until('the instance to leave', () => !world.instances('one').some(({ id }) => id === first?.id));
    // Health probes alone would need three failures, five seconds apart.
    expect(performance.now() - begin).toBeLessThan(5000);
    expect(world.instances('one')).toContainEqual(second);
    await until('the next instance', () => world.status('one').ready === 2);
    const next = world.instances('one').find(({ id }) => id !== second?.id);
    expect(next?.address).not.toBe(first?.address);
    expect(world.status('one').instances[0]).toMatchObject({ restarts: 1, lastError: 'process ended: signal SIGKILL' });
    expect(world.instances('two')).toEqual(two);
  });

  it('again and again is started less and less often', async () => {
    world.apply(httpBackend('one', { env: { CRASH_AT_START: '1' } }));
    await world.settled();
    await until('four ends', () => world.lines.filter(({ msg }) => msg === 'server process ended').length >= 4);
    const delays = world.lines.filter(({ msg }) => msg === 'server process ended').map(({ delayMs }) => delayMs);
    expect(delays.slice(0, 4)).toEqual([200, 400, 800, 1600]);
    expect(world.status('one')).toMatchObject({ ready: 0, message: '0 of 1 ready: process ended: exit code 3' });
    expect(world.inDirectory('one')).toMatchObject({ instances: [] });
  });

  it('takes everything that it started with it', async () => {
    await world.run(httpBackend('one', { env: { GRANDCHILD: '1' } }));
    const { pid, grandchild } = await world.about(world.instances('one')[0]);
    process.kill(pid, 'SIGKILL');
    await until('the grandchild gone, although it ignores SIGTERM', () => !alive(grandchild as number));
  });
});

describe('a process that does not get well', () => {
  it('without the default health path is named, with what to do about it, once', async () => {
    const two = httpBackend('two');
    world.apply(httpBackend('one', { env: { HEALTH_PATH: '/status' }, scaling: { startTimeout: '10s' } }), two);
    await until('a hint', () => world.status('one').message.includes('healthCheck'));
    expect(world.status('one').message).toMatch(/GET \/healthz answered 404; .*healthCheck: \{ path: … \}.*healthCheck: \{ type: mcp \}/);
    expect(world.instances('one').map(({ state }) => state)).toEqual(['starting']);
    await until('a restart', () => (world.status('one').instances[0]?.restarts ?? 0) >= 1);
    expect(world.lines.filter(({ hint }) => hint !== undefined)).toHaveLength(1);
    const before = world.pids('two');
    await world.run(httpBackend('one', { env: { HEALTH_PATH: '/status' }, healthCheck: { path: '/status' } }), two);
    expect(world.pids('two')).toEqual(before);
  });

  it('in time is ended and started again, and says why', async () => {
    const file = join(scratch, 'health');
    await writeFile(file, '503');
    world.apply(httpBackend('one', { env: { HEALTH_FILE: file }, scaling: { startTimeout: '10s' } }));
    await until('a process', () => world.pids('one').length === 1);
    const [pid] = world.pids('one');
    await world.settled();
    await until('the process ended', () => !alive(pid as number));
    expect(world.status('one').message).toBe('0 of 1 ready: not ready within 10000 ms: GET /healthz answered 503');
    await writeFile(file, '204');
    await until('ready', () => world.status('one').ready === 1);
  });

  it('after having been well takes no new work until it is well again, and is not ended', async () => {
    const file = join(scratch, 'health');
    await world.run(httpBackend('one', { env: { HEALTH_FILE: file } }));
    const [before] = world.instances('one');
    await writeFile(file, '500');
    await until('not ready', () => world.instances('one')[0]?.state === 'starting');
    expect(world.status('one').message).toBe('0 of 1 ready: GET /healthz answered 500');
    await rm(file);
    await until('ready again', () => world.instances('one')[0]?.state === 'ready');
    expect(world.instances('one')).toEqual([before]);
  });

  it('is not believed when its health path redirects to something that works', async () => {
    const file = join(scratch, 'health');
    await writeFile(file, '302');
    world.apply(httpBackend('one', { env: { HEALTH_FILE: file }, scaling: { startTimeout: '10s' } }));
    await world.settled();
    expect(world.status('one').message).toContain('answered 302');
  });
});

describe('a process that cannot be started', () => {
  it('for want of a secret says which one, and starts when it is there', async () => {
    const { spec } = httpBackend('one');
    const env = [{ name: 'TOKEN', valueFrom: { secretKeyRef: { name: 'github', key: 'token' } } }];
    world.apply(backend('one', { image: spec.image?.text, args: spec.args, env }));
    await world.settled();
    const file = join(world.home, 'secrets', 'github', 'token');
    expect(world.status('one').message).toBe(`0 of 1 ready: the secret for TOKEN cannot be read: ${file} (ENOENT)`);
    await mkdir(join(world.home, 'secrets', 'github'), { recursive: true });
    await writeFile(file, 'x');
    await until('ready', () => world.status('one').ready === 1);
  });

  it('for want of a program says so', async () => {
    world.apply(backend('one', { image: 'exec:./missing' }, '/somewhere/else/a.yaml'));
    await world.settled();
    expect(world.status('one').message).toBe('0 of 1 ready: cannot start /somewhere/else/missing: ENOENT');
  });

  it('because it is a container image is refused in one line, and what ran before goes on', async () => {
    const image = 'ghcr.io/owner/name:1';
    world.apply(backend('one', { image }));
    await world.settled();
    const reason = `${image} is a container image: the local mode runs npm:…, pypi:…, exec:… or url (MCPBackend one)`;
    expect(world.status('one')).toMatchObject({ ready: 0, message: reason });
    expect(world.inDirectory('one')).toBeUndefined();
    expect(world.lines.filter((line) => line['reason'] === reason)).toHaveLength(1);
    await world.run(httpBackend('one'));
    const pids = world.pids('one');
    world.apply(backend('one', { image }));
    expect(world.status('one').message).toBe(reason);
    expect(world.pids('one')).toEqual(pids);
    expect(world.instances('one')).toHaveLength(1);
  });
});

describe('closing', () => {
  it('ends processes that ignore SIGTERM and what they started, within its bound', async () => {
    await world.run(httpBackend('one', { replicas: 2, env: { IGNORE_SIGTERM: '1', GRANDCHILD: '1' } }));
    const abouts = await Promise.all(world.instances('one').map(world.about));
    const pids = abouts.flatMap(({ pid, grandchild }) => [pid, grandchild as number]);
    const begin = performance.now();
    await world.runtime.close();
    expect(performance.now() - begin).toBeLessThan(8000);
    expect(pids.filter(alive)).toEqual([]);
  });

  it('works before anything has started, and twice', async () => {
    const stdio = { image: `exec:${process.execPath}`, args: fixtureArgs('stdio-server'), transport: 'stdio' };
    world.apply(httpBackend('one'), backend('two', stdio), httpBackend('three', { env: { CRASH_AT_START: '1' } }));
    await Promise.all([world.runtime.close(), world.runtime.close()]);
    expect(world.runtime.status()).toEqual([]);
    expect(world.directory.snapshot().backends.size).toBe(0);
    world.apply(httpBackend('one'));
    expect(world.runtime.status()).toEqual([]);
    await world.settled();
  });

  it('ends a bridge and the server processes behind it', async () => {
    const stdio = { image: `exec:${process.execPath}`, args: fixtureArgs('stdio-server'), transport: 'stdio' };
    await world.run(backend('two', stdio));
    const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
    const body = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}';
    const answer = await (await fetch(`http://${world.instances('two')[0]?.address}/mcp`, { method: 'POST', headers, body })).text();
    const server = Number(/"pid":(\d+)/.exec(answer)?.[1]);
    expect(alive(server)).toBe(true);
    const [bridge] = world.pids('two');
    await world.runtime.close();
    expect([server, bridge as number].filter(alive)).toEqual([]);
  });
});
