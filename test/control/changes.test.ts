// `mcp-gateway backends add`, `update`, `rm` and `tenants set-quota`, `rm` as administrators run them, word for word, here and elsewhere.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Adapter } from '../../src/api/adapter-operations.ts';
import { type Gateway, MAIN, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { openSession } from '../harness/mcp-http.ts';
import { createScratch } from '../harness/scratch.ts';
import { connectSdkClient } from '../harness/sdk-client.ts';
import { type ServerProcess, startServer } from '../harness/server-process.ts';
import { tenant } from '../harness/tenant.ts';
import { readBody } from '../servers/request-body.ts';

/** Nothing of it can be fetched here, and nothing of it runs: what is registered is looked at. */
const PACKAGE = 'npm:@acme/server@1.2.3';
const RULES = { MCP_GATEWAY_URL_ALLOW_LIST: '127.0.0.1', MCP_GATEWAY_ALLOWED_IMAGES: 'npm:@acme/' };

const scratch = createScratch();
let server: ServerProcess;
let gateway: Gateway;

interface Outcome {
  readonly code: number | string | null | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

function runWith(env: Readonly<Record<string, string>>, args: readonly string[]): Promise<Outcome> {
  const options = { env: { PATH: process.env['PATH'], HOME: scratch.folder, ...env }, timeout: 60_000 };
  return new Promise((done) => {
    execFile(process.execPath, [MAIN, ...args], options, (error, stdout, stderr) =>
      done({ code: error === null ? 0 : error.code, stdout, stderr }),
    );
  });
}

const run = (...args: readonly string[]) => runWith({ MCP_GATEWAY_HOME: gateway.home, API_KEY: 'from the shell' }, args);
const ok = (stdout: string) => ({ code: 0, stdout, stderr: '' });
const failure = (why: string, stdout = '') => ({ code: 1, stdout, stderr: `mcp-gateway: ${why}\n` });
const usage = (why: string) => ({ code: 2, stdout: '', stderr: `mcp-gateway: ${why}\n` });

const get = async (name: string): Promise<Adapter> => JSON.parse((await run('backends', 'get', name, '--json')).stdout) as Adapter;

/** What a gateway has written down, with the values that it never shows: the environment of its processes. */
function registered(kind: string, name: string, home = gateway.home): Readonly<Record<string, unknown>> {
  const file = join(home, 'registry', `${kind}.${name}.json`);
  return (JSON.parse(readFileSync(file, 'utf8')) as { spec: Readonly<Record<string, unknown>> }).spec;
}
const envOf = (name: string, home?: string) =>
  Object.fromEntries(
    (registered('MCPBackend', name, home)['env'] as { name: string; value: string }[]).map((each) => [each.name, each.value]),
  );

beforeAll(async () => {
  server = await startServer('counter-server', { COUNTER_JSON: '1' });
  gateway = await startGateway({ env: RULES });
});
afterAll(async () => {
  await gateway?.stop();
  await server?.stop();
  scratch.remove();
});

describe('backends', () => {
  test('add --wait says when it is healthy, and where; update changes what is named; rm removes it', async () => {
    const added = await run(
      ...['backends', 'add', 'far', '--image', server.url, '--health-mcp', '--tenant', 'eng', '--tenant', 'ops', '--role', 'dev'],
      ...['--description', 'Far away', '--wait'],
    );
    const url = gateway.backendUrl('far');
    expect(added).toEqual({ ...ok(`far is healthy: ${url}\n`), stderr: expect.stringMatching(/^(far: .+\n)*$/) });
    expect((await (await openSession(url)).call('whoami')).pid).toBe(server.pid);
    const first = await get('far');
    expect(first).toMatchObject({
      ...{ image: server.url, description: 'Far away', healthCheck: { type: 'mcp' }, source: 'api' },
      access: { tenants: ['eng', 'ops'], roles: ['dev'] },
    });

    expect(await run('backends', 'update', 'far', '--role', 'ops', '--health-path', '/healthz')).toEqual(
      ok('far is changed: see mcp-gateway backends get far\n'),
    );
    const { revision: _, ...second } = await get('far');
    expect(second).toMatchObject({
      ...{ image: first.image, description: first.description, healthCheck: { path: '/healthz' } },
      access: { tenants: ['eng', 'ops'], roles: ['ops'] },
    });

    expect(await run('backends', 'rm', 'far')).toEqual(ok('far is removed\n'));
    expect(await run('backends', 'get', 'far')).toEqual(failure('there is no backend far'));
  });

  test('add --wait of what does not become healthy says why', async () => {
    const { code, stdout, stderr } = await run('backends', 'add', 'sick', '--image', server.url, '--health-path', '/nowhere', '--wait');
    expect([code, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(/^(sick: .+\n)+mcp-gateway: sick is registered, but not healthy after \d+ s: .*\/nowhere.*\n$/);
    expect(await run('backends', 'rm', 'sick')).toEqual(ok('sick is removed\n'));
  });

  test('the environment: values of this shell, values that are kept, and values that go', async () => {
    const add = ['backends', 'add', 'box', '--image', PACKAGE, '--env', 'API_KEY', '--env', 'MODE=a=b', '--replicas', '0', '--wait'];
    expect(await run(...add, '--', '--root', '/srv', '$(PORT)')).toEqual(ok('box is registered, with 0 replicas\n'));
    expect(registered('MCPBackend', 'box')).toMatchObject({ image: PACKAGE, args: ['--root', '/srv', '$(PORT)'], replicas: 0 });
    expect(envOf('box')).toEqual({ API_KEY: 'from the shell', MODE: 'a=b' });
    const page = (await run('backends', 'get', 'box')).stdout;
    expect(page).toMatch(/\n {2}args +--root \/srv \$\(PORT\)\n {2}env +API_KEY, MODE\n/);
    expect(page + JSON.stringify(await get('box'))).not.toContain('from the shell');

    expect(await run('backends', 'update', 'box', '--description', 'A box')).toMatchObject({ code: 0 });
    expect(envOf('box')).toEqual({ API_KEY: 'from the shell', MODE: 'a=b' });
    expect(await run('backends', 'update', 'box', '--unset', 'MODE', '--unset', 'NONE', '--env', 'EMPTY=')).toMatchObject({ code: 0 });
    expect(envOf('box')).toEqual({ API_KEY: 'from the shell', EMPTY: '' });
    expect(await run('backends', 'update', 'box', '--env', 'API_KEY=new', '--', '--quiet')).toMatchObject({ code: 0 });
    expect(envOf('box')).toEqual({ API_KEY: 'new', EMPTY: '' });
    expect(registered('MCPBackend', 'box')).toMatchObject({ image: PACKAGE, args: ['--quiet'], replicas: 0 });
    expect((await get('box')).description).toBe('A box');
  });

  test.each<[what: string, args: readonly string[], code: number, why: string]>([
    [
      'add of a name that is taken',
      ['add', 'box', '--image', PACKAGE],
      1,
      'there is a backend box already: choose another name, or change that one',
    ],
    [
      'add of a variable that is not there',
      ['add', 'x', '--image', PACKAGE, '--env', 'NOPE'],
      1,
      '--env NOPE: there is no such variable here; give its value as NOPE=VALUE',
    ],
    [
      'add of what cannot be',
      ['add', 'x', '--image', PACKAGE, '--path', 'mcp', '--replicas', '101'],
      1,
      'replicaCount: Too big: expected number to be <=100; path: must be a path that begins with "/", without query',
    ],
    [
      'add of processes elsewhere',
      ['add', 'x', '--image', 'https://mcp.example.com/mcp', '--replicas', '2'],
      1,
      '--replicas is not used with the URL of a server that runs elsewhere',
    ],
    ['update of nobody', ['update', 'nobody', '--replicas', '1'], 1, 'there is no backend nobody'],
    [
      'update to what is not allowed',
      ['update', 'box', '--image', 'npm:@acme/server'],
      1,
      expect.stringMatching(/^a package needs its exact version/),
    ],
    ['rm of what would be everything', ['rm', '..'], 1, '".." is no name'],
    ['add without an image', ['add', 'x'], 2, '--image is needed'],
    ['add without a name', ['add', '--image', PACKAGE], 2, "missing required argument 'NAME'"],
    [
      'add with two health checks',
      ['add', 'x', '--image', PACKAGE, '--health-mcp', '--health-path', '/x'],
      2,
      "option '--health-mcp' cannot be used with option '--health-path <PATH>'",
    ],
    [
      'add with a number that is none',
      ['add', 'x', '--image', PACKAGE, '--port', '8e3'],
      2,
      "option '--port <N>' argument '8e3' is invalid. Must be a number.",
    ],
    [
      'add with a transport of nobody’s',
      ['add', 'x', '--image', PACKAGE, '--transport', 'sse'],
      2,
      "option '--transport <NAME>' argument 'sse' is invalid. Allowed choices are streamable-http, stdio.",
    ],
    ['add with --unset', ['add', 'x', '--image', PACKAGE, '--unset', 'A'], 2, expect.stringMatching(/^unknown option '--unset'/)],
    ['update of nothing', ['update', 'box', '--wait'], 2, 'name what is to be changed'],
    ['rm without a name', ['rm'], 2, "missing required argument 'NAME'"],
  ])('%s: one line, and nothing has happened', async (_, args, code, why) => {
    const listed = async () => (await run('backends', 'list', '--json')).stdout;
    const before = await listed();
    const { stderr, ...rest } = await run('backends', ...args);
    expect(rest).toEqual({ code, stdout: '' });
    expect(stderr).toMatch(/^mcp-gateway: [^\n]+\n$/);
    expect(stderr.slice('mcp-gateway: '.length, -1)).toEqual(why);
    expect(await listed()).toBe(before);
  });

  test('rm of several ends with the first that cannot be removed', async () => {
    await run('backends', 'add', 'gone', '--image', PACKAGE, '--replicas', '0');
    expect(await run('backends', 'rm', 'gone', 'nobody', 'box')).toEqual(failure('there is no backend nobody', 'gone is removed\n'));
    expect(await get('box')).toMatchObject({ name: 'box' });
  });
});

describe('tenants', () => {
  const set = (...args: readonly string[]) => run('tenants', 'set-quota', ...args);
  const page = (name: string, rows: string) =>
    `${name}\n  priority   0\n  match      -\n  tools      all\n  on outage  allow-local\n\n${rows}`;
  /** When a window ends depends on the hour. */
  const timeless = ({ stdout, ...rest }: Outcome): Outcome => ({ ...rest, stdout: stdout.replaceAll(/in \d+[hms]/g, 'soon') });

  test('a quota is made, changed, joined by another one, and taken away', async () => {
    expect(await set('eng', '--requests', '5', '--per', '1h')).toEqual(failure('there is no tenant eng'));
    const table = (...rows: readonly string[]) => ok(page('eng', `${rows.join('\n')}\n`));
    expect(timeless(await set('eng', '--create', '--requests', '5', '--per', '1h'))).toEqual(
      table(
        'LIMIT                USED  OF  RESETS',
        'tool calls per 1h    0     5   soon',
        'open sessions        -     -   -',
        'concurrent requests  -     -   -',
      ),
    );
    // Whoever says --create once more means the same tenant.
    expect(timeless(await set('eng', '--create', '--requests', '7', '--per', '1h'))).toEqual(
      table(
        'LIMIT                USED  OF  RESETS',
        'tool calls per 1h    0     7   soon',
        'open sessions        -     -   -',
        'concurrent requests  -     -   -',
      ),
    );
    const more = ['--requests', '60', '--per', '1m', '--per-subject', '--backend', 'github', '--tool', 'search_*'];
    expect(timeless(await set('eng', ...more, '--sessions', '20', '--concurrent-requests', '4'))).toEqual(
      table(
        'LIMIT                                                    USED  OF  RESETS',
        'tool calls per 1h                                        0     7   soon',
        'tool calls per 1m of each subject on github to search_*  -     60  -',
        'open sessions                                            0     20  -',
        'concurrent requests                                      0     4   -',
      ),
    );
    expect(timeless(await set('eng', '--requests', 'none', '--per', '1h', '--concurrent-requests', 'none'))).toEqual(
      table(
        'LIMIT                                                    USED  OF  RESETS',
        'tool calls per 1m of each subject on github to search_*  -     60  -',
        'open sessions                                            0     20  -',
        'concurrent requests                                      -     -   -',
      ),
    );
  });

  test('--json is what the API answers', async () => {
    const { code, stdout, stderr } = await set('eng', '--sessions', 'none', '--json');
    expect([code, stderr]).toEqual([0, '']);
    const tenant = JSON.parse(stdout) as Readonly<Record<string, unknown>>;
    expect(tenant).toMatchObject({
      name: 'eng',
      quotas: [{ requests: 60, scope: 'subject' }],
      limits: { sessions: null, concurrentRequests: null },
    });
    expect(JSON.parse((await run('tenants', 'get', 'eng', '--json')).stdout)).toEqual(tenant);
  });

  test.each<[what: string, args: readonly string[], code: number, why: string]>([
    ['a number without a time', ['eng', '--requests', '5'], 2, '--requests and --per belong together'],
    ['a time without a number', ['eng', '--per', '1h', '--sessions', '1'], 2, '--requests and --per belong together'],
    ['nothing', ['eng', '--create'], 2, 'name what is to be changed: --requests with --per, --sessions or --concurrent-requests'],
    [
      'a tool of no quota',
      ['eng', '--sessions', '1', '--tool', 'x'],
      2,
      '--per-subject, --backend and --tool belong to a quota: give its --requests and --per',
    ],
    [
      'a number that is none',
      ['eng', '--requests', '-1', '--per', '1h'],
      2,
      "option '--requests <N>' argument '-1' is invalid. Must be a number or none.",
    ],
    ['no name', ['--sessions', '1'], 2, "missing required argument 'NAME'"],
    [
      'a time that is none',
      ['new', '--create', '--requests', '1', '--per', 'soon'],
      1,
      expect.stringMatching(/^quotas\.0\.per: must be a duration such as /),
    ],
    [
      'a name that is none',
      ['New_one', '--create', '--requests', '1', '--per', '1h'],
      1,
      expect.stringMatching(/^name: must start with a letter/),
    ],
  ])('set-quota with %s: one line, and nothing has happened', async (_, args, code, why) => {
    const before = registered('MCPTenant', 'eng');
    const { stderr, ...rest } = await set(...args);
    expect(rest).toEqual({ code, stdout: '' });
    expect(stderr).toMatch(/^mcp-gateway: [^\n]+\n$/);
    expect(stderr.slice('mcp-gateway: '.length, -1)).toEqual(why);
    expect(registered('MCPTenant', 'eng')).toEqual(before);
    const { tenants } = JSON.parse((await run('tenants', 'list', '--json')).stdout) as { tenants: { name: string }[] };
    expect(tenants.map(({ name }) => name)).toEqual(['eng']);
  });

  test('rm', async () => {
    await set('short', '--create', '--sessions', '1');
    expect(await run('tenants', 'rm', 'short', 'nobody', 'eng')).toEqual(failure('there is no tenant nobody', 'short is removed\n'));
    expect(await run('tenants', 'rm', 'eng')).toEqual(ok('eng is removed\n'));
    expect(await run('tenants', 'get', 'eng')).toEqual(failure('there is no tenant eng'));
    expect(await run('tenants', 'rm')).toEqual(usage("missing required argument 'NAME'"));
  });
});

describe('a gateway elsewhere', () => {
  let issuer: TestIssuer;
  let remote: Gateway;
  beforeAll(async () => {
    issuer = await startIssuer();
    // The first tenant has to say whom it is for.
    const first = tenant('first', { match: [{ issuer: issuer.issuer, claim: 'groups', values: ['first'] }] });
    remote = await startGateway({ env: { ...issuer.env, ...RULES }, resources: [first] });
  });
  afterAll(async () => {
    await remote?.stop();
    await issuer?.stop();
  });
  const as = (role: string, args: readonly string[], url = remote.url) =>
    runWith({ MCP_GATEWAY_URL: url, MCP_GATEWAY_TOKEN: issuer.token(role, { roles: [`mcp.${role}`] }), API_KEY: 'far away' }, args);

  test('is changed in the same way, by whoever may', async () => {
    const add = ['backends', 'add', 'far', '--image', server.url, '--health-mcp', '--wait'];
    expect(await as('viewer', add)).toEqual(failure('registering a backend runs code: it needs the role of an operator or administrator'));
    expect(await as('operator', add)).toMatchObject({ code: 0, stdout: `far is healthy: ${remote.backendUrl('far')}\n` });
    expect(await as('operator', ['backends', 'update', 'far', '--tenant', '*'])).toEqual(
      ok('far is changed: see mcp-gateway backends get far\n'),
    );
    const quota = ['tenants', 'set-quota', 'eng', '--create', '--requests', '5', '--per', '1h'];
    expect(await as('operator', quota)).toEqual(failure('tenants are changed by administrators only'));
    expect(await as('admin', quota)).toMatchObject({ code: 0, stdout: expect.stringMatching(/\ntool calls per 1h +0 +5 +in /) });
    expect(await as('admin', ['tenants', 'rm', 'eng'])).toEqual(ok('eng is removed\n'));
    expect(await as('admin', ['backends', 'rm', 'far'])).toEqual(ok('far is removed\n'));
    expect((await as('viewer', ['backends', 'list', '--json'])).stdout).toBe('[]\n');
  });

  test('the tool tenant_quota makes a tenant with its limits, or not at all', async () => {
    const { client, close } = await connectSdkClient(`${remote.url}/admin/mcp`, issuer.bearer('root', { roles: ['mcp.admin'] }));
    const call = (args: Readonly<Record<string, unknown>>) =>
      client.callTool({ name: 'tenant_quota', arguments: { tenant_id: 'new', create: true, ...args } });
    try {
      expect(await call({ requests: 1, per: 'soon' })).toMatchObject({ isError: true });
      expect(await as('viewer', ['tenants', 'get', 'new'])).toEqual(failure('there is no tenant new'));
      const made = await call({ requests: 5, per: '1h', sessions: 2, concurrent_requests: null });
      const limits = { sessions: 2, concurrentRequests: null };
      expect(made.structuredContent).toMatchObject({ quotas: [{ requests: 5, per: '1h' }], limits });
      expect((await call({ requests: null, per: '1h' })).structuredContent).toMatchObject({ quotas: [], limits });
      expect((await call({})).structuredContent).toMatchObject({ quotas: [], limits });
    } finally {
      await close();
    }
  });

  test('a token that is not taken, and none', async () => {
    const list = ['backends', 'rm', 'far'];
    const env = { MCP_GATEWAY_URL: remote.url, MCP_GATEWAY_HOME: gateway.home };
    expect(await runWith({ ...env, MCP_GATEWAY_TOKEN: 'x' }, list)).toEqual(
      failure(`the gateway at ${remote.url} does not take this token: get a new one`),
    );
    expect(await runWith(env, list)).toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^mcp-gateway: MCP_GATEWAY_URL needs a token: .+\n$/),
    });
  });

  test('two updates at the same time both take effect', async () => {
    await as('operator', ['backends', 'add', 'box', '--image', PACKAGE, '--replicas', '0', '--env', 'API_KEY']);
    const outcomes = await Promise.all(
      ['ONE=1', 'TWO=2'].map((variable) => as('operator', ['backends', 'update', 'box', '--env', variable])),
    );
    expect(outcomes.map(({ code }) => code)).toEqual([0, 0]);
    expect(envOf('box', remote.home)).toEqual({ API_KEY: 'far away', ONE: '1', TWO: '2' });
  });

  /** Somebody else changes the backend before each of the first `times` changes that go by this address arrives. */
  async function withRival(times: number, work: (url: string) => Promise<void>): Promise<number> {
    let changes = 0;
    const bearer = issuer.bearer('root', { roles: ['mcp.admin'] });
    const between = createServer(async (request, response) => {
      const { method = '', url = '', headers } = request;
      const body = await readBody(request);
      if (method === 'PUT') {
        changes += 1;
        if (changes <= times) {
          const present = (await (await fetch(`${remote.url}${url}`, { headers: bearer })).json()) as object;
          const description = `change ${changes} of somebody else`;
          await fetch(`${remote.url}${url}`, {
            ...{ method, headers: { ...bearer, 'content-type': 'application/json' }, body: JSON.stringify({ ...present, description }) },
          });
        }
      }
      const kept = ['authorization', 'content-type', 'if-match'].flatMap((name) => (headers[name] ? [[name, String(headers[name])]] : []));
      const answer = await fetch(`${remote.url}${url}`, {
        method,
        headers: Object.fromEntries(kept) as Record<string, string>,
        ...(body.length > 0 && { body }),
      });
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(await answer.text());
    });
    await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve));
    try {
      await work(`http://127.0.0.1:${(between.address() as AddressInfo).port}`);
    } finally {
      between.closeAllConnections();
      await new Promise((resolve) => between.close(resolve));
    }
    return changes;
  }

  test('what somebody else has changed meanwhile stays, too', async () => {
    const changes = await withRival(2, async (url) => {
      expect(await as('operator', ['backends', 'update', 'box', '--env', 'THREE=3'], url)).toMatchObject({ code: 0, stderr: '' });
    });
    expect(changes).toBe(3);
    expect(envOf('box', remote.home)).toEqual({ API_KEY: 'far away', ONE: '1', TWO: '2', THREE: '3' });
    const { stdout } = await as('viewer', ['backends', 'get', 'box', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ description: 'change 2 of somebody else' });
  });

  test('after five tries it is up to the user', async () => {
    const changes = await withRival(9, async (url) => {
      expect(await as('operator', ['backends', 'update', 'box', '--env', 'FOUR=4'], url)).toEqual(
        failure('box has been changed meanwhile: read it again, and make your change to what it is now'),
      );
    });
    expect(changes).toBe(5);
    expect(envOf('box', remote.home)).not.toHaveProperty('FOUR');
  });
});

test.each([
  ['backends', 'add'],
  ['backends', 'update'],
  ['backends', 'rm'],
  ['tenants', 'set-quota'],
  ['tenants', 'rm'],
])('%s %s --help has examples', async (group, command) => {
  const { code, stdout, stderr } = await run(group, command, '--help');
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(new RegExp(`^Usage: mcp-gateway ${group} ${command} \\[options\\] .*NAME`));
  expect(stdout).toContain(`\nExamples:\n  $ mcp-gateway ${group} ${command} `);
  expect(stdout).toContain('--home <DIR>');
});
