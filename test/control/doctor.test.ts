// `mcp-gateway doctor` as somebody runs it whose gateway does not work, or does: what it finds, what it advises, and its exit code.

import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Finding } from '../../src/cli/doctor/finding.ts';
import { freePort } from '../harness/free-port.ts';
import { type Gateway, MAIN, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';
import { backend, serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';
import { waitFor } from '../harness/wait-for.ts';
import { envoyBinary } from '../setup/tools.ts';

const scratch = createScratch();
const PASSWORD = 'a-password-nobody-sees';

interface Outcome {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

type Env = Readonly<Record<string, string>>;

const environment = (env: Env = {}) => ({ PATH: process.env['PATH'], HOME: scratch.folder, ENVOY_BIN: envoyBinary(), ...env });

function doctor(args: readonly string[], env: Env = {}): Promise<Outcome> {
  return new Promise((done) => {
    const options = { env: environment(env), cwd: scratch.folder, timeout: 40_000 };
    execFile(process.execPath, [MAIN, 'doctor', ...args], options, (error, stdout, stderr) =>
      done({ code: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
}

interface Report {
  readonly code: Outcome['code'];
  readonly checks: readonly Finding[];
  /** The findings of one check, without its name. */
  of(check: string, subject?: string): readonly Pick<Finding, 'state' | 'message' | 'advice'>[];
}

async function report(args: readonly string[], env: Env = {}): Promise<Report> {
  const { code, stdout } = await doctor(['--json', ...args], env);
  const { checks, failures } = JSON.parse(stdout) as { checks: Finding[]; failures: number };
  expect(code).toBe(failures > 0 ? 1 : 0);
  for (const { state, advice } of checks) expect([state, advice !== undefined]).toEqual([state, state !== 'ok']);
  return {
    code,
    checks,
    of: (check, subject) =>
      checks
        .filter((each) => each.check === check && each.subject === subject)
        .map(({ state, message, advice }) => ({ state, message, ...(advice !== undefined && { advice }) })),
  };
}

/** A file in the scratch folder. */
function file(name: string, content: string): string {
  const path = join(scratch.folder, name);
  writeFileSync(path, content);
  return path;
}

/** Settings on free ports, as JSON, which is YAML. */
async function settings(name: string, more: Readonly<Record<string, unknown>> = {}): Promise<string> {
  const [listen, admin] = [await freePort(), await freePort()];
  const home = join(scratch.folder, `${name}-home`);
  return file(`${name}.yaml`, JSON.stringify({ listen: `127.0.0.1:${listen}`, admin: `127.0.0.1:${admin}`, home, ...more }));
}

afterAll(() => scratch.remove());

describe('before a gateway runs', () => {
  test('a machine on which it could: a line for each check, and exit code 0', async () => {
    const { code, stdout, stderr } = await doctor(['--config', await settings('well')]);
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout.replaceAll(/127\.0\.0\.1:\d+/g, 'ADDRESS').split('\n')).toEqual([
      `ok       node: ${process.versions.node}`,
      'ok       settings: valid',
      `ok       envoy: 1.40.0, ${envoyBinary()} (ENVOY_BIN)`,
      `ok       home: ${scratch.folder}/well-home does not exist yet: "mcp-gateway up" makes it`,
      `ok       gateway: none runs in ${scratch.folder}/well-home`,
      'ok       listen: ADDRESS is free',
      'ok       admin: ADDRESS is free',
      '',
      'everything is well',
      '',
    ]);
  });

  test('settings that cannot be read: each mistake', async () => {
    const { stdout, stderr, code } = await doctor(['--config', file('wrong.yaml', 'workers: many\nlisten: nowhere\n')]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^failure {2}settings: \S+: workers must be .*\n {9}→ correct it: docs\/config\.md/m);
    expect(stdout).toMatch(/^failure {2}settings: \S+: listen must be /m);
    expect(stderr).toBe('mcp-gateway: 2 checks have failed\n');
    const { of } = await report(['--config', await settings('warned')], { MCP_GATEWAY_LISTN: 'x' });
    expect(of('settings')).toContainEqual(
      expect.objectContaining({ state: 'warning', message: 'MCP_GATEWAY_LISTN is not a setting of this version' }),
    );
  });

  test('no Envoy, and one that is none', async () => {
    const config = await settings('envoy');
    const wrong = await report(['--config', config], { ENVOY_BIN: process.execPath });
    expect(wrong.of('envoy')).toEqual([expect.objectContaining({ state: 'failure', message: expect.stringContaining('cannot be used') })]);
    const none = await report(['--config', config], { ENVOY_BIN: '', PATH: '/nonexistent' });
    expect(none.of('envoy')).toEqual([
      {
        state: 'warning',
        message: 'there is none on this machine yet',
        advice: 'the first "mcp-gateway up" downloads it, or "mcp-gateway envoy fetch" now',
      },
    ]);
  });

  test('a home that others can read, and one that is a file', async () => {
    const home = join(scratch.folder, 'open');
    mkdirSync(home);
    chmodSync(home, 0o755);
    const keys = join(home, 'keys.json');
    writeFileSync(keys, '{}', { mode: 0o644 });
    const { of } = await report(['--config', await settings('open', { home })]);
    expect(of('home')).toEqual([
      { state: 'warning', message: `${home} is open to other users of this machine`, advice: `chmod 700 ${home}` },
      { state: 'failure', message: `${keys} is open to other users of this machine`, advice: `chmod 600 ${keys}` },
    ]);
    const aFile = await report(['--config', await settings('file'), '--home', keys]);
    expect(aFile.of('home')).toMatchObject([{ state: 'failure', message: `${keys} is no folder` }]);
  });

  test('an address that is taken', async () => {
    const server = createServer((_, response) => response.end('something else'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const listen = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      const { of } = await report(['--config', await settings('taken', { listen })]);
      expect(of('listen')).toEqual([
        { state: 'failure', message: `${listen} is in use by another program`, advice: 'stop it, or choose another address with --listen' },
      ]);
      expect(of('admin')).toMatchObject([{ state: 'ok' }]);
    } finally {
      server.close();
    }
  });
});

describe('redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis({ password: PASSWORD });
  });
  afterAll(() => redis?.stop());

  const look = async (url: string) => {
    const { checks, of } = await report(['--config', await settings('redis')], { REDIS_URL: url });
    expect(JSON.stringify(checks)).not.toContain(PASSWORD);
    return of('redis');
  };

  test('answers, refuses, does not answer, is gone: and its password is never shown', async () => {
    const where = `redis://127.0.0.1:${redis.port}`;
    expect(await look(redis.url)).toEqual([
      { state: 'ok', message: expect.stringMatching(new RegExp(`^${where} answers PING in \\d+ ms$`)) },
    ]);
    const login = 'correct the user and password in redisUrl (REDIS_URL)';
    expect(await look(`redis://:${PASSWORD}x@127.0.0.1:${redis.port}`)).toMatchObject([{ state: 'failure', advice: login }]);
    expect(await look(where)).toMatchObject([{ state: 'failure', advice: login }]);
    redis.pause();
    expect(await look(redis.url)).toMatchObject([{ state: 'failure' }]);
    redis.resume();
    await redis.kill();
    expect(await look(redis.url)).toMatchObject([
      { state: 'failure', message: expect.stringContaining('ECONNREFUSED'), advice: expect.stringMatching(/^start it, or/) },
    ]);
  });
});

describe('a gateway without issuers', () => {
  let gateway: Gateway;
  let modern: Server;

  beforeAll(async () => {
    modern = createServer(answerModernly);
    await new Promise<void>((resolve) => modern.listen(0, '127.0.0.1', resolve));
    gateway = await startGateway({
      resources: [
        serverBackend('counter', 'counter-server', { env: { COUNTER_JOURNAL: scratch.journalPath('counter') } }),
        serverBackend('alone', 'stateless-server'),
        serverBackend('unwell', 'counter-server', { healthCheck: { path: '/nowhere' }, scaling: { startTimeout: '10s' } }),
        backend('modern', { url: `http://127.0.0.1:${(modern.address() as AddressInfo).port}/mcp` }),
        backend('image', { image: 'ghcr.io/example/server:1.2' }),
      ],
    });
  });
  afterAll(async () => {
    await gateway?.stop();
    modern?.close();
    modern?.closeAllConnections();
  });

  test('is asked for its health and by MCP itself, backend by backend', async () => {
    const args = ['--home', gateway.home];
    const { of } = await waitFor('each backend to be what it is', async () => {
      const found = await report(args);
      const states = ['counter', 'alone', 'modern'].map((name) => found.of('backend', name)[0]?.state);
      return states.every((state) => state === 'ok') && found.of('backend', 'unwell')[0]?.state === 'failure' && found;
    });
    expect(of('gateway')).toEqual([{ state: 'ok', message: `runs in ${gateway.home} with pid ${gateway.child.pid}` }]);
    expect(of('home')).toEqual([{ state: 'ok', message: `${gateway.home}, for you alone` }]);
    expect(of('listen')).toEqual([{ state: 'ok', message: `${gateway.url} is ready` }]);
    expect(of('admin')).toEqual([{ state: 'ok', message: `${gateway.admin} answers, with 5 backends` }]);
    const said = (pattern: RegExp) => [{ state: 'ok', message: expect.stringMatching(pattern) }];
    expect(of('mcp', 'counter')).toEqual(said(/^initialize, tools\/list with [1-9]\d*, DELETE \(2025-11-25\), in \d+ ms$/));
    expect(of('mcp', 'alone')).toEqual(said(/^initialize, tools\/list with [1-9]\d* \(2025-11-25\), in \d+ ms$/));
    expect(of('mcp', 'modern')).toEqual(said(/^server\/discover, tools\/list with 1 \(2026-07-28\), in \d+ ms$/));
    const source = (name: string) => join(gateway.home, 'resources', `${name}.yaml`);
    expect(of('backend', 'unwell')).toEqual([
      {
        state: 'failure',
        message: expect.stringMatching(/^unhealthy, 0 of 1 ready: .*GET \/nowhere answered 400/),
        advice: expect.stringMatching(/unwell/),
      },
    ]);
    expect(of('backend', 'image')).toEqual([
      { state: 'failure', message: expect.stringMatching(/^unhealthy, /), advice: `correct it in ${source('image')}` },
    ]);
    expect([of('mcp', 'unwell'), of('mcp', 'image')]).toEqual([[], []]);
    // Nothing stays behind.
    const { opened, ended } = count(scratch.journal('counter'));
    expect([opened > 0, ended]).toEqual([true, opened]);
  });

  test('whose home is another one: its addresses are taken by a gateway', async () => {
    const { of } = await report([
      '--config',
      await settings('other', { listen: new URL(gateway.url).host, admin: new URL(gateway.admin).host }),
    ]);
    for (const check of ['listen', 'admin']) {
      expect(of(check)).toMatchObject([{ state: 'failure', message: expect.stringMatching(/ is in use by a gateway with another home$/) }]);
    }
  });

  test('whose processes are gone', async () => {
    const home = join(scratch.folder, 'gone');
    mkdirSync(home, { mode: 0o700 });
    const note = { pid: process.pid, url: 'http://127.0.0.1:9', admin: 'http://127.0.0.1:9' };
    writeFileSync(join(home, 'gateway.json'), JSON.stringify(note));
    writeFileSync(join(home, 'token'), `${'x'.repeat(43)}\n`, { mode: 0o600 });
    const { of } = await report(['--home', home]);
    expect(of('listen')).toEqual([
      {
        state: 'failure',
        message: expect.stringMatching(/^http:\/\/127\.0\.0\.1:9\/readyz does not answer/),
        advice: expect.stringContaining('gateway.log'),
      },
    ]);
    expect(of('admin')).toEqual([
      { state: 'failure', message: 'the gateway at http://127.0.0.1:9 does not answer', advice: `see ${join(home, 'logs')}` },
    ]);
  });
});

test('a gateway that hangs is not waited for for long', async () => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
  const home = join(scratch.folder, 'hangs');
  mkdirSync(home, { mode: 0o700 });
  writeFileSync(join(home, 'gateway.json'), JSON.stringify({ pid: process.pid, url, admin: url }));
  writeFileSync(join(home, 'token'), `${'x'.repeat(43)}\n`, { mode: 0o600 });
  try {
    const { of } = await report(['--home', home]);
    expect(of('listen')).toMatchObject([{ state: 'failure', message: `${url}/readyz does not answer (no answer within 5 s)` }]);
    expect(of('admin')).toMatchObject([{ state: 'failure', message: 'no answer within 5 s' }]);
  } finally {
    silent.close();
    silent.closeAllConnections();
  }
});

describe('issuers', () => {
  let issuer: TestIssuer;
  let gateway: Gateway;
  const tokens: string[] = [];

  /** A file with a token that must not be seen again. */
  const tokenFile = (claims: Readonly<Record<string, unknown>> = {}): string => {
    const token = issuer.token('ann', claims);
    tokens.push(token);
    return file('token.txt', `${token}\n`);
  };
  const look = async (...args: readonly string[]): Promise<Report> => {
    const found = await report(['--home', gateway.home, ...args], issuer.env);
    for (const token of tokens) for (const part of token.split('.')) expect(JSON.stringify(found.checks)).not.toContain(part);
    return found;
  };

  beforeAll(async () => {
    issuer = await startIssuer();
    gateway = await startGateway({ resources: [serverBackend('counter', 'counter-server')], env: issuer.env });
    await waitFor('the backend', async () => (await look()).of('backend', 'counter')[0]?.state === 'ok');
  });
  afterAll(async () => {
    await gateway?.stop();
    await issuer?.stop();
  });

  test('are read; without a token no backend is tried, and how to give one is said', async () => {
    const { of, code } = await look();
    expect(code).toBe(0);
    expect(of('issuer', issuer.issuer)).toEqual([{ state: 'ok', message: '1 key' }]);
    expect(of('mcp')).toEqual([
      {
        state: 'warning',
        message: 'not tried: the gateway asks for a token',
        advice: 'give one with --token-file FILE; it is sent to this gateway alone',
      },
    ]);
  });

  test('a good token is described, and tried', async () => {
    const { of, code } = await look('--token-file', tokenFile({ roles: ['mcp.admin'] }));
    expect(code).toBe(0);
    expect(of('token')).toEqual([{ state: 'ok', message: expect.stringMatching(`^of "${issuer.issuer}" for "mcp", ends in [45] min$`) }]);
    expect(of('mcp', 'counter')).toMatchObject([
      { state: 'ok', message: expect.stringMatching(/^initialize, tools\/list with \d+, DELETE/) },
    ]);
  });

  test('a good token of somebody who may not use a backend: that may be meant so', async () => {
    const { of, code } = await look('--token-file', tokenFile());
    expect(code).toBe(0);
    expect(of('mcp', 'counter')).toEqual([
      {
        state: 'warning',
        message: 'initialize is answered with 403: Forbidden',
        advice: 'see access of the backend: "mcp-gateway backends get counter"',
      },
    ]);
  });

  test('a token comes over a pipe, too, and is in nothing that is printed', async () => {
    const path = tokenFile({ roles: ['mcp.admin'] });
    const command = `"${process.execPath}" "${MAIN}" doctor --home "${gateway.home}" --token-file <(cat "${path}")`;
    const { stdout } = await promisify(execFile)('bash', ['-c', command], { env: environment(issuer.env), timeout: 40_000 });
    expect(stdout).toMatch(/^ok {7}token: of /m);
    expect(stdout).toMatch(/^ok {7}mcp counter: initialize, /m);
    for (const token of tokens) for (const part of token.split('.')) expect(stdout).not.toContain(part);
  });

  test('a token for one backend is tried there alone', async () => {
    const { of } = await look('--token-file', tokenFile({ aud: `${gateway.url}/adapters/other/mcp` }));
    expect(of('token')).toMatchObject([{ state: 'ok' }]);
    expect(of('mcp', 'counter')).toMatchObject([{ state: 'warning', message: 'not tried: the token is for another backend' }]);
  });

  test('a token whose iss lacks the slash: both are shown, and it is not sent', async () => {
    const iss = issuer.issuer.slice(0, -1);
    const { of, code } = await look('--token-file', tokenFile({ iss }));
    expect(code).toBe(1);
    expect(of('token')).toEqual([
      {
        state: 'failure',
        message: `its iss is "${iss}", but "${issuer.issuer}" is configured: they differ in the slash at the end, which counts`,
        advice: `write it into issuers as "${iss}": it is compared letter by letter`,
      },
    ]);
    expect(of('mcp')).toEqual([
      { state: 'warning', message: 'not tried: the gateway would refuse the token', advice: 'see what is said of the token' },
    ]);
  });

  test('a token that has expired and is for somebody else', async () => {
    const { of } = await look('--token-file', tokenFile({ exp: 1, aud: 'api' }));
    expect(of('token').map(({ message }) => message)).toEqual([
      expect.stringMatching(/^it has expired, \d+ h ago$/),
      expect.stringMatching(/^its aud is "api", but accepted are "mcp", "http:\/\/127\.0\.0\.1:\d+"$/),
    ]);
    expect((await look('--token-file', 'nowhere.txt')).of('token')).toMatchObject([
      { state: 'failure', message: 'nowhere.txt: there is no such file' },
    ]);
  });

  test('an issuer whose own name differs in the slash: both are shown', async () => {
    const configured = issuer.issuer.slice(0, -1);
    const { of } = await report(['--config', await settings('slash', { issuers: [{ issuer: configured, audiences: ['mcp'] }] })]);
    expect(of('issuer', configured)).toEqual([
      {
        state: 'failure',
        message: `the issuer in its discovery document is "${issuer.issuer}", but "${configured}" is configured: they differ in the slash at the end, which counts`,
        advice: `write it into issuers as "${issuer.issuer}": it is compared letter by letter`,
      },
    ]);
  });

  test('one that does not answer is not waited for for long, and Ctrl-C ends that, too', async () => {
    const config = await settings('silent', { issuers: [{ issuer: issuer.issuer, audiences: ['mcp'] }] });
    issuer.answer('never');
    try {
      const { of } = await report(['--config', config, '--token-file', tokenFile({ aud: 'api' })]);
      expect(of('token').map(({ message }) => message)).toEqual([
        expect.stringMatching(/^its aud is "api"/),
        'its signature cannot be checked without the keys of its issuer',
      ]);
      expect(of('issuer', issuer.issuer)).toMatchObject([{ state: 'failure', message: 'no answer within 10 s' }]);
      const before = issuer.asked();
      const child = spawn(process.execPath, [MAIN, 'doctor', '--config', config], {
        env: environment(),
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let stderr = '';
      child.stderr.on('data', (chunk: Buffer) => {
        stderr += chunk.toString();
      });
      const ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)));
      await waitFor('the question', () => issuer.asked() > before);
      const stopped = performance.now();
      child.kill('SIGINT');
      expect(await ended).toBe(1);
      expect(stderr).toBe('mcp-gateway: stopped before all was checked\n');
      expect(performance.now() - stopped).toBeLessThan(5_000);
    } finally {
      issuer.answer('ok');
    }
  });

  test('settings that do not know them: the gateway’s refusal is no failure of a backend', async () => {
    const { of, code } = await report(['--home', gateway.home]);
    expect(code).toBe(0);
    expect(of('mcp', 'counter')).toEqual([
      {
        state: 'warning',
        message: expect.stringMatching(/^initialize is answered with 401/),
        advice: expect.stringContaining('--token-file'),
      },
    ]);
  });
});

test('help has examples, and only the options that matter', async () => {
  const { code, stdout } = await doctor(['--help']);
  expect([code, stdout]).toEqual([0, expect.stringContaining('$ mcp-gateway doctor --config gateway.yaml --token-file token.txt')]);
  expect(stdout).not.toContain('--listen');
});

/** A server that knows no sessions and no `initialize`. */
const answerModernly: Parameters<typeof createServer>[1] = async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  if (request.method !== 'POST') return void response.writeHead(405, { allow: 'POST' }).end();
  const { id, method } = JSON.parse(Buffer.concat(chunks).toString()) as { id: unknown; method: string };
  const results: Readonly<Record<string, unknown>> = {
    'server/discover': { supportedVersions: ['2026-07-28'], capabilities: { tools: {} }, serverInfo: { name: 'modern', version: '1' } },
    'tools/list': { tools: [{ name: 'one', inputSchema: { type: 'object' } }] },
  };
  const result = results[method];
  response.writeHead(result === undefined ? 400 : 200, { 'content-type': 'application/json' });
  const error = { code: -32022, message: 'Unsupported protocol version' };
  response.end(
    JSON.stringify({
      jsonrpc: '2.0',
      id,
      ...(result === undefined ? { error } : { result: { resultType: 'complete', ...(result as object) } }),
    }),
  );
};

function count(journal: readonly { readonly event: string }[]) {
  const of = (event: string) => journal.filter((entry) => entry.event === event).length;
  return { opened: of('opened'), ended: of('ended') };
}
