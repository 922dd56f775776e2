// Backends that run elsewhere (`url:`): reached by http and https, with their own Host, and recovered like any other.

import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer as createTcpServer, type Server } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession, post } from '../harness/mcp-http.ts';
import { ownAddress } from '../harness/own-address.ts';
import { backend } from '../harness/resource.ts';
import { type ServerProcess, startServer } from '../harness/server-process.ts';
import { waitFor } from '../harness/wait-for.ts';

const fixture = (name: string): string => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url));
const INITIALIZE = {
  jsonrpc: '2.0',
  id: 'first',
  method: 'initialize',
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'proof', version: '1' } },
};

let upstream: ServerProcess;
/** Elsewhere: not on a loopback name, which is the gateway's own, too. */
let elsewhere: ServerProcess;
let gateway: Gateway;
const relays: Server[] = [];

/** Ends TLS in front of the real server; its certificate names `host`. */
async function tlsRelay(host: string): Promise<number> {
  const target = Number(new URL(upstream.url).port);
  const options = { key: readFileSync(fixture(`${host}.key`)), cert: readFileSync(fixture(`${host}.pem`)) };
  const relay = createTlsServer(options, (socket) => {
    const onward = connect(target, '127.0.0.1');
    socket.pipe(onward).pipe(socket);
    socket.on('error', () => onward.destroy());
    onward.on('error', () => socket.destroy());
  });
  relays.push(relay);
  await new Promise<void>((resolve) => relay.listen(0, '127.0.0.1', resolve));
  return (relay.address() as AddressInfo).port;
}

beforeAll(async () => {
  upstream = await startServer('counter-server');
  elsewhere = await startServer('counter-server', { HOST: ownAddress() });
  const [good, bad] = [await tlsRelay('localhost'), await tlsRelay('elsewhere')];
  gateway = await startGateway({
    env: { SSL_CERT_FILE: fixture('ca.pem'), NODE_EXTRA_CA_CERTS: fixture('ca.pem') },
    resources: [
      backend('plain', { url: upstream.url }),
      backend('elsewhere', { url: elsewhere.url }),
      backend('secure', { url: `https://localhost:${good}/mcp` }),
      backend('impostor', { url: `https://localhost:${bad}/mcp`, scaling: { startTimeout: '1s' } }),
    ],
  });
});

afterAll(async () => {
  await gateway?.stop();
  await Promise.all([upstream?.stop(), elsewhere?.stop()]);
  for (const relay of relays) relay.close();
});

describe.each(['plain', 'elsewhere', 'secure'] as const)('%s', (name) => {
  test('a session works, and the server sees the Host of its own URL and no secret', { timeout: 60_000 }, async () => {
    const session = await openSession(gateway.backendUrl(name), { headers: { authorization: 'Bearer secret', cookie: 'a=b' } });
    await session.call('put', { value: name });
    const { headers } = (await session.call('whoami')) as unknown as { headers: Record<string, string> };
    const hosts = { plain: /^(127\.0\.0\.1|localhost):\d+$/, elsewhere: new RegExp(`^${ownAddress()}:\\d+$`), secure: /^localhost:\d+$/ };
    expect(headers['host']).toMatch(hosts[name]);
    expect(headers['host']).not.toBe(new URL(gateway.url).host);
    expect([headers['authorization'], headers['cookie']]).toEqual([undefined, undefined]);
    expect(await session.call('get')).toMatchObject({ value: name });
  });

  test('sessions that the server has forgotten are opened again', { timeout: 60_000 }, async () => {
    const session = await openSession(gateway.backendUrl(name));
    await session.call('put', { value: 'old' });
    process.kill((name === 'elsewhere' ? elsewhere : upstream).pid, 'SIGUSR2');
    await waitFor('the server to forget', async () => (await session.call('get'))['value'] === null);
    expect((await session.call('whoami')).calls).toBeGreaterThan(0);
  });
});

test('a server whose certificate names another host is never spoken to', { timeout: 60_000 }, async () => {
  const answer = await post(gateway.backendUrl('impostor'), INITIALIZE);
  expect([answer.status, answer.messages[0]?.id, answer.messages[0]?.error?.code]).toEqual([503, 'first', -32603]);
});

test('a port where nothing listens: an answer with the id of the request', { timeout: 60_000 }, async () => {
  const closed = createTcpServer();
  await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve));
  const { port } = closed.address() as AddressInfo;
  await new Promise((resolve) => closed.close(resolve));
  gateway.writeResource(backend('closed', { url: `http://127.0.0.1:${port}/mcp`, scaling: { startTimeout: '1s' } }));
  await waitFor('the backend to be known', async () => (await post(gateway.backendUrl('closed'), INITIALIZE)).status !== 404);
  const answer = await post(gateway.backendUrl('closed'), INITIALIZE);
  expect([answer.status, answer.messages[0]?.id, answer.messages[0]?.error?.code]).toEqual([503, 'first', -32603]);
});
