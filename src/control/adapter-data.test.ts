// A backend as the API takes it: what the fields mean, which values are kept, and everything that is wrong at once.

import { describe, expect, test } from 'vitest';
import { documentOf } from '../config/resource-document.ts';
import { fieldOf, readAdapterData, specOf } from './adapter-data.ts';
import type { ControlRefusal } from './refusal.ts';

const URL_ = 'https://mcp.example.com/mcp';

function problemsOf(body: unknown, name?: string): Record<string, string> {
  try {
    readAdapterData(body, name);
  } catch (error) {
    const { code, problems } = error as ControlRefusal;
    expect(code).toBe('invalid');
    return Object.fromEntries(problems.map(({ field, message }) => [field, message]));
  }
  return {};
}

const spec = (body: Record<string, unknown>, present?: Record<string, unknown>) =>
  specOf(readAdapterData({ name: 'one', ...body }), present && documentOf('MCPBackend', 'one', present));

describe('the image', () => {
  test.each([
    [{ image: 'npm:a@1.0.0' }, { image: 'npm:a@1.0.0' }],
    [{ imageName: 'npm:a', imageVersion: '1.0.0' }, { image: 'npm:a@1.0.0' }],
    [{ imageName: 'ghcr.io/a/b', imageVersion: '0.9' }, { image: 'ghcr.io/a/b:0.9' }],
    [{ imageName: 'ghcr.io/a/b' }, { image: 'ghcr.io/a/b' }],
    [{ image: 'npm:a@1.0.0', imageName: 'npm:a', imageVersion: '1.0.0' }, { image: 'npm:a@1.0.0' }],
    [{ image: URL_ }, { url: URL_ }],
    [{ imageName: URL_, imageVersion: '' }, { url: URL_ }],
  ])('%j', (body, expected) => {
    expect(spec(body)).toEqual(expected);
  });

  test('must be given once', () => {
    expect(problemsOf({ name: 'one' })).toEqual({ image: expect.stringContaining('must be given') });
    expect(problemsOf({ name: 'one', imageVersion: '1' })).toEqual({ image: expect.stringContaining('must be given') });
    const two = problemsOf({ name: 'one', image: 'npm:a@1.0.0', imageName: 'npm:a', imageVersion: '1.0.1' });
    expect(two).toEqual({ image: expect.stringContaining('npm:a@1.0.1') });
  });
});

test('every field has its place in the resource', () => {
  const body = {
    ...{ image: 'npm:a@1.0.0', replicaCount: 3, requiredRoles: ['dev'], access: { tenants: ['red'] }, args: ['--x'] },
    ...{ transport: 'stdio', port: 9000, path: '/x', affinity: 'session', healthCheck: { type: 'mcp' } },
    ...{
      sessionRules: { maxAge: '1d' },
      scaling: { toZeroAfter: '5m', max: 5, requestsPerReplica: 20 },
      resources: { limits: { memory: '1Gi' } },
      storage: { size: '5Gi' },
      trustToolHints: true,
      description: 'x',
      useWorkloadIdentity: false,
    },
  };
  expect(spec(body)).toEqual({
    ...{ image: 'npm:a@1.0.0', replicas: 3, access: { tenants: ['red'], roles: ['dev'] }, args: ['--x'] },
    ...{ transport: 'stdio', port: 9000, path: '/x', affinity: 'session', healthCheck: { type: 'mcp' } },
    ...{ sessions: { maxAge: '1d' }, scaling: { toZeroAfter: '5m', max: 5, requestsPerReplica: 20 } },
    ...{ resources: { limits: { memory: '1Gi' } }, storage: { size: '5Gi' }, trustToolHints: true },
  });
});

test('a server that runs elsewhere has nothing of what runs here', () => {
  expect(spec({ image: URL_, replicaCount: 1, port: 8000, path: '/mcp', transport: 'streamable-http', args: [] })).toEqual({ url: URL_ });
});

test('null is nothing', () => {
  const body = { image: URL_, description: null, healthCheck: null, access: null, upstreamAuth: null, resources: null, storage: null };
  expect(spec(body)).toEqual({ url: URL_ });
});

test('roles may be given twice only when they are the same', () => {
  const image = 'npm:a@1.0.0';
  expect(spec({ image, requiredRoles: ['a'], access: { roles: ['a'] } })).toMatchObject({ access: { roles: ['a'] } });
  expect(spec({ image, requiredRoles: [] })).toEqual({ image });
  expect(problemsOf({ name: 'one', image, requiredRoles: ['a'], access: { roles: ['b'] } })).toHaveProperty('requiredRoles');
  expect(problemsOf({ name: 'one', image, requiredRoles: [], access: { roles: ['b'] } })).toHaveProperty('requiredRoles');
});

describe('the name', () => {
  test('stands in the path of a change, and may stand in its body too', () => {
    expect(readAdapterData({ image: URL_ }, 'one').name).toBe('one');
    expect(readAdapterData({ name: 'one', image: URL_ }, 'one').name).toBe('one');
    expect(problemsOf({ name: 'two', image: URL_ }, 'one')).toEqual({ name: 'cannot be changed: this is one' });
    expect(problemsOf({ image: URL_ })).toHaveProperty('name');
  });

  test.each(['', 'One', '1one', 'one-', 'a_b', '../x', 'a/b', 'a.b', 'x'.repeat(51), null, 7])('%j is none', (name) => {
    expect(problemsOf({ name, image: URL_ })).toHaveProperty('name');
  });
});

describe('variables', () => {
  const image = 'npm:a@1.0.0';
  const present = {
    image,
    env: [
      { name: 'A', value: 'old a' },
      { name: 'B', value: 'old b' },
    ],
  };

  test.each([
    [
      'null keeps the value',
      { A: null, B: 'new' },
      [
        { name: 'A', value: 'old a' },
        { name: 'B', value: 'new' },
      ],
    ],
    ['one that is left out is removed', { B: null }, [{ name: 'B', value: 'old b' }]],
    ['an empty map removes all', {}, undefined],
    ['no map keeps all', undefined, present.env],
    ['an empty value is a value', { A: '' }, [{ name: 'A', value: '' }]],
    [
      'a new one comes to them',
      { A: null, C: 'c' },
      [
        { name: 'A', value: 'old a' },
        { name: 'C', value: 'c' },
      ],
    ],
  ])('%s', (_, environmentVariables, env) => {
    expect(spec({ image, environmentVariables }, present)['env']).toEqual(env);
  });

  test('nothing is kept where nothing is', () => {
    const wanted = { A: null, B: null, C: 'c', D: null };
    const keep = () => spec({ image, environmentVariables: wanted }, present);
    expect(keep).toThrow(
      expect.objectContaining({ code: 'invalid', problems: [expect.objectContaining({ field: 'environmentVariables.D' })] }),
    );
    expect(() => spec({ image, environmentVariables: { A: null, B: null } })).toThrow(/environmentVariables.A.*environmentVariables.B/);
  });

  test.each([
    ...[
      'NODE_PATH',
      'node_path',
      'NODE_EXTRA_CA_CERTS',
      'NODE_TLS_REJECT_UNAUTHORIZED',
      'PYTHONPATH',
      'PYTHONSTARTUP',
      'PERL5LIB',
      'RUBYOPT',
    ],
    ...[
      'JAVA_TOOL_OPTIONS',
      'JDK_JAVA_OPTIONS',
      '_JAVA_OPTIONS',
      'CLASSPATH',
      'BASH_ENV',
      'ENV',
      'IFS',
      'SHELL',
      'HOME',
      'npm_config_registry',
    ],
    ...['PIP_INDEX_URL', 'UV_INDEX_URL', 'GIT_SSH_COMMAND', 'SSL_CERT_FILE', 'HTTPS_PROXY', 'http_proxy', 'ALL_PROXY', 'VIRTUAL_ENV'],
    ...['OPENSSL_CONF', 'OPENSSL_MODULES', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE', 'DOTNET_STARTUP_HOOKS', 'CORECLR_PROFILER_PATH'],
  ])('%s may not be set', (name) => {
    expect(problemsOf({ name: 'one', image, environmentVariables: { [name]: 'x' } })).toHaveProperty([`environmentVariables.${name}`]);
  });

  test.each(['GITHUB_TOKEN', 'API_KEY', 'ENVIRONMENT', 'MY_HOME', 'NODE_ENV', 'NO_PROXY', 'DEBUG', 'PORT_NAME'])('%s may', (name) => {
    expect(problemsOf({ name: 'one', image, environmentVariables: { [name]: 'x' } })).toEqual({});
  });

  test.each([
    { '': 'x' },
    { 'A B': 'x' },
    { '1A': 'x' },
    { 'A=B': 'x' },
    { A: 1 },
    { A: true },
    { A: ['x'] },
    { A: 'x'.repeat(32_769) },
    ['A'],
    'A',
  ])('are a map of texts (%#)', (environmentVariables) => {
    const problems = problemsOf({ name: 'one', image, environmentVariables });
    expect(Object.keys(problems).every((field) => field.startsWith('environmentVariables'))).toBe(true);
    expect(Object.keys(problems)).toHaveLength(1);
  });

  test('have a limit', () => {
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`V${n}`, 'x']));
    expect(problemsOf({ name: 'one', image, environmentVariables: many(256) })).toEqual({});
    expect(problemsOf({ name: 'one', image, environmentVariables: many(257) })).toHaveProperty('environmentVariables');
  });

  test('a problem names the variable, and never its value', () => {
    const values = { NODE_PATH: 'secret-1', 'A B': 'secret-2', OK: 'secret-3', LONG: `secret-4${'x'.repeat(40_000)}` };
    expect(() => readAdapterData({ name: 'one', image, environmentVariables: values })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining('secret') }),
    );
  });
});

describe('a secret', () => {
  const auth = (valueFrom: unknown) => ({ name: 'one', image: URL_, upstreamAuth: { header: 'Authorization', valueFrom } });

  test('is the one of the same name', () => {
    expect(problemsOf(auth({ secretKeyRef: { name: 'one', key: 'token' } }))).toEqual({});
    const other = problemsOf(auth({ secretKeyRef: { name: 'two', key: 'token' } }));
    expect(other).toEqual({ 'upstreamAuth.valueFrom.secretKeyRef.name': expect.stringContaining('must be one') });
  });

  test('is never the gateway’s own environment', () => {
    expect(problemsOf(auth({ env: 'REDIS_URL' }))).toEqual({ 'upstreamAuth.valueFrom.env': expect.any(String) });
  });
});

test('what answers say on top is not looked at', () => {
  const told = {
    ...{ id: 'two', createdBy: 'x', createdAt: 7, lastUpdatedAt: null, revision: {}, source: 'y', creator: [] },
    ...{ health: 'well', message: 1, replicas: 'many', sessions: -1, url: 'no', env: 'no', instances: 0 },
  };
  expect(spec({ image: URL_, ...told })).toEqual({ url: URL_ });
});

test('every problem at once', () => {
  const body = {
    ...{ name: 'One', imageName: '', replicaCount: 101, port: 0, affinity: 'sticky', requiredRoles: [''], useWorkloadIdentity: true },
    ...{ sessionRules: { idleTimeout: '0s' }, path: 'x', typo: 1 },
  };
  expect(Object.keys(problemsOf(body)).toSorted()).toEqual(
    [
      ...['affinity', 'imageName', 'name', 'path', 'port', 'replicaCount', 'requiredRoles.0', 'sessionRules.idleTimeout', 'typo'],
      'useWorkloadIdentity',
    ].toSorted(),
  );
});

test.each([null, undefined, 'x', 7, [], [{ name: 'one' }]])('%j is no object', (body) => {
  expect(problemsOf(body)).toEqual({ '': 'a JSON object is needed' });
});

test.each([
  ['metadata.name', 'name'],
  ['spec.url', 'image'],
  ['spec.image', 'image'],
  ['spec.replicas', 'replicaCount'],
  ['spec.sessions.maxAge', 'sessionRules.maxAge'],
  ['spec.access.toolScopes.x.0', 'access.toolScopes.x.0'],
  ['spec.env.1.value', 'environmentVariables.B'],
  ['spec.env', 'environmentVariables'],
])('%s is called %s', (path, field) => {
  expect(fieldOf(path, { env: [{ name: 'A' }, { name: 'B' }] })).toBe(field);
});
