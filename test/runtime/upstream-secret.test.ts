// The secret of a server elsewhere: read from a file or a variable, taken up when it changes, never shown, never missing from a request.

import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { backend, createWorld, until, type World } from './world.ts';

let world: World;
let server: Server;
let seen: IncomingHttpHeaders[];
let answer: (header: string | undefined) => { readonly status: number; readonly body?: string };
let port: number;
beforeEach(async () => {
  seen = [];
  answer = () => ({ status: 405 });
  server = createServer((request, response) => {
    seen.push(request.headers);
    const { status, body } = answer(request.headers.authorization);
    response.writeHead(status, { 'content-type': 'application/json' }).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
  world = await createWorld({ environment: { FAR_TOKEN: 'from-variable', FAR_EMPTY: '' } });
});
afterEach(async () => {
  await world.close();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

const fromFile = { secretKeyRef: { name: 'far', key: 'token' } };
const far = (auth: object = {}, spec: object = {}) =>
  backend('far', { url: `http://127.0.0.1:${port}/mcp`, upstreamAuth: { header: 'Authorization', valueFrom: fromFile, ...auth }, ...spec });
const file = () => join(world.home, 'secrets', 'far', 'token');

async function writeSecret(text: string | Buffer): Promise<void> {
  await mkdir(join(world.home, 'secrets', 'far'), { recursive: true });
  await writeFile(`${file()}.new`, text);
  await rename(`${file()}.new`, file());
}

const auth = () => world.inDirectory('far')?.remote?.auth;

it('without its file it has no instance, and says which file; with it, it is ready, and probes carry it', async () => {
  world.apply(far({ prefix: 'Bearer ' }));
  await until('the reason', () => world.status('far').message === `the secret for Authorization cannot be read (ENOENT): ${file()}`);
  await world.settled();
  expect([world.status('far').ready, world.instances('far'), auth(), seen]).toEqual([0, [], undefined, []]);
  await writeSecret('s3cret-one\n');
  await until('ready', () => world.instances('far')[0]?.state === 'ready');
  expect(auth()).toEqual({ header: 'authorization', value: 'Bearer s3cret-one' });
  expect(new Set(seen.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer s3cret-one']));
});

it('is taken up when it changes, and there is never an instance without it', async () => {
  await writeSecret('one');
  await world.run(far());
  const { id } = world.instances('far')[0] ?? {};
  const bare: unknown[] = [];
  world.directory.onChange(() => {
    if (world.instances('far').length > 0 && auth() === undefined) bare.push(world.inDirectory('far'));
  });
  await writeSecret('two\r\n');
  await until('the new one', () => auth()?.value === 'two');
  expect(world.instances('far')).toMatchObject([{ id, state: 'ready' }]);
  await rm(file());
  await until('no instance', () => world.instances('far').length === 0);
  expect(world.status('far').message).toContain(file());
  await writeSecret('three');
  await until('ready again', () => world.instances('far')[0]?.state === 'ready');
  expect([auth()?.value, world.instances('far')[0]?.id, bare]).toEqual(['three', id, []]);
});

it.each([
  ['', 'is empty'],
  ['\n', 'is empty'],
  ['two\n\n', 'cannot carry'],
  ['two\r\nX-Evil: 1', 'cannot carry'],
  ['two\0', 'cannot carry'],
  ['zwö', 'cannot carry'],
  ['two ', 'cannot carry'],
  [' two', 'cannot carry'],
  ['x'.repeat(8193), 'is longer than 8192 bytes'],
  ['x'.repeat(1_000_000), 'is longer than 8192 bytes'],
])('that holds %j is refused without being shown', async (text, reason) => {
  await writeSecret(text);
  world.apply(far());
  await until('the reason', () => world.status('far').message.includes(reason));
  expect(world.status('far').message).toContain(file());
  expect(JSON.stringify(world.status('far'))).not.toMatch(/two|xxx|zw/);
  expect(world.instances('far')).toEqual([]);
});

it('may be as long as 8 KiB, with spaces and tabs inside, and a line break at the end', async () => {
  const text = `a\tb ${'x'.repeat(8188)}`;
  await writeSecret(`${text}\r\n`);
  await world.run(far());
  expect(auth()?.value).toBe(text);
});

it('that is a folder is refused', async () => {
  await mkdir(file(), { recursive: true });
  world.apply(far());
  await until('the reason', () => world.status('far').message === `the secret for Authorization cannot be read (EISDIR): ${file()}`);
});

it('comes from a variable of the gateway, for resources from files', async () => {
  await world.run(far({ prefix: 'Token ', valueFrom: { env: 'FAR_TOKEN' } }));
  expect(auth()?.value).toBe('Token from-variable');
  world.apply(far({ valueFrom: { env: 'FAR_MISSING' } }));
  await until('the reason', () => world.status('far').message === 'the secret for Authorization is not set: the variable FAR_MISSING');
  world.apply(far({ valueFrom: { env: 'FAR_EMPTY' } }));
  await until('the reason', () => world.status('far').message === 'the secret for Authorization is empty: the variable FAR_EMPTY');
});

it('comes from no variable for a server that was registered by API: it could name any', async () => {
  world.apply({ ...far({ valueFrom: { env: 'FAR_TOKEN' } }), origin: 'api' });
  await until('the reason', () => world.status('far').message === 'upstreamAuth.valueFrom.env is for resource files only');
  expect([world.instances('far'), auth(), seen]).toEqual([[], undefined, []]);
});

it('that the server does not accept makes it not ready, until it is mended', async () => {
  answer = (header) => ({ status: header === 'good' ? 405 : 401 });
  await writeSecret('bad');
  world.apply(far());
  await until('the reason', () => world.status('far').message.startsWith('GET /mcp answered 401; the server does not accept'));
  await writeSecret('good');
  await until('ready', () => world.instances('far')[0]?.state === 'ready');
});

it('is in no status and no log, also when the server quotes it', async () => {
  answer = (header) => ({
    status: 200,
    body: JSON.stringify({ jsonrpc: '2.0', id: 'mcp-gateway-probe', error: { code: 1, message: `no access for ${header}` } }),
  });
  await writeSecret('s3cret');
  world.apply(far({ prefix: 'Bearer ' }, { healthCheck: { type: 'mcp' } }));
  await until('the reason', () => world.status('far').message === 'initialize answered with an error');
  expect(seen[0]?.authorization).toBe('Bearer s3cret');
  await rm(file());
  await until('it is gone', () => world.status('far').message.includes('ENOENT'));
  expect(JSON.stringify([world.runtime.status(), world.lines])).not.toContain('s3cret');
});

it('goes to no address but this machine’s without TLS, whatever localhost is said to be', async () => {
  await world.close();
  let addresses = ['192.0.2.1'];
  world = await createWorld({ resolve: async () => addresses });
  await writeSecret('one');
  const local = backend('far', {
    url: `http://localhost:${port}/mcp`,
    upstreamAuth: { header: 'Authorization', valueFrom: fromFile },
  });
  world.apply(local);
  await until('the reason', () => world.status('far').message.startsWith('localhost is not this machine'));
  expect(world.instances('far')).toEqual([]);
  addresses = ['192.0.2.1', '127.0.0.1'];
  world.apply();
  await world.run(local);
  expect(world.instances('far')[0]?.address).toBe(`127.0.0.1:${port}`);
});
