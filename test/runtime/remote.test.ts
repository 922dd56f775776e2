// Backends that run elsewhere: resolved, asked, and told apart from processes.

import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createDirectory } from '../../src/directory/directory.ts';
import { createRemoteBackend } from '../../src/runtime/local/remote.ts';
import { backend, createWorld, httpBackend, until, type World } from './world.ts';

let world: World;
let server: Server;
let status: number;
let requests: IncomingMessage[];
let port: number;
beforeEach(async () => {
  status = 405;
  requests = [];
  server = createServer((request, response) => {
    requests.push(request);
    response.writeHead(request.url === '/elsewhere' ? 200 : status, { location: '/elsewhere' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

describe('a url backend', () => {
  it('is one instance at a numeric address, asked under its own name', async () => {
    await world.run(backend('far', { url: `http://localhost:${port}/v1/mcp` }));
    const [instance] = world.instances('far');
    expect(instance).toMatchObject({ address: `127.0.0.1:${port}`, state: 'ready' });
    expect(world.inDirectory('far')).toMatchObject({ path: '/v1/mcp', remote: { authority: `localhost:${port}`, tls: false } });
    expect(requests[0]).toMatchObject({ method: 'GET', url: '/v1/mcp' });
    expect(requests[0]?.headers.host).toBe(`localhost:${port}`);
    expect(world.status('far')).toMatchObject({ image: `http://localhost:${port}/v1/mcp`, desired: 1, ready: 1, message: '' });
  });

  it('keeps its instance id for as long as its url is the same, also in the next gateway', async () => {
    const far = backend('far', { url: `http://127.0.0.1:${port}/mcp` });
    await world.run(far);
    const id = world.instances('far')[0]?.id;
    await world.run(backend('far', { url: `http://127.0.0.1:${port}/mcp`, trustToolHints: true }));
    expect(world.instances('far')[0]?.id).toBe(id);
    await world.run(backend('far', { url: `http://127.0.0.1:${port}/other` }));
    expect(world.instances('far')[0]?.id).not.toBe(id);
    const next = await createWorld();
    await next.run(far);
    expect(next.instances('far')[0]?.id).toBe(id);
    await next.close();
  });

  it('is not ready while it fails, redirects its health path or is not there', async () => {
    await world.run(backend('far', { url: `http://127.0.0.1:${port}/mcp` }));
    status = 502;
    await until('not ready', () => world.instances('far')[0]?.state === 'starting');
    expect(world.status('far')).toMatchObject({ ready: 0, message: 'GET /mcp answered 502' });
    status = 401;
    await until('ready', () => world.instances('far')[0]?.state === 'ready');
    status = 307;
    world.apply(backend('far', { url: `http://127.0.0.1:${port}/mcp`, healthCheck: { path: '/ok' } }));
    await until('not ready', () => world.status('far').message === 'GET /ok answered 307');
    expect(requests.some(({ url }) => url === '/elsewhere')).toBe(false);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await until('refused', () => world.status('far').message === 'ECONNREFUSED');
  });

  it('can become one that runs here, and back', async () => {
    const far = backend('one', { url: `http://127.0.0.1:${port}/mcp` });
    await world.run(far);
    await world.run(httpBackend('one'));
    expect(world.pids('one')).toHaveLength(1);
    expect(world.inDirectory('one')).toMatchObject({ remote: undefined });
    await world.run(far);
    expect(world.pids('one')).toEqual([]);
    expect(world.instances('one')).toMatchObject([{ address: `127.0.0.1:${port}` }]);
  });
});

describe('the name of a remote server', () => {
  const start = (resolve: (name: string) => Promise<readonly string[]>) => {
    const directory = createDirectory();
    const options = {
      home: '/nowhere',
      environment: {},
      directory,
      log: pino({ level: 'silent' }),
      healthTiming: { startingMs: 20, intervalMs: 20, unwellMs: 20 },
      onChange: () => undefined,
    };
    const remote = createRemoteBackend(backend('far', { url: `http://far.test:${port}/mcp` }), {
      ...options,
      resolve,
      resolveIntervalMs: 30,
    });
    return {
      remote,
      addresses: () => [...directory.snapshot().backends.values()].flatMap(({ instances }) => instances.map(({ address }) => address)),
    };
  };

  it('is looked up again; the address in use stays while it is among the answers', async () => {
    let answers = ['127.0.0.1', '127.0.0.2'];
    let asked = 0;
    const { remote, addresses } = start(async () => {
      asked += 1;
      return answers;
    });
    await until('ready', () => remote.status().ready === 1);
    answers = ['127.0.0.2', '127.0.0.1'];
    const then = asked;
    await until('two look-ups', () => asked >= then + 2);
    expect(addresses()).toEqual([`127.0.0.1:${port}`]);
    answers = ['::1'];
    await until('the other address', () => addresses()[0] === `[::1]:${port}`);
    await remote.stop();
    expect(addresses()).toEqual([]);
  });

  it('that cannot be resolved is said; an address once known stays in use', async () => {
    let fail = true;
    let failures = 0;
    const { remote, addresses } = start(async () => {
      if (fail) {
        failures += 1;
        throw Object.assign(new Error('no'), { code: 'ENOTFOUND' });
      }
      return ['127.0.0.1'];
    });
    await until('a reason', () => remote.status().message === 'far.test cannot be resolved: ENOTFOUND');
    expect(remote.settled()).toBe(true);
    fail = false;
    await until('ready', () => remote.status().ready === 1);
    fail = true;
    failures = 0;
    await until('two more failures', () => failures >= 2);
    expect(remote.status().ready).toBe(1);
    expect(addresses()).toEqual([`127.0.0.1:${port}`]);
    await remote.stop();
  });
});
