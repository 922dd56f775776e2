// The gRPC edge of a decision: whatever goes wrong behind it, Envoy gets an answer, and the process lives.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Client, credentials, makeGenericClientConstructor } from '@grpc/grpc-js';
import { pino } from 'pino';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { type PolicyServer, startPolicyServer } from '../src/envoy/policy-server.ts';
import { loadServices } from '../src/envoy/services.ts';
import type { Authorize } from '../src/gateway/authorize.ts';
import { refuse } from '../src/gateway/refusal.ts';

let folder: string;
let server: PolicyServer;
let client: Client;
let authorize: Authorize;
const lines: string[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'policy-'));
  const socket = join(folder, 's');
  server = await startPolicyServer({
    socket,
    authorize: (request) => authorize(request),
    sealAnswer: async () => ({ kind: 'keep' }),
    onFinished: () => {},
    serving: () => true,
    log: pino({}, { write: (line: string) => void lines.push(line) }),
  });
  client = new (makeGenericClientConstructor(loadServices().authorization, 'Authorization'))(
    `unix:${socket}`,
    credentials.createInsecure(),
  );
});
afterAll(async () => {
  client.close();
  await server.close();
  rmSync(folder, { recursive: true });
});
beforeEach(() => {
  lines.length = 0;
});

interface Checked {
  readonly denied_response?: { readonly status: { readonly code: number }; readonly body: string };
}

function check(): Promise<Checked> {
  const call = (client as unknown as Record<'Check', (request: object, done: (error: Error | null, answer: Checked) => void) => void>)
    .Check;
  return new Promise((resolve, reject) => {
    call.call(client, { attributes: {} }, (error, answer) => (error ? reject(error) : resolve(answer)));
  });
}

const broken = new Error('nobody expected this');

test.each<[string, Authorize]>([
  [
    'throws',
    () => {
      throw broken;
    },
  ],
  ['rejects', () => Promise.reject(broken)],
])('a decision that %s is answered as an internal error, and logged', async (_, decide) => {
  authorize = decide;
  const { denied_response: denied } = await check();
  expect(denied?.status.code).toBe(500);
  expect(JSON.parse(denied?.body.toString() ?? '')).toMatchObject({ error: { code: expect.any(Number) } });
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([{ level: 50, err: { message: broken.message } }]);
});

test.each<[string, Authorize]>([
  ['at once', () => refuse('session_not_found')],
  ['later', async () => refuse('session_not_found')],
])('a decision that comes %s is given as it is', async (_, decide) => {
  authorize = decide;
  expect((await check()).denied_response?.status.code).toBe(404);
  expect(lines).toEqual([]);
});
