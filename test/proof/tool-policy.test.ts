// Tool policy through the real gateway: rules of backend and tenant together, on every way to call a tool, and in every shape of the list.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { startIssuer, type TestIssuer } from '../harness/issuer.ts';
import { type HttpAnswer, openSession, post, type Session } from '../harness/mcp-http.ts';
import { backend, serverBackend } from '../harness/resource.ts';
import { tenant } from '../harness/tenant.ts';
import { writeTenant } from '../harness/tenant-use.ts';
import { waitFor } from '../harness/wait-for.ts';
import { LARGE, listText, ODD_LISTS, type PolicyUpstream, RULES, startPolicyUpstream, streamText, TOOLS } from './tool-policy-upstream.ts';

const START_TIMEOUT_MS = 60_000;
const MODERN = '2026-07-28';

type Tenant = keyof typeof RULES;

let issuer: TestIssuer;
let upstream: PolicyUpstream;
let gateway: Gateway;

const as = (name: Tenant, scope?: string) => issuer.bearer('ann', { groups: [name], ...(scope !== undefined && { scope }) });
const specOf = (name: Tenant, tools: object | undefined) => ({
  match: [{ issuer: issuer.issuer, claim: 'groups', values: [name] }],
  ...(tools && { tools }),
});
const open = (at: string, name: Tenant = 'open', scope?: string, protocolVersion = '2025-11-25'): Promise<Session> =>
  openSession(gateway.backendUrl(at), { headers: as(name, scope), protocolVersion });

beforeAll(async () => {
  issuer = await startIssuer();
  upstream = await startPolicyUpstream();
  const everyone = { tenants: ['*'] };
  const at = (name: string, path: string, access: object = {}) =>
    backend(name, { url: upstream.url(path), healthCheck: { path: '/healthz' }, access: { ...everyone, ...access } });
  const tools = { allow: ['read_*', 'write_*', 'delete_*', 'hid*'], deny: ['*_secret', 'hid*'] };
  gateway = await startGateway({
    env: issuer.env,
    workers: 2,
    resources: [
      ...Object.entries(RULES).map(([name, rule]) => tenant(name, specOf(name as Tenant, rule.tools))),
      at('ruled', 'json', { tools }),
      at('plain', 'json'),
      at('stream', 'stream', { tools }),
      at('plain-stream', 'stream'),
      at('large', 'large', { tools: { allow: ['read_*'] } }),
      at('scoped', 'json', { toolScopes: { 'write_*': ['mcp:write'], '*_secret': ['mcp:secret'] } }),
      ...Object.keys(ODD_LISTS).map((name) => at(name, name, { tools })),
      serverBackend('sdk1', 'counter-server', { access: { ...everyone, tools: { deny: ['delete_*'] } } }),
      serverBackend('sdk2', 'fixture-server', { access: { ...everyone, tools: { deny: ['test_image_content'] } } }),
    ],
  });
  for (const name of ['ruled', 'sdk1', 'sdk2']) await waitFor(`${name} to be up`, () => open(name), { timeoutMs: START_TIMEOUT_MS });
});

afterAll(async () => {
  await gateway?.stop();
  await upstream?.stop();
  await issuer?.stop();
});

const META = { 'io.modelcontextprotocol/protocolVersion': MODERN, 'io.modelcontextprotocol/clientCapabilities': {} };
const legacyCall = (name: string, id: unknown = 1) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name, arguments: {} } });
/** `named`: what the header says, if not the same. */
const modern = (at: string, token: object, method: string, params: object, named?: string): Promise<HttpAnswer> => {
  const header = named ?? (params as { name?: string }).name;
  return post(
    gateway.backendUrl(at),
    { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: META } },
    { ...token, 'mcp-protocol-version': MODERN, 'mcp-method': method, ...(header !== undefined && { 'mcp-name': header }) },
  );
};
const unknown = (name: string) => ({ jsonrpc: '2.0', id: 1, error: { code: -32602, message: `Unknown tool: ${name}` } });

describe.each(Object.entries(RULES) as [Tenant, (typeof RULES)[Tenant]][])('the rules of the tenant %s', (name, rule) => {
  test.each([
    ['and of a backend: a tool must be allowed by both, and deny wins', 'ruled', rule.ruled as readonly string[]],
    ['alone', 'plain', rule.plain as readonly string[]],
  ])('%s', async (_, at, allowed) => {
    const session = await open(at, name);
    upstream.called();
    for (const tool of TOOLS) {
      const answers = [await session.send(legacyCall(tool)), await modern(at, as(name), 'tools/call', { name: tool })];
      for (const { status, messages } of answers) {
        expect(status).toBe(200);
        if (allowed.includes(tool)) expect(messages[0], tool).toMatchObject({ result: { content: [] } });
        else expect(messages[0], tool).toEqual(unknown(tool));
      }
    }
    expect(upstream.called()).toEqual(allowed.flatMap((tool) => [tool, tool]));
    expect((await session.send({ jsonrpc: '2.0', id: 1, method: 'tools/list' })).text).toBe(listText('1', allowed));
    const ruled = at === 'ruled' || rule.tools !== undefined;
    expect((await modern(at, as(name), 'tools/list', {})).text).toBe(listText('1', allowed, ruled ? 'private' : 'public'));
  });
});

describe('what is not allowed does not reach the server', () => {
  test.each([
    [
      'a single one among many in a batch',
      (session: Session) => session.send([legacyCall('read_file', 1), legacyCall('write_file', 2), legacyCall('read_secret', 3)]),
      [400, -32600],
    ],
    [
      'a list in a batch, which could not be filtered',
      (session: Session) => session.send([legacyCall('read_file', 1), { jsonrpc: '2.0', id: 2, method: 'tools/list' }]),
      [400, -32600],
    ],
    [
      'a name twice',
      (session: Session) =>
        session.send('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file","name":"read_secret"}}'),
      [400, -32600],
    ],
    [
      'a name twice, once escaped',
      (session: Session) =>
        session.send('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read_file","n\\u0061me":"read_secret"}}'),
      [400, -32600],
    ],
    [
      'an escaped name',
      (session: Session) => session.send('{"jsonrpc":"2.0","id":1,"method":"tools\\/call","params":{"\\u006eame":"read\\u005fsecret"}}'),
      [200, -32602],
    ],
    [
      'no name',
      (session: Session) => session.send('{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":["read_secret"]}}'),
      [200, -32602],
    ],
    [
      'a call that wants no answer',
      (session: Session) => session.send('{"jsonrpc":"2.0","method":"tools/call","params":{"name":"read_secret"}}'),
      [200, -32602],
    ],
    [
      'a modern call whose header names an allowed one',
      () => modern('ruled', as('open'), 'tools/call', { name: 'read_secret' }, 'read_file'),
      [400, -32020],
    ],
    [
      'a modern call of an allowed one whose header does not',
      () => modern('ruled', as('open'), 'tools/call', { name: 'read_file' }, 'read_secret'),
      [400, -32020],
    ],
  ] as const)('%s', async (_, send, [status, code]) => {
    const session = await open('ruled', 'open', undefined, '2025-03-26');
    upstream.called();
    const answer = await send(session);
    expect([answer.status, answer.messages[0]?.error?.code]).toEqual([status, code]);
    expect(upstream.called()).toEqual([]);
  });

  test('while a batch of allowed ones does', async () => {
    const session = await open('ruled', 'open', undefined, '2025-03-26');
    upstream.called();
    expect((await session.send([legacyCall('read_file', 1), legacyCall('write_file', 2)])).status).toBe(200);
    expect(upstream.called()).toEqual(['read_file', 'write_file']);
  });
});

describe('scopes', () => {
  const challenged = ({ status, headers }: HttpAnswer) => [
    status,
    /scope="([^"]*)", error="insufficient_scope"$/.exec(headers.get('www-authenticate') ?? '')?.[1],
  ];

  test('are asked for by the tools that are called, and hide nothing', async () => {
    const session = await open('scoped', 'open', 'mcp:read');
    upstream.called();
    expect((await session.send({ jsonrpc: '2.0', id: 1, method: 'tools/list' })).text).toBe(listText('1', TOOLS));
    expect((await session.send(legacyCall('read_file'))).status).toBe(200);
    expect(challenged(await session.send(legacyCall('write_file', 'own')))).toEqual([403, 'mcp:write']);
    expect(challenged(await session.send(legacyCall('write_secret')))).toEqual([403, 'mcp:write mcp:secret']);
    expect(challenged(await session.send([legacyCall('read_file'), legacyCall('read_secret')]))).toEqual([403, 'mcp:secret']);
    expect(challenged(await modern('scoped', as('open', 'mcp:read'), 'tools/call', { name: 'write_file' }))).toEqual([403, 'mcp:write']);
    // What the token has already stays in what is asked for: the new one replaces it.
    expect(challenged(await session.send(legacyCall('write_secret'), as('open', 'mcp:write')))).toEqual([403, 'mcp:write mcp:secret']);
    expect((await session.send(legacyCall('write_secret'), as('open', 'mcp:write mcp:secret'))).status).toBe(200);
    expect(upstream.called()).toEqual(['read_file', 'write_secret']);
  });

  test('do not tell of a tool that a rule hides', async () => {
    const session = await open('scoped', 'exact', 'mcp:read');
    expect((await session.send(legacyCall('write_secret'))).messages[0]).toEqual(unknown('write_secret'));
  });
});

describe('the list', () => {
  const LIST = '{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/list","params":{"cursor":"page 1"}}';

  test('as an event stream loses the tools and nothing else', async () => {
    const session = await open('stream');
    const answer = await session.send(LIST);
    expect(answer.headers.get('content-type')).toBe('text/event-stream');
    // Nor may it be resumed: the server would send again what was taken out.
    const withoutIds = (text: string) => text.replaceAll(/^(?:id|retry): .*\n/gm, '');
    expect(answer.text).toBe(withoutIds(streamText('9007199254740993', RULES.open.ruled)));
    const { text } = await modern('stream', as('open'), 'tools/list', {});
    expect(text).toBe(withoutIds(streamText('1', RULES.open.ruled, 'private')));
  });

  test('is answered by the Check only where a rule is in force: without one it is the server’s own, to the byte, through Envoy', async () => {
    for (const [at, path] of [
      ['plain', 'json'],
      ['plain-stream', 'stream'],
    ] as const) {
      const direct = await post(upstream.url(path), LIST);
      const session = await open(at);
      const through = await session.send(LIST);
      expect(through.text).toBe(direct.text);
      expect(through.headers.get('content-type')).toBe(direct.headers.get('content-type'));
      expect(upstream.lastList().headers['x-request-id']).toBeDefined();
    }
    await (await open('ruled')).send(LIST);
    const { headers } = upstream.lastList();
    expect(headers['x-request-id']).toBeUndefined();
    expect(headers).toMatchObject({ 'mcp-session-id': 'policy-session', 'x-mcp-subject': 'ann', 'x-mcp-tenant': 'open' });
    expect(headers.authorization).toBeUndefined();
  });

  test('may be large', async () => {
    const { text } = await (await open('large')).send(LIST);
    expect(text.length).toBeGreaterThan(2_000_000);
    expect(text).toBe(
      listText(
        '9007199254740993',
        LARGE.filter((name) => name.startsWith('read')),
      ),
    );
  });

  test.each(Object.keys(ODD_LISTS))('that cannot be read for sure (%s) is not given at all', async (name) => {
    const answer = await (await open(name)).send(LIST);
    expect(answer.status).toBe(502);
    expect(answer.text).toBe(
      '{"jsonrpc":"2.0","id":9007199254740993,"error":{"code":-32603,"message":"The list of tools could not be read from the server"}}',
    );
  });

  test('follows a change of the rules', async () => {
    const session = await open('plain', 'exact');
    const text = async () => (await session.send({ jsonrpc: '2.0', id: 1, method: 'tools/list' })).text;
    expect(await text()).toBe(listText('1', ['read_file']));
    writeTenant(gateway, 'exact', specOf('exact', { allow: ['read_file', 'admin'] }));
    const wanted = listText('1', ['read_file', 'admin']);
    // Many at once: each sidecar has its turn.
    const everywhere = async () => (await Promise.all(Array.from({ length: 16 }, text))).every((one) => one === wanted);
    await waitFor('the new rule', everywhere, { timeoutMs: 10_000 });
    expect((await session.send(legacyCall('admin'))).messages[0]).toMatchObject({ result: {} });
  });
});

describe('a hidden tool and one that does not exist', () => {
  const seen = ({ status, headers, text }: HttpAnswer, name: string) => ({
    status,
    headers: [...headers].filter(([header]) => header !== 'date'),
    text: text.replaceAll(name, 'NAME'),
  });

  test('are the same to the byte, in both eras, where the server says it in the words of the specification', async () => {
    const session = await open('ruled');
    upstream.called();
    expect(seen(await session.send(legacyCall('hid_file')), 'hid_file')).toEqual(
      seen(await session.send(legacyCall('read_not')), 'read_not'),
    );
    const call = (name: string) => modern('ruled', as('open'), 'tools/call', { name });
    expect(seen(await call('hid_file'), 'hid_file')).toEqual(seen(await call('read_not'), 'read_not'));
    // One of the two really was the server's own answer.
    expect(upstream.called()).toEqual(['read_not', 'read_not']);
  });

  test('are the same whatever the server says, where only an allow-list hides', async () => {
    const session = await open('sdk1', 'exact');
    const [hidden, missing] = [await session.send(legacyCall('whoami')), await session.send(legacyCall('absent'))];
    expect(seen(hidden, 'whoami').text).toBe(seen(missing, 'absent').text);
  });

  /** Servers have words of their own, which tell a caller who knows them that a deny rule spoke: the code and the status are the same. */
  test.each([
    ['SDK 1.x', 'sdk1', 'delete_something', 'MCP error -32602: Unknown tool: absent'],
    ['SDK 2.x', 'sdk2', 'test_image_content', 'Tool absent not found'],
  ])('have the same code with a server on %s, but not its words', async (_, at, hidden, words) => {
    const session = await open(at);
    const [ours, theirs] = [await session.send(legacyCall(hidden)), await session.send(legacyCall('absent'))];
    expect([ours.status, ours.messages[0]]).toEqual([200, unknown(hidden)]);
    expect([theirs.status, theirs.messages[0]]).toEqual([200, { jsonrpc: '2.0', id: 1, error: { code: -32602, message: words } }]);
  });
});
