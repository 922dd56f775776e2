// Beside an Envoy that already runs: sessions and their recovery through it, and what the sidecar refuses to serve.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession, post } from '../harness/mcp-http.ts';
import { killAndWait } from '../harness/processes.ts';
import { backend, serverBackend } from '../harness/resource.ts';
import { connectSdkClient } from '../harness/sdk-client.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type RecordingUpstream, startRecordingUpstream } from '../servers/recording-upstream.ts';
import { CERTIFICATES, type EdgeEnvoy, type EdgeEnvoyOptions, edgeEnvironment, edgePorts, SECRET, startEdgeEnvoy } from './edge-envoy.ts';

const INITIALIZE = {
  ...{ jsonrpc: '2.0', id: 1, method: 'initialize' },
  params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'x', version: '1' } },
};

/** How a client notices depends on which of its bytes was first. */
const REFUSED = /alert|hang up|ECONNRESET|EPIPE/;

let folder: string;
let gateway: Gateway;
let upstream: RecordingUpstream;
let envoy: EdgeEnvoy | undefined;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beside-'));
  const secretFile = join(folder, 'secret');
  writeFileSync(secretFile, `an older secret, which is still accepted for a while\n${SECRET}\n`);
  upstream = await startRecordingUpstream();
  gateway = await startGateway({
    resources: [
      serverBackend('counter', 'counter-server', { healthCheck: { type: 'mcp' } }),
      backend('recorded', { url: upstream.url('recorded'), healthCheck: { type: 'mcp' } }),
    ],
    env: edgeEnvironment(secretFile),
  });
  await waitFor('the server', async () => (await openSession(gateway.backendUrl('counter'))).end());
  await waitFor('the recorder', async () => (await openSession(gateway.backendUrl('recorded'))).end());
});
afterEach(async () => {
  await envoy?.stop();
  envoy = undefined;
});
afterAll(async () => {
  await gateway.stop();
  await upstream.stop();
  rmSync(folder, { recursive: true });
});

async function start(options: Omit<EdgeEnvoyOptions, 'gateway'> = {}): Promise<EdgeEnvoy> {
  envoy = await startEdgeEnvoy({ gateway, ...options });
  return envoy;
}

const proofLines = () =>
  gateway
    .logs()
    .split('\n')
    .filter((line) => line.includes('edge not proven'));

describe('an Envoy with the mutations and a certificate', () => {
  it('carries sessions, and a client does not notice that its server was killed', async () => {
    const { backendUrl } = await start();
    const client = await connectSdkClient(backendUrl('counter'));
    const first = await client.call('whoami');
    expect((await client.call('whoami')).pid).toBe(first.pid);
    await killAndWait(first.pid);
    const after = await client.call('whoami');
    expect(after.pid).not.toBe(first.pid);
    expect((await client.call('whoami')).pid).toBe(after.pid);
    await client.close();
  });

  it('shows neither mark nor canary to servers and clients, and believes no internal header of a client', async () => {
    const { backendUrl } = await start();
    const forged = {
      'x-mcp-edge': 'mine',
      'x-mcp-canary': 'mine',
      'x-mcp-subject': 'root',
      'x-request-id': 'mine',
      'x-mcp-rebound': 'mine',
    };
    const session = await openSession(backendUrl('recorded'), { headers: forged });
    const answer = await session.send({ jsonrpc: '2.0', id: 2, method: 'tools/list', params: {} });
    expect(answer.status).toBe(200);
    expect([...answer.headers.keys()].filter((name) => name.startsWith('x-mcp-'))).toEqual([]);
    const [seen] = upstream
      .requests('recorded')
      .filter(({ rpc }) => rpc === 'tools/list')
      .slice(-1);
    expect(seen?.values('x-mcp-edge')).toEqual([]);
    expect(seen?.values('x-mcp-canary')).toEqual([]);
    expect(seen?.values('x-mcp-subject')).not.toContain('root');
    expect(seen?.values('x-request-id')).not.toContain('mine');
    await session.end();
  });

  it('may still have the older one of two secrets', async () => {
    const { backendUrl } = await start({ secret: 'an older secret, which is still accepted for a while' });
    await (await openSession(backendUrl('counter'))).end();
  });
});

describe('is not served', () => {
  it.each<[string, Omit<EdgeEnvoyOptions, 'gateway'>, Record<string, string>, string]>([
    ['without the mutations', { mutations: () => [] }, {}, 'x-mcp-edge is missing'],
    // A client that has heard of the mark does not know the secret.
    ['without the mutations, whose client sends a mark', { mutations: () => [] }, { 'x-mcp-edge': 'guessed' }, 'holds another secret'],
    ['without removals', { mutations: (all) => all.filter((one) => !one.remove_on_match) }, {}, 'x-mcp-canary was not removed'],
    ['with the removals first', { mutations: ([plant, ...all]) => [...all, plant as never] }, {}, 'x-mcp-canary was not removed'],
    ['with another secret', { secret: 'something else that is long enough to be a secret' }, {}, 'holds another secret'],
  ])('an Envoy %s', async (_, options, headers, why) => {
    const { backendUrl } = await start(options);
    const answer = await post(backendUrl('counter'), INITIALIZE, headers);
    expect(answer.status).toBe(503);
    expect(answer.messages[0]?.error).toEqual({ code: -32603, message: 'Policy service unavailable' });
    // Once in a minute, however often somebody knocks.
    await waitFor('the line', () => proofLines().some((line) => line.includes(why)));
    expect(proofLines().filter((line) => line.includes(why))).toHaveLength(1);
  });

  it('an Envoy whose certificate is signed by somebody else', async () => {
    const { backendUrl } = await start({ certificate: 'stranger' });
    const answer = await post(backendUrl('counter'), INITIALIZE);
    expect(answer.status).toBe(503);
    expect(answer.messages[0]?.error).toMatchObject({ code: -32603 });
  });

  it('anybody without a certificate, on the port of recovery', async () => {
    const { recovery: port } = edgePorts(gateway);
    const ca = readFileSync(join(CERTIFICATES, 'ca.pem'));
    const ask = (more: object) =>
      new Promise((resolve, reject) => {
        const options = {
          host: '127.0.0.1',
          port,
          path: '/readyz',
          ca,
          servername: 'mcp-gateway-policy.mcp-gateway.svc',
          agent: false,
          ...more,
        };
        request(options, (answer) => resolve(answer.resume().statusCode))
          .on('error', reject)
          .end();
      });
    const pair = (name: string) => ({
      cert: readFileSync(join(CERTIFICATES, `${name}.pem`)),
      key: readFileSync(join(CERTIFICATES, `${name}.key`)),
    });
    await expect(ask(pair('envoy'))).resolves.toBe(200);
    await expect(ask({})).rejects.toThrow(REFUSED);
    await expect(ask(pair('stranger'))).rejects.toThrow(REFUSED);
  });
});
