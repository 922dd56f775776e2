// Where servers may be that were registered by API: every address is checked each time, and nobody else looks the name up.

import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BackendResource } from '../../src/config/resources.ts';
import { createAddressRules } from '../../src/core/address-rules.ts';
import { createDirectory } from '../../src/directory/directory.ts';
import { createRemoteBackend } from '../../src/runtime/local/remote.ts';
import { backend, createWorld, until, type World } from './world.ts';

/** The allowed one, and one that a request must never reach; both are this machine, which is why the first is on the list. */
const ALLOWED = '127.0.0.1';
const FORBIDDEN = '127.0.0.2';

let servers: Server[];
let port: number;
let requests: { readonly at: string; readonly url: string; readonly host: string | undefined }[];
let status: number;

async function listen(address: string, at: number): Promise<number> {
  const server = createServer((request, response) => {
    requests.push({ at: address, url: request.url ?? '', host: request.headers.host });
    response.writeHead(status, { location: `http://${FORBIDDEN}:${port}/secret` }).end();
  });
  servers.push(server);
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(at, address, resolve));
  return (server.address() as AddressInfo).port;
}

beforeEach(async () => {
  [servers, requests, status] = [[], [], 405];
  port = await listen(ALLOWED, 0);
  // Not every system has this address: without it nothing could be reached there either.
  await listen(FORBIDDEN, port).catch(() => undefined);
});
afterEach(async () => {
  for (const server of servers) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
});

const reached = (): string[] => [...new Set(requests.map(({ at }) => at))];
const byApi = (url: string, spec: object = {}): BackendResource => ({ ...backend('far', { url, ...spec }), origin: 'api' });

describe('a name whose addresses change', () => {
  let answers: readonly string[] | Error;
  let lookups: number;
  let stop: (() => Promise<void>) | undefined;
  afterEach(() => stop?.());

  function start(spec: object = {}) {
    lookups = 0;
    const directory = createDirectory();
    const rules = createAddressRules({ allow: [ALLOWED] });
    const remote = createRemoteBackend(byApi(`http://far.test:${port}/mcp`, spec), {
      home: '/nowhere',
      environment: {},
      directory,
      log: pino({ level: 'silent' }),
      healthTiming: { startingMs: 20, intervalMs: 20, unwellMs: 20 },
      onChange: () => undefined,
      permit: (address) => rules.refusal(address, 'far.test'),
      resolve: async () => {
        lookups += 1;
        if (answers instanceof Error) throw answers;
        return answers;
      },
      resolveIntervalMs: 30,
    });
    stop = () => remote.stop();
    const addresses = () => [...directory.snapshot().backends.values()].flatMap(({ instances }) => instances.map(({ address }) => address));
    return { remote, addresses };
  }

  it('is used at the checked address only, under its own name', async () => {
    answers = [ALLOWED];
    const { remote, addresses } = start();
    await until('ready', () => remote.status().ready === 1);
    expect(addresses()).toEqual([`${ALLOWED}:${port}`]);
    expect(requests[0]).toMatchObject({ at: ALLOWED, host: `far.test:${port}` });
  });

  it.each([FORBIDDEN, '169.254.169.254', '10.0.0.1', '::ffff:7f00:2', '::1'])(
    'and then lead to %s (DNS rebinding) is cut off at once',
    async (bad) => {
      answers = [ALLOWED];
      const { remote, addresses } = start();
      await until('ready', () => remote.status().ready === 1);
      answers = [bad];
      await until('no instance', () => addresses().length === 0);
      expect(remote.status()).toMatchObject({ ready: 0, instances: [{ address: undefined }] });
      expect(remote.status().message).toMatch(/^far\.test is a (loopback|link-local|private) address, which is not allowed here$/);
      // A probe may be under way still.
      const cut = lookups;
      await until('what was under way to arrive', () => lookups > cut + 2);
      const then = [lookups, requests.length];
      await until('more look-ups', () => lookups > (then[0] ?? 0) + 2);
      expect([requests.length, reached()]).toEqual([then[1], [ALLOWED]]);
      answers = [ALLOWED];
      await until('ready again', () => remote.status().ready === 1);
    },
  );

  it('never uses a forbidden one among several, whatever the order', async () => {
    answers = [FORBIDDEN, '169.254.169.254', ALLOWED];
    const { remote, addresses } = start();
    await until('ready', () => remote.status().ready === 1);
    answers = ['10.0.0.1', ALLOWED, FORBIDDEN];
    const then = lookups;
    await until('two look-ups', () => lookups > then + 2);
    expect([addresses(), reached()]).toEqual([[`${ALLOWED}:${port}`], [ALLOWED]]);
  });

  it('and leads nowhere for a while stays where it was, which has been checked', async () => {
    answers = [ALLOWED];
    const { remote, addresses } = start();
    await until('ready', () => remote.status().ready === 1);
    answers = new Error('no');
    const then = lookups;
    await until('a failed look-up', () => lookups > then);
    expect(addresses()).toEqual([`${ALLOWED}:${port}`]);
  });

  it.each([undefined, { path: '/ok' }, { type: 'mcp' }])('and redirects its probes (%j) leads them nowhere', async (healthCheck) => {
    answers = [ALLOWED];
    status = 307;
    start({ healthCheck });
    await until('some probes', () => requests.length > 4);
    expect(reached()).toEqual([ALLOWED]);
    expect(requests.filter(({ url }) => url === '/secret')).toEqual([]);
  });
});

describe('the runtime', () => {
  let world: World;
  afterEach(() => world.close());

  it.each([
    ...[`http://${FORBIDDEN}`, 'http://localhost', 'http://LOCALHOST', 'http://127.2', 'http://0x7f.2'],
    ...['http://2130706434', 'http://0177.0.0.2', 'http://0x7f000002', 'http://127.0.0.2.', 'http://127。0。0。2', 'http://[::1]'],
    ...['http://[::ffff:127.0.0.2]', 'http://[::ffff:7f00:2]', 'http://0', 'http://[::]', 'http://169.254.169.254'],
    ...['http://[64:ff9b::7f00:2]', 'http://[2002:7f00:2::]', 'http://[::127.0.0.2]', 'http://[fd00:ec2::254]'],
  ])('does not go to %s for the API', async (url) => {
    world = await createWorld();
    world.apply(byApi(`${url}:${port}/mcp`));
    await until('the reason', () => / is an? .*, which is not allowed here$/.test(world.status('far').message));
    expect([world.instances('far'), requests]).toEqual([[], []]);
  });

  it.each([
    'http://a@127.0.0.2',
    'http://a:b@localhost',
    'http://[fe80::1%25eth0]',
    'http://[::1%lo]',
    'http://1.2.3.4.5',
    'http://256.1.1.1',
  ])('takes no resource with %s', (url) => {
    expect(() => backend('far', { url })).toThrow('spec.url');
  });

  it('goes anywhere for files, and asks again when their resource becomes one of the API', async () => {
    world = await createWorld();
    const files = backend('far', { url: `http://${ALLOWED}:${port}/mcp` });
    await world.run(files);
    world.apply({ ...files, origin: 'api' });
    await until('no instance', () => world.instances('far').length === 0);
    await world.run({ ...files, origin: 'file' });
    expect(world.instances('far')).toHaveLength(1);
  });

  it('goes for the API to what is on its list', async () => {
    world = await createWorld({ urlAllow: [ALLOWED] });
    await world.run(byApi(`http://${ALLOWED}:${port}/mcp`));
    world.apply(byApi(`http://${FORBIDDEN}:${port}/mcp`));
    await until('the reason', () => world.status('far').message.endsWith('not allowed here'));
    expect(reached()).toEqual([ALLOWED]);
  });

  it('opens a listed name, and refuses a list that makes no sense', async () => {
    world = await createWorld({ urlAllow: ['far.test'], resolve: async () => [ALLOWED] });
    await world.run(byApi(`http://far.test:${port}/mcp`));
    expect(world.instances('far')[0]?.address).toBe(`${ALLOWED}:${port}`);
    await expect(createWorld({ urlAllow: ['10.0.0.0/40'] })).rejects.toThrow('"10.0.0.0/40" must have 0 to 32 bits after the slash');
  });
});
