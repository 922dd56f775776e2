// The admin address: this machine only; control is another test's matter.

import { request } from 'node:http';
import { pino } from 'pino';
import { afterEach, expect, test } from 'vitest';
import { type AdminServer, startAdminServer } from './admin-server.ts';

let server: AdminServer | undefined;
afterEach(() => server?.close());

const start = async (over: Partial<Parameters<typeof startAdminServer>[0]> = {}): Promise<AdminServer> => {
  server = await startAdminServer({
    listen: { host: '127.0.0.1', port: 0 },
    metrics: async () => ({ contentType: 'text/plain; version=0.0.4', text: 'a 1\n' }),
    status: () => ({ sidecars: [1] }),
    ready: () => true,
    rest: () => undefined,
    token: 'x'.repeat(43),
    log: pino({ level: 'silent' }),
    ...over,
  });
  return server;
};

function ask(path: string, { host = 'localhost', method = 'GET' } = {}): Promise<{ status: number; type: string; body: string }> {
  return new Promise((resolve, reject) => {
    request({ port: server?.address.port, host: '127.0.0.1', path, method, headers: { host }, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, type: String(response.headers['content-type']), body }));
    })
      .on('error', reject)
      .end();
  });
}

test('metrics, health, readiness and state', async () => {
  let ready = false;
  await start({ ready: () => ready });
  expect(await ask('/metrics')).toEqual({ status: 200, type: 'text/plain; version=0.0.4', body: 'a 1\n' });
  expect((await ask('/healthz')).status).toBe(200);
  expect((await ask('/readyz')).status).toBe(503);
  ready = true;
  expect((await ask('/readyz?x=1')).status).toBe(200);
  expect(JSON.parse((await ask('/status')).body)).toEqual({ sidecars: [1] });
  expect((await ask('/other')).status).toBe(404);
});

test.each(['localhost', 'localhost:1', '127.0.0.1:80', '[::1]:80'])('Host %s is this machine', async (host) => {
  await start();
  expect((await ask('/healthz', { host })).status).toBe(200);
});

test.each(['evil.example', 'localhost.evil.example', 'localhost:80@evil.example', '127.0.0.1.nip.io', '0.0.0.0'])(
  'Host %s is not',
  async (host) => {
    await start();
    expect((await ask('/status', { host })).status).toBe(403);
  },
);

test('state cannot be changed', async () => {
  await start();
  for (const method of ['POST', 'PUT', 'DELETE']) expect((await ask('/status', { method })).status).toBe(405);
});

test('numbers that cannot be read are a 500, and the next question is answered', async () => {
  await start({ metrics: () => Promise.reject(new Error('no')) });
  expect((await ask('/metrics')).status).toBe(500);
  expect((await ask('/healthz')).status).toBe(200);
});

test('an address that is taken is one clear line', async () => {
  const { address } = await start();
  await expect(start({ listen: address })).rejects.toThrow(`the admin address 127.0.0.1:${address.port} is in use`);
});
