// Who may use what: tokens, tenants, access of backends, scopes, and what a caller is told who may not.

import { pino } from 'pino';
import { describe, expect, test } from 'vitest';
import { backendOf, directoryOf } from '../../test/fakes/backends.ts';
import { callerOf, ISSUER, identityOf, tenantPolicyOf } from '../../test/fakes/callers.ts';
import { type RequestOptions, requestOf } from '../../test/fakes/requests.ts';
import type { AccessRules, Backend, TenantPolicy } from '../directory/snapshot.ts';
import type { Identity, TokenFault } from '../identity/identity.ts';
import { readBody } from './body.ts';
import { type Caller, createIdentify, createLocalIdentify, refuseScopes } from './caller.ts';
import type { PublicUrlRules } from './public-url.ts';
import type { Answer } from './request.ts';

const ownPort = () => 8080;
const publicUrl = { publicUrl: 'https://gw.example.com', trustForwardedHost: false, ownPort, namedPorts: new Set<string>() };
const metadata = 'resource_metadata="https://gw.example.com/.well-known/oauth-protected-resource/adapters/memory/mcp"';
const access = (over: Partial<AccessRules> = {}): AccessRules => ({ tenants: ['*'], roles: [], scopes: [], toolScopes: [], ...over });

interface Situation {
  readonly identity?: Identity | TokenFault | Promise<Identity | TokenFault>;
  readonly backend?: Backend | undefined;
  readonly tenants?: readonly TenantPolicy[];
  readonly authorization?: string | undefined;
  readonly urls?: PublicUrlRules;
  readonly request?: RequestOptions;
}

function identify(situation: Situation = {}): Caller | Answer | Promise<Caller | Answer> {
  const { identity = identityOf(), tenants = [], urls = publicUrl, request = {} } = situation;
  const backend = 'backend' in situation ? situation.backend : backendOf({ access: access() });
  const authorization = 'authorization' in situation ? situation.authorization : 'Bearer abc';
  const directory = directoryOf();
  directory.putTenants(tenants);
  const verifier = { verify: () => identity, close() {} };
  const run = createIdentify({ verifier, adminRoles: new Set(['mcp.admin']), publicUrl: urls, log: pino({ level: 'silent' }) });
  return run(requestOf({ ...request, headers: { ...request.headers, authorization } }), backend, directory.snapshot());
}

const outcome = async (situation?: Situation): Promise<string> => {
  const known = await identify(situation);
  return 'kind' in known ? `${known.status} ${known.facts.reason}` : `${known.tenant} ${known.subject}`;
};
const challengeOf = async (situation: Situation): Promise<string | undefined> =>
  ((await identify(situation)) as Answer).headers.find(([name]) => name === 'www-authenticate')?.[1];

describe('a token', () => {
  test.each([
    ['is missing', { authorization: undefined }, '401 token_missing', `Bearer ${metadata}`],
    ['is of another scheme', { authorization: 'Basic abc' }, '401 token_missing', `Bearer ${metadata}`],
    ['is empty', { authorization: 'Bearer ' }, '401 token_invalid', `Bearer ${metadata}, error="invalid_token"`],
    ['holds a space', { authorization: 'Bearer a b' }, '401 token_invalid', `Bearer ${metadata}, error="invalid_token"`],
    [
      'fails',
      { identity: { kind: 'fault', code: 'expired', detail: '' } as const },
      '401 token_invalid',
      `Bearer ${metadata}, error="invalid_token"`,
    ],
    [
      'is for somebody else',
      { identity: identityOf({ listedAudience: false, audiences: ['https://other.example.com'] }) },
      '401 token_invalid',
      `Bearer ${metadata}, error="invalid_token"`,
    ],
  ])('that %s', async (_, situation, expected, header) => {
    expect(await outcome(situation)).toBe(expected);
    expect(await challengeOf(situation)).toBe(header);
  });

  test('cannot be checked: not the caller’s fault', async () => {
    expect(await outcome({ identity: { kind: 'fault', code: 'keys_unavailable', detail: '' } })).toBe('503 keys_unavailable');
  });

  test('may be written with any case of "Bearer", and verified later', async () => {
    expect(await outcome({ authorization: 'bearer  abc' })).toBe('default ann');
    expect(await outcome({ identity: Promise.resolve(identityOf()) })).toBe('default ann');
    expect(await outcome({ identity: Promise.resolve({ kind: 'fault', code: 'expired', detail: '' }) })).toBe('401 token_invalid');
  });

  test.each([
    ['https://gw.example.com', 'default ann'],
    ['https://gw.example.com/', 'default ann'],
    ['https://gw.example.com/adapters/memory/mcp', 'default ann'],
    ['https://gw.example.com/adapters/other/mcp', '401 token_invalid'],
    ['https://gw.example.com/adapters/memory', '401 token_invalid'],
    ['http://gw.example.com', '401 token_invalid'],
    ['https://gw.example.com.evil.example', '401 token_invalid'],
  ])('for the audience %s → %s', async (audience, expected) => {
    expect(await outcome({ identity: identityOf({ listedAudience: false, audiences: [audience] }) })).toBe(expected);
  });

  test('is for the URL that the client used, where none is configured; a forwarded Host counts only from a trusted proxy', async () => {
    const identity = identityOf({ listedAudience: false, audiences: ['https://mcp.lan'] });
    const request = { scheme: 'https', authority: 'localhost:8080', headers: { forwardedHost: 'MCP.lan, inner' } };
    const urls = (trustForwardedHost: boolean) => ({
      ...{ publicUrl: undefined, trustForwardedHost, ownPort: () => 443, namedPorts: new Set<string>() },
    });
    expect(await outcome({ identity, request, urls: urls(true) })).toBe('default ann');
    expect(await outcome({ identity, request, urls: urls(false) })).toBe('401 token_invalid');
    const direct = { scheme: 'https', authority: 'MCP.lan' };
    expect(await outcome({ identity, request: direct, urls: urls(false) })).toBe('default ann');
  });

  test.each([
    ['localhost:8080', 'default ann'],
    ['localhost:1234', '401 token_invalid'],
    ['localhost', '401 token_invalid'],
    ['localhost:9443', 'default ann'],
  ])('for the URL of another server on this machine is not for this one: Host %s', async (authority, expected) => {
    const identity = identityOf({ listedAudience: false, audiences: [`http://${authority}`] });
    const urls = { publicUrl: undefined, trustForwardedHost: false, ownPort, namedPorts: new Set(['localhost:9443']) };
    expect(await outcome({ identity, request: { authority }, urls })).toBe(expected);
    // What the issuer lists does not depend on it.
    expect(await outcome({ request: { authority }, urls })).toBe('default ann');
  });

  test('in the query is refused, with a good one in the header or without', async () => {
    for (const query of ['access_token=x', 'a=1&access%5Ftoken=', 'access_token']) {
      expect(await outcome({ request: { path: `/adapters/memory/mcp?${query}` } })).toBe('400 token_in_query');
    }
    expect(await outcome({ request: { path: '/adapters/memory/mcp?token=access_token' } })).toBe('default ann');
  });

  test('missing for a name that is not declared: the same challenge as for one that is', async () => {
    const asked = { path: '/adapters/secret-project/mcp' };
    expect(await challengeOf({ authorization: undefined, backend: undefined, request: asked })).toBe(
      'Bearer resource_metadata="https://gw.example.com/.well-known/oauth-protected-resource/adapters/secret-project/mcp"',
    );
  });
});

describe('a tenant', () => {
  test('is the first that matches; nobody’s callers are refused once there is one', async () => {
    const tenants = [tenantPolicyOf({ name: 'low' }), tenantPolicyOf({ name: 'red', priority: 5 })];
    expect(await outcome({ tenants })).toBe('red ann');
    expect(await outcome({ tenants, identity: identityOf({ claims: { groups: ['blue'] } }) })).toBe('403 no_tenant');
    expect(await outcome({ tenants, identity: identityOf({ claims: {}, roles: ['mcp.admin'] }) })).toBe('default ann');
  });

  test('one token is one caller, until the tenants change', () => {
    const identity = identityOf();
    const directory = directoryOf();
    const run = createIdentify({
      verifier: { verify: () => identity, close() {} },
      adminRoles: new Set(),
      publicUrl,
      log: pino({ level: 'silent' }),
    });
    const ask = () => run(requestOf({ headers: { authorization: 'Bearer a' } }), backendOf({ access: access() }), directory.snapshot());
    const first = ask();
    directory.putBackend(backendOf());
    expect(ask()).toBe(first);
    directory.putTenants([tenantPolicyOf()]);
    expect(ask()).toMatchObject({ tenant: 'red', policy: { name: 'red' } });
  });
});

describe('a backend is for', () => {
  const tenants = [tenantPolicyOf()];
  const creator = `${ISSUER} ann`;
  test.each([
    ['the tenants it names', backendOf({ access: access({ tenants: ['blue', 'red'] }) }), 'red ann'],
    ['no others', backendOf({ access: access({ tenants: ['blue'] }) }), '403 backend_forbidden'],
    ['holders of a role', backendOf({ access: access({ tenants: ['blue'], roles: ['dev'] }) }), 'red ann'],
    ['nobody else, when it names nobody', backendOf({ access: access({ tenants: [] }) }), '403 backend_forbidden'],
    ['nobody else, when it says nothing', backendOf(), '403 backend_forbidden'],
    ['its creator', backendOf({ creator }), 'red ann'],
    ['its creator alone', backendOf({ creator: `${ISSUER} ben` }), '403 backend_forbidden'],
    ['a creator of that issuer', backendOf({ creator: 'https://other.example.com/ ann' }), '403 backend_forbidden'],
  ])('%s', async (_, backend, expected) => {
    expect(await outcome({ tenants, backend, identity: identityOf({ roles: ['dev'] }) })).toBe(expected);
  });

  test('administrators', async () => {
    expect(await outcome({ tenants, backend: backendOf(), identity: identityOf({ roles: ['mcp.admin'] }) })).toBe('red ann');
  });

  test('tokens with all of its scopes; others are told which', async () => {
    const backend = backendOf({ access: access({ scopes: ['mcp:read', 'mcp:use'] }) });
    expect(await outcome({ backend, identity: identityOf({ scopes: ['mcp:use', 'mcp:read'] }) })).toBe('default ann');
    const lacking = { backend, identity: identityOf({ scopes: ['mcp:read'], roles: ['mcp.admin'] }) };
    expect(await outcome(lacking)).toBe('403 insufficient_scope');
    expect(await challengeOf(lacking)).toBe(`Bearer ${metadata}, scope="mcp:read mcp:use", error="insufficient_scope"`);
    expect(await challengeOf({ backend, authorization: undefined })).toBe(`Bearer ${metadata}, scope="mcp:read mcp:use"`);
  });
});

describe('scopes of tools', () => {
  const backend = backendOf({
    access: access({
      scopes: ['mcp:use'],
      toolScopes: [
        ['delete_*', ['mcp:write']],
        ['*_all', ['mcp:bulk']],
      ],
    }),
  });
  const refused = (body: string, caller: Caller): Answer | undefined => {
    const request = requestOf({ body });
    const asked = readBody(request, true);
    if (asked.kind !== 'asked') throw new Error('refused');
    return refuseScopes(
      { request, shaped: { kind: 'shaped', backend, query: '', modern: false }, backend, caller, asked, admission: undefined },
      publicUrl,
    );
  };
  const call = (name: string) => `{"jsonrpc":"2.0","id":9007199254740993,"method":"tools/call","params":{"name":"${name}"}}`;

  test('count for calls of these tools only, and the answer has the id of the request', () => {
    const caller = callerOf({ scopes: ['mcp:use', 'mcp:bulk', 'profile'] });
    expect(refused(call('read_one'), caller)).toBeUndefined();
    expect(refused('{"jsonrpc":"2.0","id":1,"method":"tools/list"}', caller)).toBeUndefined();
    const answer = refused(call('delete_one'), caller);
    expect(answer).toMatchObject({ status: 403, facts: { reason: 'insufficient_scope', tool: 'delete_one' } });
    expect(answer?.body).toContain('"id":9007199254740993');
    // What the token had for this backend stays in the new one; what is of no use here is not asked for.
    expect(answer?.headers).toContainEqual([
      'www-authenticate',
      `Bearer ${metadata}, scope="mcp:use mcp:bulk mcp:write", error="insufficient_scope"`,
    ]);
  });

  test('a batch is refused as a whole', () => {
    expect(refused(`[${call('read_one')},${call('delete_one')}]`, callerOf())).toMatchObject({ status: 403 });
  });

  test('nobody is asked for them without tokens', () => {
    expect(refused(call('delete_one'), callerOf({ local: true }))).toBeUndefined();
  });
});

test('without tokens everyone is the same caller, whom an MCPTenant "default" can limit', () => {
  const directory = directoryOf();
  const run = createLocalIdentify();
  const ask = () => run(requestOf(), backendOf(), directory.snapshot()) as Caller;
  expect(ask()).toMatchObject({ tenant: 'default', local: true, policy: undefined });
  expect(ask()).toBe(ask());
  directory.putTenants([tenantPolicyOf(), tenantPolicyOf({ name: 'default' })]);
  expect(ask()).toMatchObject({ tenant: 'default', policy: { name: 'default' } });
});
