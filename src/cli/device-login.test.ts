// Logging in with a code against an authorization server of a few lines: what RFC 8628 and RFC 8707 ask for, and whom nothing is sent.

import { expect, test } from 'vitest';
import { createDeviceLogin, type DeviceLoginOptions } from './device-login.ts';

const GATEWAY = 'https://mcp.example.com';
const ISSUER = 'https://login.example.com';
const RESOURCE_DOCUMENT = `${GATEWAY}/.well-known/oauth-protected-resource`;
const SERVER_DOCUMENT = `${ISSUER}/.well-known/openid-configuration`;
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

type Form = Readonly<Record<string, string>>;
/** A status and a JSON document; an error is thrown, as when nobody answers. */
type Answer = readonly [status: number, json: unknown] | Error;
type Route = Answer | readonly Answer[] | ((form: Form) => Answer);

const resource = { resource: GATEWAY, authorization_servers: [ISSUER] };
const server = { issuer: ISSUER, device_authorization_endpoint: `${ISSUER}/device`, token_endpoint: `${ISSUER}/token` };
const device = { device_code: 'secret', user_code: 'ABCD-EFGH', verification_uri: `${ISSUER}/go`, expires_in: 600, interval: 5 };
const granted = (token: string, over: Readonly<Record<string, unknown>> = {}): Answer => [
  200,
  { access_token: token, token_type: 'Bearer', expires_in: 3600, ...over },
];
const refused = (error: string): Answer => [400, { error }];
const pending = refused('authorization_pending');

const isAnswer = (route: Answer | readonly Answer[]): route is Answer => route instanceof Error || typeof route[0] === 'number';

/** Each list of answers is used up, but for its last one. The time goes on only while somebody waits. */
function world(routes: Readonly<Record<string, Route>> = {}, options: Partial<DeviceLoginOptions> = {}) {
  const all: Record<string, Route> = {
    [RESOURCE_DOCUMENT]: [200, resource],
    [SERVER_DOCUMENT]: [200, server],
    [server.device_authorization_endpoint]: [200, device],
    [server.token_endpoint]: granted('t1'),
    ...routes,
  };
  const asked: { readonly url: string; readonly form: Form; readonly at: number }[] = [];
  const told: string[] = [];
  let time = 0;
  const request = (async (url: string, init: RequestInit = {}) => {
    expect(init.redirect).toBe('error');
    const form = Object.fromEntries(new URLSearchParams(init.body as URLSearchParams));
    const before = asked.filter((each) => each.url === url).length;
    asked.push({ url, form, at: time / 1000 });
    const route = all[url] ?? [404, {}];
    const list = typeof route === 'function' ? [route(form)] : isAnswer(route) ? [route] : route;
    const answer = list[Math.min(before, list.length - 1)] as Answer;
    if (answer instanceof Error) throw answer;
    return new Response(JSON.stringify(answer[1]), { status: answer[0] });
  }) as typeof fetch;
  const login = createDeviceLogin({
    ...{ base: GATEWAY, clientId: 'cli', request, tell: (text: string) => void told.push(text), now: () => time },
    async pause(ms = 0, _value, { signal } = {}) {
      signal?.throwIfAborted();
      time += ms;
      return undefined;
    },
    ...options,
  });
  return {
    ...{ login, asked, told },
    forms: (url: string) => asked.filter((each) => each.url === url).map(({ form }) => form),
    polls: () => asked.filter(({ url }) => url === server.token_endpoint).map(({ at }) => at),
    later: (seconds: number): void => {
      time += seconds * 1000;
    },
  };
}

test('asks for a token for this gateway, says where to log in, and waits', async () => {
  const { login, forms, told, polls } = world({ [server.token_endpoint]: [pending, pending, granted('t1')] });
  expect(await login.token()).toBe('t1');
  expect(told).toEqual([`log in at ${ISSUER}/go with the code ABCD-EFGH`]);
  expect(forms(server.device_authorization_endpoint)).toEqual([{ client_id: 'cli', resource: GATEWAY, scope: 'openid offline_access' }]);
  expect(forms(server.token_endpoint)[0]).toEqual({ client_id: 'cli', resource: GATEWAY, grant_type: DEVICE_GRANT, device_code: 'secret' });
  expect(polls()).toEqual([5, 10, 15]);
});

test('shows the address that holds the code, when there is one', async () => {
  const complete = `${ISSUER}/go?code=ABCD-EFGH`;
  const { login, told } = world({ [server.device_authorization_endpoint]: [200, { ...device, verification_uri_complete: complete }] });
  await login.token();
  expect(told).toEqual([`log in at ${complete} with the code ABCD-EFGH`]);
});

test('what a server says moves no cursor', async () => {
  const { login, told } = world({ [server.device_authorization_endpoint]: [200, { ...device, user_code: 'A\u001b[2J' }] });
  await login.token();
  expect(told).toEqual([`log in at ${ISSUER}/go with the code A\ufffd[2J`]);
  const failing = world({ [server.token_endpoint]: refused('\u001b[2J\nno') });
  await expect(failing.login.token()).rejects.toThrow('the login has failed: \ufffd[2J\ufffdno');
});

test('slow_down adds five seconds for good, and an interval may be long', async () => {
  const { login, polls } = world({ [server.token_endpoint]: [pending, refused('slow_down'), pending, refused('slow_down'), granted('t')] });
  await login.token();
  expect(polls()).toEqual([5, 10, 20, 30, 45]);
  const slow = world({ [server.device_authorization_endpoint]: [200, { ...device, interval: 120 }] });
  await slow.login.token();
  expect(slow.polls()).toEqual([120]);
});

test('without an interval it is five seconds', async () => {
  const { interval: _, ...without } = device;
  const { login, polls } = world({ [server.device_authorization_endpoint]: [200, without] });
  await login.token();
  expect(polls()).toEqual([5]);
});

test('a server that does not answer for a while is asked less often, and the login goes on', async () => {
  const { login, polls } = world({
    [server.token_endpoint]: [pending, new TypeError('fetch failed'), [503, {}], pending, granted('t1')],
  });
  expect(await login.token()).toBe('t1');
  expect(polls()).toEqual([5, 10, 20, 40, 60]);
});

test.each<[string, Route, string]>([
  ['denied', refused('access_denied'), 'the login has failed: access_denied'],
  ['a code that has ended', refused('expired_token'), 'nobody logged in while the code was good: try again'],
  ['nobody', pending, 'nobody logged in while the code was good: try again'],
  ['no word why', [418, 'tea'], 'the login has failed: status 418'],
  ['no token', [200, {}], 'the login gave no token that can be used here'],
  ['a token of another kind', granted('t1', { token_type: 'DPoP' }), 'the login gave no token that can be used here'],
])('%s: one line, and the next call begins anew', async (_, answer, why) => {
  const answers = { [server.token_endpoint]: answer };
  const { login, told } = world(answers);
  const { message, cause } = await login.token().then(
    () => expect.unreachable(),
    (error: Error) => error,
  );
  expect([message, cause]).toEqual([why, undefined]);
  await expect(login.token()).rejects.toThrow(why);
  expect(told).toHaveLength(2);
});

test('waits no longer than the code is good, and no longer than an hour', async () => {
  const { login, polls } = world({
    [server.token_endpoint]: pending,
    [server.device_authorization_endpoint]: [200, { ...device, expires_in: 12 }],
  });
  await expect(login.token()).rejects.toThrow('nobody logged in');
  expect(polls()).toEqual([5, 10]);
  const patient = world({
    [server.token_endpoint]: pending,
    [server.device_authorization_endpoint]: [200, { ...device, expires_in: 1e12, interval: 1e9 }],
  });
  await expect(patient.login.token()).rejects.toThrow('nobody logged in');
  expect(patient.polls()).toEqual([]);
});

test.each<[string, Route, string]>([
  ['a client that is not known', refused('invalid_client'), 'the login is refused: invalid_client'],
  ['no code', [200, { user_code: 'x' }], 'the login gave no code'],
  ['a page that others could read', [200, { ...device, verification_uri: 'http://login.example.com/go' }], 'must begin with https://'],
  ['a page that is none', [200, { ...device, verification_uri: 'javascript:alert(1)' }], 'must be a URL'],
  ['nobody there', new TypeError('fetch failed'), `${ISSUER}/device does not answer`],
  ['a failure', [500, {}], `${ISSUER}/device answers 500`],
])('the first request, %s: one line', async (_, answer, why) => {
  const { login, told } = world({ [server.device_authorization_endpoint]: answer });
  await expect(login.token()).rejects.toThrow(why);
  expect(told).toEqual([]);
});

test.each<[string, Readonly<Record<string, Route>>, RegExp]>([
  ['the gateway has no issuer', { [RESOURCE_DOCUMENT]: [404, {}] }, /^https:\/\/mcp\.example\.com does not say where to log in$/],
  ['nobody answers', { [RESOURCE_DOCUMENT]: new TypeError('fetch failed') }, /oauth-protected-resource does not answer$/],
  [
    'the gateway would collect tokens for another one',
    { [RESOURCE_DOCUMENT]: [200, { ...resource, resource: 'https://other.example.com' }] },
    /^https:\/\/mcp\.example\.com calls itself https:\/\/other\.example\.com, for which it gets no token/,
  ],
  [
    'the gateway would get a token for all that has its name',
    { [RESOURCE_DOCUMENT]: [200, { ...resource, resource: `${GATEWAY}.evil.example` }] },
    /calls itself/,
  ],
  [
    'there is no endpoint for devices',
    { [SERVER_DOCUMENT]: [200, { ...server, device_authorization_endpoint: undefined }] },
    /has no login with a code/,
  ],
  [
    'the metadata is of another issuer',
    { [SERVER_DOCUMENT]: [200, { ...server, issuer: `${ISSUER}/` }] },
    /is of another issuer, https:\/\/login\.example\.com\/$/,
  ],
  ['there is no metadata', { [SERVER_DOCUMENT]: [404, {}] }, /^https:\/\/login\.example\.com does not say how to log in$/],
  [
    'the issuer is plain http',
    { [RESOURCE_DOCUMENT]: [200, { ...resource, authorization_servers: ['http://login.example.com'] }] },
    /must begin with https:\/\//,
  ],
  [
    'codes would be plain text',
    { [SERVER_DOCUMENT]: [200, { ...server, device_authorization_endpoint: 'http://login.example.com/d' }] },
    /must begin with https:\/\//,
  ],
  [
    'tokens would be plain text',
    { [SERVER_DOCUMENT]: [200, { ...server, token_endpoint: 'http://login.example.com/t' }] },
    /must begin with https:\/\//,
  ],
])('%s: nothing is sent', async (_, routes, why) => {
  const { login, asked } = world(routes);
  await expect(login.token()).rejects.toThrow(why);
  expect(asked.filter(({ url }) => !url.includes('/.well-known/'))).toEqual([]);
  expect(asked.filter(({ url }) => url.startsWith('http:'))).toEqual([]);
});

test('plain http is good enough for this machine', async () => {
  const [base, issuer] = ['http://127.0.0.1:8080', 'http://localhost:3000/realms/x'];
  const { login } = world(
    {
      [`${base}/.well-known/oauth-protected-resource`]: [200, { resource: `${base}/`, authorization_servers: [issuer] }],
      [`${issuer}/.well-known/openid-configuration`]: [404, {}],
      'http://localhost:3000/.well-known/oauth-authorization-server/realms/x': [
        200,
        { issuer, device_authorization_endpoint: `${issuer}/device`, token_endpoint: `${issuer}/token` },
      ],
      [`${issuer}/device`]: [200, { ...device, verification_uri: `${issuer}/go` }],
      [`${issuer}/token`]: ({ resource: asked }) => granted(`for ${asked}`),
    },
    { base },
  );
  expect(await login.token()).toBe(`for ${base}/`);
});

test('a gateway below a path is found where RFC 9728 puts its document, or behind its path', async () => {
  const base = `${GATEWAY}/gw`;
  const document: Answer = [200, { ...resource, resource: base }];
  for (const url of [`${RESOURCE_DOCUMENT}/gw`, `${base}/.well-known/oauth-protected-resource`]) {
    expect(await world({ [url]: document }, { base }).login.token()).toBe('t1');
  }
});

test('of several issuers, the first that has a login with a code is taken', async () => {
  const [first, second] = ['https://ci.example.com', 'https://down.example.com'];
  const { login } = world({
    [RESOURCE_DOCUMENT]: [200, { ...resource, authorization_servers: [first, second, ISSUER] }],
    [`${first}/.well-known/openid-configuration`]: [200, { issuer: first, token_endpoint: `${first}/token` }],
    [`${second}/.well-known/openid-configuration`]: new TypeError('fetch failed'),
  });
  expect(await login.token()).toBe('t1');
});

test('a token is used again until it ends, and is then renewed at the server that gave it', async () => {
  const { login, told, forms, asked, later } = world({
    [RESOURCE_DOCUMENT]: [
      [200, resource],
      [200, { ...resource, authorization_servers: ['https://evil.example'] }],
    ],
    [server.token_endpoint]: [granted('t1', { refresh_token: 'r1' }), granted('t2', { refresh_token: 'r2' }), granted('t3')],
  });
  expect([await login.token(), await login.token()]).toEqual(['t1', 't1']);
  later(3600);
  expect(await Promise.all([login.token(), login.token()])).toEqual(['t2', 't2']);
  later(3600);
  expect(await login.token()).toBe('t3');
  later(3600);
  await login.token();
  const renewal = { client_id: 'cli', resource: GATEWAY, grant_type: 'refresh_token' };
  expect(forms(server.token_endpoint).slice(1)).toEqual([
    { ...renewal, refresh_token: 'r1' },
    { ...renewal, refresh_token: 'r2' },
    { ...renewal, refresh_token: 'r2' },
  ]);
  expect(told).toHaveLength(1);
  expect(asked.some(({ url }) => url.includes('evil'))).toBe(false);
});

test('a refresh token that is not taken: the user logs in again; one that could not be sent is kept', async () => {
  const { login, told, later } = world({
    [server.token_endpoint]: [
      granted('t1', { refresh_token: 'r1' }),
      new TypeError('fetch failed'),
      [503, {}],
      refused('invalid_grant'),
      granted('t2'),
    ],
  });
  await login.token();
  later(3600);
  await expect(login.token()).rejects.toThrow('does not answer');
  await expect(login.token()).rejects.toThrow('answers 503');
  expect(told).toHaveLength(1);
  expect(await login.token()).toBe('t2');
  expect(told).toHaveLength(2);
});

test('a token of a few seconds is used for half of them', async () => {
  const { login, polls, later } = world({ [server.token_endpoint]: granted('t1', { expires_in: 4, refresh_token: 'r' }) });
  await login.token();
  later(1);
  await login.token();
  expect(polls()).toHaveLength(1);
  later(2);
  await login.token();
  expect(polls()).toHaveLength(2);
});

test('calls at the same time share one login', async () => {
  const { login, told } = world();
  expect(await Promise.all([login.token(), login.token(), login.token()])).toEqual(['t1', 't1', 't1']);
  expect(told).toHaveLength(1);
});

test('with little patience a call says where to log in, the login goes on, and its token is there for a later call', async () => {
  let waits = true;
  let wake = (): void => {};
  const { login, told, asked } = world(
    {},
    {
      patienceMs: 1,
      pause: (_ms, _value, how) => {
        // It must not keep a process alive that is at its end.
        expect(how?.ref).toBe(false);
        return new Promise((resolve) => {
          wake = () => resolve(undefined);
          if (!waits) wake();
        });
      },
    },
  );
  const where = `log in at ${ISSUER}/go with the code ABCD-EFGH`;
  await expect(login.token()).rejects.toThrow(`first ${where}`);
  await expect(Promise.all([login.token(), login.token()])).rejects.toThrow(`first ${where}`);
  expect(told).toEqual([where]);
  waits = false;
  wake();
  await expect.poll(() => asked.length).toBe(4);
  expect(await login.token()).toBe('t1');
  expect(asked).toHaveLength(4);
});

test('a signal ends the wait for the user', async () => {
  const stopping = new AbortController();
  const { login } = world({
    [server.token_endpoint]: () => {
      stopping.abort();
      return pending;
    },
  });
  await expect(login.token(stopping.signal)).rejects.toThrow('nobody has logged in: stopped');
});
