// What resource files may say, and that everything wrong with them is said at once.

import { describe, expect, it } from 'vitest';
import { parseResourceText } from './resource-files.ts';
import { type BackendResource, formatProblem } from './resources.ts';

const FILE = '/somewhere/a.yaml';
const head = (name: string) => `apiVersion: mcpgateway.dev/v1alpha1\nkind: MCPBackend\nmetadata: { name: ${name} }\n`;
const parse = (text: string) => parseResourceText(text, FILE);
const complaints = (text: string) => parse(text).problems.map(formatProblem);

function backend(spec: string): BackendResource {
  const { resources, problems } = parse(`${head('one')}spec: ${spec}`);
  expect(problems).toEqual([]);
  return resources[0] as BackendResource;
}

/** `path: message` of each problem of a backend with this spec. */
function faults(spec: string): string[] {
  return parse(`${head('one')}spec: ${spec}`).problems.map(({ path }) => path);
}

describe('MCPBackend', () => {
  it('fills in every default', () => {
    expect(backend('{ image: "npm:x@1.0.0" }')).toEqual({
      kind: 'MCPBackend',
      name: 'one',
      file: FILE,
      spec: {
        image: { kind: 'npm', text: 'npm:x@1.0.0', spec: 'x@1.0.0', bin: undefined },
        args: [],
        env: [],
        transport: 'streamable-http',
        port: 8000,
        path: '/mcp',
        replicas: 1,
        affinity: 'session',
        sessions: { recovery: 'reinitialize', idleTimeout: 1_800_000, maxAge: 2_592_000_000 },
        scaling: { startTimeout: 45_000 },
        trustToolHints: false,
      },
    });
  });

  it('takes every field of the design', () => {
    const { spec } = backend(`
  image: ghcr.io/github/github-mcp-server:0.9
  args: [--verbose]
  env: [ { name: GITHUB_TOKEN, valueFrom: { secretKeyRef: { name: github, key: token } } }, { name: LEVEL, value: "3" } ]
  transport: streamable-http
  port: 9000
  path: /v2/mcp
  replicas: 3
  affinity: session
  healthCheck: { path: /health }
  sessions: { recovery: fail, idleTimeout: 5m, maxAge: 1d }
  scaling: { toZeroAfter: 15m, startTimeout: 20s }
  access: { tenants: [engineering], roles: [dev], scopes: ["mcp:read"], toolScopes: { "delete_*": ["mcp:write"] }, tools: { allow: ["get_*"], deny: ["get_secret"] } }
  trustToolHints: true`);
    expect(spec.access).toEqual({
      tenants: ['engineering'],
      roles: ['dev'],
      scopes: ['mcp:read'],
      toolScopes: { 'delete_*': ['mcp:write'] },
      tools: { allow: ['get_*'], deny: ['get_secret'] },
    });
    expect(spec.sessions).toEqual({ recovery: 'fail', idleTimeout: 300_000, maxAge: 86_400_000 });
    expect(spec.scaling).toEqual({ toZeroAfter: 900_000, startTimeout: 20_000 });
  });

  it('takes what a cluster needs', () => {
    const { spec } = backend(`
  image: ghcr.io/a/b:1
  replicas: 2
  resources: { requests: { cpu: 250m, memory: 128Mi }, limits: { cpu: 1, memory: 1Gi } }
  storage: { size: 5Gi, path: /graph, storageClass: fast }
  scaling: { max: 8, sessionsPerReplica: 50, requestsPerReplica: 20 }`);
    expect(spec.resources).toEqual({ requests: { cpu: '250m', memory: '128Mi' }, limits: { cpu: '1', memory: '1Gi' } });
    expect(spec.storage).toEqual({ size: '5Gi', path: '/graph', storageClass: 'fast' });
    expect(spec.scaling).toEqual({ startTimeout: 45_000, max: 8, sessionsPerReplica: 50, requestsPerReplica: 20 });
    expect(backend('{ image: a, storage: {} }').spec.storage).toEqual({ size: '1Gi', path: '/data' });
  });

  it.each([
    ['resources: { requests: { cpu: 2 }, limits: { cpu: 1500m } }', 'spec.resources.requests.cpu: must not be more than limits.cpu'],
    [
      'resources: { requests: { memory: 1Gi }, limits: { memory: 1G } }',
      'spec.resources.requests.memory: must not be more than limits.memory',
    ],
    ['resources: { limits: { memory: 128m } }', 'spec.resources.limits.memory: must be a number of bytes such as 256Mi or 1Gi'],
    ['resources: { limits: { cpu: 0.5 } }', 'spec.resources.limits.cpu: must be a number of processors such as 500m, 2 or "1.5"'],
    ['resources: { limits: { gpu: 1 } }', 'spec.resources.limits.gpu: unknown field'],
    ['storage: { size: much }', 'spec.storage.size: must be a number of bytes such as 256Mi or 1Gi'],
    ['storage: { path: data }', 'spec.storage.path: must be the absolute path of a folder, such as /data'],
    ['storage: { path: /a/../b }', 'spec.storage.path: must be the absolute path of a folder, such as /data'],
    ['storage: { path: /tmp/x }', 'spec.storage.path: /tmp, /proc, /sys and /dev are taken: use a folder such as /data'],
    ['storage: { storageClass: Fast }', 'spec.storage.storageClass: must be the name of a StorageClass'],
    ['scaling: { max: 3 }', 'spec.scaling.max: needs sessionsPerReplica, requestsPerReplica or both'],
    ['scaling: { sessionsPerReplica: 3 }', 'spec.scaling.max: is needed with sessionsPerReplica and requestsPerReplica'],
    ['replicas: 4, scaling: { max: 3, requestsPerReplica: 1 }', 'spec.scaling.max: must not be less than replicas'],
    [
      'affinity: none, scaling: { max: 3, sessionsPerReplica: 1 }',
      'spec.scaling.sessionsPerReplica: affinity: none has no sessions to count; use requestsPerReplica',
    ],
  ])('says what is wrong with %s', (spec, message) => {
    const { problems } = parse(`${head('one')}spec: { image: a, ${spec} }`);
    expect(problems.map(({ path, message }) => `${path}: ${message}`)).toEqual([message]);
  });

  it('takes a url with credentials', () => {
    const { spec } = backend(
      '{ url: "https://mcp.example.com/mcp", upstreamAuth: { header: Authorization, valueFrom: { secretKeyRef: { name: a, key: b } } } }',
    );
    expect(spec.url).toBe('https://mcp.example.com/mcp');
    expect(spec.upstreamAuth?.header).toBe('Authorization');
  });

  it('takes credentials out of a variable, with something in front of them', () => {
    const auth = { header: 'X-Api-Key', prefix: 'Token token=', valueFrom: { env: 'API_KEY' } };
    expect(backend(JSON.stringify({ url: 'https://x/', upstreamAuth: auth })).spec.upstreamAuth).toEqual(auth);
  });

  describe('credentials', () => {
    const auth = (over: object, url = 'https://x/') =>
      faults(JSON.stringify({ url, upstreamAuth: { header: 'Authorization', valueFrom: { env: 'A' }, ...over } }));

    it.each([
      ...['Connection', 'keep-alive', 'Host', 'Content-Length', 'content-type', 'Transfer-Encoding', 'TE', 'Trailer', 'Upgrade', 'Origin'],
      ...[
        'Mcp-Session-Id',
        'mcp-protocol-version',
        'X-Mcp-Subject',
        'x_mcp_subject',
        'X-Envoy-Retry-On',
        'x-request-id',
        'X-Forwarded-For',
      ],
      ...[':authority', ':path', '', 'a b', 'a:', 'ä', 'a\nb'],
    ])('may not travel as %j', (header) => expect(auth({ header })).toEqual(['spec.upstreamAuth.header']));

    it.each(['Authorization', 'proxy-authorization', 'X-API-Key', 'cookie', 'x-goog-api-key'])('may travel as %s', (header) => {
      expect(auth({ header })).toEqual([]);
    });

    it('come from exactly one place with a sound name', () => {
      const file = { secretKeyRef: { name: 'a', key: 'b' } };
      expect(auth({ valueFrom: file })).toEqual([]);
      expect(auth({ valueFrom: { ...file, env: 'A' } })).toEqual(['spec.upstreamAuth.valueFrom']);
      expect(auth({ valueFrom: {} })).toEqual(['spec.upstreamAuth.valueFrom']);
      expect(auth({ valueFrom: { env: 'A=B' } })).toEqual(['spec.upstreamAuth.valueFrom.env']);
      expect(auth({ valueFrom: { value: 'secret' } })).toContain('spec.upstreamAuth.valueFrom.value');
    });

    it.each([' Bearer', '', 'a\tb', 'a\r\nb', 'ä', 'x'.repeat(65)])('have no prefix %j', (prefix) => {
      expect(auth({ prefix })).toEqual(['spec.upstreamAuth.prefix']);
    });

    it.each(['http://x/', 'http://10.0.0.1/', 'http://localhost.example/'])('do not go to %s in the clear', (url) => {
      expect(auth({}, url)).toEqual(['spec.upstreamAuth']);
    });

    it.each(['https://x/', 'http://localhost:1/', 'http://127.0.0.1/', 'http://[::1]/', 'HTTPS://x/'])('may go to %s', (url) => {
      expect(auth({}, url)).toEqual([]);
    });
  });

  it('reports everything that is wrong, with file, resource and field', () => {
    const text = `${head('one')}spec:
  image: "npm:-x"
  bar: 1
  args: [1]
  replicas: 1.5
  env: [ { name: NODE_OPTIONS, value: x }, { name: A, value: 3 }, { name: B } ]
  sessions: { idleTimeout: soon, more: 1 }
  upstreamAuth: { header: "a b", valueFrom: { secretKeyRef: { name: ../x, key: k } } }
  transport: stdio
  affinity: none
---
${head('Two_')}spec: { image: "exec:./x", path: mcp }
`;
    expect(complaints(text).map((line) => line.split(': ').slice(0, 3).join(' '))).toEqual([
      `${FILE} MCPBackend/one spec.image`,
      `${FILE} MCPBackend/one spec.upstreamAuth.header`,
      `${FILE} MCPBackend/one spec.upstreamAuth.valueFrom.secretKeyRef.name`,
      `${FILE} MCPBackend/one spec.args.0`,
      `${FILE} MCPBackend/one spec.env.0.name`,
      `${FILE} MCPBackend/one spec.env.1.value`,
      `${FILE} MCPBackend/one spec.env.2.value`,
      `${FILE} MCPBackend/one spec.replicas`,
      `${FILE} MCPBackend/one spec.sessions.idleTimeout`,
      `${FILE} MCPBackend/one spec.sessions.more`,
      `${FILE} MCPBackend/one spec.bar`,
      `${FILE} MCPBackend/one spec.upstreamAuth`,
      `${FILE} MCPBackend/one spec.affinity`,
      `${FILE} MCPBackend/Two_ metadata.name`,
      `${FILE} MCPBackend/Two_ spec.path`,
    ]);
  });

  it.each(['NODE_OPTIONS', 'PATH', 'LD_PRELOAD', 'LD_LIBRARY_PATH', 'DYLD_INSERT_LIBRARIES', 'PORT', 'A=B', ''])(
    'refuses the variable %j',
    (name) => {
      expect(faults(`{ image: "exec:x", env: [ { name: ${JSON.stringify(name)}, value: v } ] }`)).toEqual(['spec.env.0.name']);
    },
  );

  it.each(['../up', '.hidden', 'a/b', '-x', ''])('refuses %j as part of a secret file', (part) => {
    const ref = (name: string, key: string) =>
      `{ image: "exec:x", env: [ { name: A, valueFrom: { secretKeyRef: { name: ${name}, key: ${key} } } } ] }`;
    expect(faults(ref(JSON.stringify(part), 'k'))).toEqual(['spec.env.0.valueFrom.secretKeyRef.name']);
    expect(faults(ref('n', JSON.stringify(part)))).toEqual(['spec.env.0.valueFrom.secretKeyRef.key']);
  });

  it.each(['ftp://x/', 'x', 'https://u:p@x/', 'https://x/?a=1', 'https://x/#a'])('refuses the url %s', (url) => {
    expect(faults(`{ url: "${url}" }`)).toEqual(['spec.url']);
  });

  it('wants one of image and url, and only what goes together', () => {
    expect(faults('{}')).toEqual(['spec.image']);
    expect(faults('{ image: "exec:x", url: "https://x/" }')).toEqual(['spec.image']);
    expect(faults('{ image: "exec:x", transport: stdio, healthCheck: { path: /status } }')).toEqual(['spec.healthCheck']);
    expect(faults('{ image: "exec:x", transport: stdio, healthCheck: { type: mcp } }')).toEqual([]);
    expect(faults('{ url: "https://x/", replicas: 2, path: /x }')).toEqual(['spec.path', 'spec.replicas']);
    const cluster = 'resources: {}, storage: {}, scaling: { max: 2, requestsPerReplica: 1 }';
    expect(faults(`{ url: "https://x/", ${cluster} }`)).toEqual(['spec.resources', 'spec.storage', 'spec.scaling.max']);
  });

  it('takes names of 50 characters and no more', () => {
    expect(complaints(`${head('a'.repeat(50))}spec: { image: "exec:x" }`)).toEqual([]);
    expect(complaints(`${head('a'.repeat(51))}spec: { image: "exec:x" }`)).toHaveLength(1);
  });
});

describe('MCPTenant', () => {
  const tenant = (spec: string) => parse(`apiVersion: mcpgateway.dev/v1alpha1\nkind: MCPTenant\nmetadata: { name: eng }\nspec: ${spec}`);

  it('takes the example of the design', () => {
    const { resources, problems } = tenant(`
  priority: 100
  match: [ { issuer: https://login.example.com/, claim: groups, values: [eng] } ]
  tools: { deny: ["*delete*"] }
  quotas: [ { requests: 1000, per: 1h } , { requests: 60, per: 1m, scope: subject, backend: github, tool: search_* } ]
  limits: { sessions: 200, concurrentRequests: 50 }
  onOutage: deny`);
    expect(problems).toEqual([]);
    expect(resources[0]?.spec).toMatchObject({
      onOutage: 'deny',
      quotas: [
        { per: 3_600_000, scope: 'tenant' },
        { scope: 'subject', tool: 'search_*' },
      ],
    });
  });

  it('refuses two quotas that would be one counter', () => {
    const quotas = ['{ requests: 5, per: 1m }', '{ requests: 9, per: 60s }', '{ requests: 5, per: 1m, scope: subject }'].join(', ');
    const { problems } = tenant(`{ quotas: [ ${quotas} ] }`);
    expect(problems.map(({ path, message }) => `${path} ${message}`)).toEqual([
      'spec.quotas.1 differs from quota 0 in its requests alone: keep the lower one',
    ]);
  });

  it('refuses what it does not know', () => {
    expect(tenant('{ match: [], quotas: [ { requests: -1, per: 1 } ], more: 1 }').problems.map(({ path }) => path)).toEqual([
      'spec.quotas.0.requests',
      'spec.quotas.0.per',
      'spec.more',
    ]);
  });
});

describe('a file', () => {
  it('may hold several documents, empty ones, comments and JSON', () => {
    const one = `${head('one')}spec: { image: "exec:x" }\n`;
    const two = JSON.stringify({
      apiVersion: 'mcpgateway.dev/v1alpha1',
      kind: 'MCPBackend',
      metadata: { name: 'two' },
      spec: { image: 'exec:y' },
    });
    expect(parse(`# hello\n---\n${one}---\n---\n${two}\n---\n`).resources.map(({ name }) => name)).toEqual(['one', 'two']);
    expect(parse('')).toEqual({ resources: [], problems: [] });
  });

  it('may not say the same name or key twice', () => {
    const one = `${head('one')}spec: { image: "exec:x" }\n`;
    expect(complaints(`${one}---\n${one}`)).toEqual([`${FILE}: MCPBackend/one: metadata.name: is declared twice in this file`]);
    expect(complaints(`${one}kind: MCPBackend\n`)[0]).toContain('document 1');
  });

  it.each([
    ['another kind', 'kind: Pod', 'kind: must be MCPBackend or MCPTenant'],
    ['a list', '- 1', 'kind: must be MCPBackend or MCPTenant'],
    ['text', 'hello', 'kind: must be MCPBackend or MCPTenant'],
    ['broken YAML', '[1', 'Flow sequence'],
    ['an unknown alias', 'a: *b', 'alias'],
    ['an unknown tag', 'a: !!js/function x', 'tag'],
  ])('that is %s is a problem', (_, text, message) => {
    expect(complaints(text).join('\n')).toContain(message);
  });

  it('cannot blow up by aliases', () => {
    const levels = Array.from(
      { length: 20 },
      (_, at) =>
        `k${at}: &k${at} [${
          at === 0
            ? 'x'
            : Array(9)
                .fill(`*k${at - 1}`)
                .join(',')
        }]`,
    );
    const begin = performance.now();
    expect(complaints(levels.join('\n')).join()).toContain('alias');
    expect(performance.now() - begin).toBeLessThan(2000);
  });

  it('may use anchors', () => {
    const text = `${head('one')}spec: { image: "exec:x", env: [ &v { name: A, value: "1" } ], args: &a [x] }\n`;
    expect(complaints(text)).toEqual([]);
  });
});
