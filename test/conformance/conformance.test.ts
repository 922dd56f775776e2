// The conformance gate: the official suites find exactly the same through the gateway as without it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { serverBackend } from '../harness/resource.ts';
import { type ServerProcess, startServer } from '../harness/server-process.ts';
import { runSuite, suites } from './suite.ts';

let server: ServerProcess;
let gateway: Gateway;

beforeAll(async () => {
  server = await startServer('fixture-server');
  gateway = await startGateway({ resources: [serverBackend('fixture', 'fixture-server')] });
});

afterAll(async () => {
  await server?.stop();
  await gateway?.stop();
});

describe.each(suites)('conformance $name', (suite) => {
  test('is the same through the gateway as directly, check by check', { timeout: 500_000 }, async () => {
    const direct = await runSuite(suite, server.url);
    expect({ passed: direct.passed, failed: direct.failed }, direct.failures.join('\n')).toEqual(suite.direct);

    const through = await runSuite(suite, gateway.backendUrl('fixture'));
    const news = through.failures.filter((failure) => !direct.failures.includes(failure));
    expect(through.checks, `failures only through the gateway:\n${news.join('\n')}`).toEqual(direct.checks);
  });
});
