// Good and bad resources, and what is said about the bad ones: by a gateway that reads files, and by an API server.

/** `path: message`; paths as in files (`spec.env.0.name`). */
export interface ResourceCase {
  readonly what: string;
  readonly kind?: 'MCPBackend' | 'MCPTenant';
  readonly name?: string;
  readonly spec: unknown;
  /** What the gateway says; nothing: it takes it. */
  readonly local?: readonly string[];
  /** What the API server says, where that is something else. */
  readonly cluster?: readonly string[];
}

const image = 'ghcr.io/a/b:1';
const url = 'https://mcp.example.com/mcp';
const auth = { header: 'Authorization', valueFrom: { env: 'TOKEN' } };
const bad = (what: string, spec: unknown, local: string | readonly string[], cluster?: string | readonly string[]): ResourceCase => ({
  ...{ what, spec, local: [local].flat() },
  ...(cluster !== undefined && { cluster: [cluster].flat() }),
});
const tenant = (one: ResourceCase): ResourceCase => ({ ...one, kind: 'MCPTenant' });

const many = <T>(count: number, make: (at: number) => T): T[] => Array.from({ length: count }, (_, at) => make(at));
const long = (at: number, length: number): string => `${String(at)}${'x'.repeat(length)}`.slice(0, length);

/** As large as it may be in each of its parts: rules that take too long would refuse it. */
const largeBackends: readonly ResourceCase[] = [
  {
    what: 'long lists',
    spec: {
      image: `npm:${long(0, 500)}`,
      args: many(256, (at) => long(at, 500)),
      env: many(256, (at) => ({ name: `A${String(at).padStart(255, '0')}`, value: 'x' })),
    },
  },
  {
    what: 'many rules of access',
    spec: {
      image,
      access: {
        ...{ tenants: many(256, (at) => long(at, 256)), roles: many(256, (at) => long(at, 256)), scopes: many(256, (at) => long(at, 256)) },
        toolScopes: Object.fromEntries(many(128, (at) => [long(at, 256), many(32, (scope) => long(scope, 100))])),
        tools: { allow: many(256, (at) => long(at, 256)) },
      },
    },
  },
];

const goodBackends: readonly ResourceCase[] = [
  { what: 'an image alone', spec: { image } },
  { what: 'a package', spec: { image: 'npm:@scope/pkg@1.2.3#bin' } },
  { what: 'a package from git', spec: { image: 'npm:github:user/repo#v1#tool' } },
  { what: 'a package in a file', spec: { image: 'npm:file:../x.tgz#tool' } },
  { what: 'a Python package', spec: { image: 'pypi:pkg[cli]==1.2.3#run', transport: 'stdio', healthCheck: { path: '/healthz' } } },
  { what: 'an image by its digest', spec: { image: `localhost:5000/a/b@sha256:${'0'.repeat(64)}` } },
  { what: 'a URL', spec: { url, upstreamAuth: { ...auth, header: 'X-Api-Key', prefix: 'Bearer ' }, affinity: 'none' } },
  ...['http://localhost:1/', 'http://127.0.0.1/', 'http://[::1]/', 'HTTPS://x/'].map((each) => ({
    what: `a secret for ${each}`,
    spec: { url: each, upstreamAuth: auth },
  })),
  {
    what: 'every field',
    name: 'a'.repeat(50),
    spec: {
      ...{
        image,
        args: ['--port', '$(PORT)', ''],
        transport: 'streamable-http',
        port: 9000,
        path: '/v2/mcp',
        replicas: 3,
        affinity: 'session',
      },
      env: [
        { name: 'GITHUB_TOKEN', valueFrom: { secretKeyRef: { name: 'github', key: 'token' } } },
        { name: 'LEVEL', value: '3' },
      ],
      healthCheck: { type: 'http', path: '/health' },
      sessions: { recovery: 'fail', idleTimeout: '5m', maxAge: '30d' },
      scaling: { toZeroAfter: '1500ms', startTimeout: '20s', max: 3, sessionsPerReplica: 50, requestsPerReplica: 20 },
      resources: { requests: { cpu: 1, memory: '128Mi' }, limits: { cpu: '1000m', memory: '1.5Gi' } },
      storage: { size: '5Gi', path: '/var/lib/graph', storageClass: 'fast.ssd' },
      access: {
        ...{ tenants: ['engineering'], roles: ['dev'], scopes: ['mcp:read'], toolScopes: { 'delete_*': ['mcp:write'] } },
        tools: { allow: ['get_*'], deny: ['get_secret'] },
      },
      trustToolHints: true,
    },
  },
];

const DURATION_FORM = 'must be a duration such as 45s, 30m, 12h or 30d, at least 1s';
const NAME_FORM = 'must start with a letter and contain only a-z, 0-9 and "-", not at the end (DNS-1035)';
const DURATION_PATTERN = "in body should match '^(\\d{1,12})(ms|s|m|h|d)$'";
const SECRET_PART = 'must contain only letters, digits, "-", "_" and "." and not begin with "." or "-"';
const FRAME = "belongs to the connection, to MCP or to the gateway; use Authorization or a header of the server's own";

const badImages: readonly ResourceCase[] = [
  bad('nothing to run', {}, 'spec.image: either image or url is needed'),
  bad('two things to run', { image, url }, 'spec.image: image and url exclude each other'),
  bad('white space in an image', { image: 'npm:a b' }, 'spec.image: must not contain white space'),
  bad('an npm image without a package', { image: 'npm:-x' }, 'spec.image: names no package: npm:@scope/name@1.2.3'),
  bad('a pypi image without a package', { image: 'pypi:' }, 'spec.image: names no package: pypi:name==1.2.3'),
  bad('a path as program', { image: 'npm:a#../b' }, 'spec.image: "#../b" does not name a program of the package'),
  bad('no program after git', { image: 'npm:git+https://x/y#v1#' }, 'spec.image: "#" does not name a program of the package'),
  bad(
    'a URL as image',
    { image: 'http://x/y' },
    'spec.image: must be npm:…, pypi:…, exec:… or a container image such as ghcr.io/owner/name:tag',
  ),
  {
    ...bad('a program of the machine', { image: 'exec:./server' }, []),
    cluster: ['spec.image: exec:./server is a program of one machine: a cluster runs container images, npm:… and pypi:…'],
  },
];

const badUrls: readonly ResourceCase[] = [
  bad('no URL', { url: 'x' }, 'spec.url: must be an absolute URL'),
  bad('a path as URL', { url: '/x' }, 'spec.url: must be an absolute URL'),
  bad('a URL without a host', { url: 'https://' }, 'spec.url: must be an absolute URL'),
  bad('an empty query', { url: 'https://x/?' }, 'spec.url: must not contain a query or fragment'),
  bad('another protocol', { url: 'ftp://x/' }, 'spec.url: must begin with http:// or https://'),
  bad('a password in a URL', { url: 'https://u:p@x/' }, 'spec.url: must not contain a user or password: use upstreamAuth'),
  bad('a query in a URL', { url: 'https://x/?a=1' }, 'spec.url: must not contain a query or fragment'),
  bad('a secret for an image', { image, upstreamAuth: auth }, 'spec.upstreamAuth: is only used with url'),
  ...['http://x/', 'http://10.0.0.1/', 'http://localhost.example/', 'http://127.0.0.1.example/'].map((each) =>
    bad(
      `a secret in the clear for ${each}`,
      { url: each, upstreamAuth: auth },
      'spec.upstreamAuth: needs a url that begins with https://: the secret would be readable on its way (http:// is for this machine only)',
    ),
  ),
  bad(
    'a URL with everything that is run',
    { url, args: [], env: [], transport: 'stdio', port: 1, path: '/x', replicas: 1, resources: {}, storage: {} },
    [
      ...['args', 'env', 'transport', 'port'].map((field) => `spec.${field}: is not used with url`),
      'spec.path: is part of url',
      ...['replicas', 'resources', 'storage'].map((field) => `spec.${field}: is not used with url`),
    ],
  ),
  bad('a URL that grows', { url, scaling: { max: 2, requestsPerReplica: 1 } }, 'spec.scaling.max: is not used with url'),
];

const badCredentials: readonly ResourceCase[] = [
  bad(
    'no name of a header',
    { url, upstreamAuth: { ...auth, header: 'a b' } },
    'spec.upstreamAuth.header: must be the name of an HTTP header',
  ),
  ...['Host', 'keep-alive', 'x_mcp_subject', 'Content-Length', 'X-Forwarded-For'].map((header) =>
    bad(`the header ${header}`, { url, upstreamAuth: { ...auth, header } }, `spec.upstreamAuth.header: ${header} ${FRAME}`),
  ),
  bad(
    'a prefix of white space',
    { url, upstreamAuth: { ...auth, prefix: ' x' } },
    'spec.upstreamAuth.prefix: must be 1 to 64 visible ASCII characters or spaces, the first one visible',
  ),
  bad(
    'two places of a secret',
    { url, upstreamAuth: { header: 'X-Key', valueFrom: { env: 'A', secretKeyRef: { name: 'a', key: 'b' } } } },
    'spec.upstreamAuth.valueFrom: exactly one of secretKeyRef: { name, key } and env: NAME (a variable of the gateway) is needed',
  ),
  bad('a path as Secret', { url, upstreamAuth: { header: 'X-Key', valueFrom: { secretKeyRef: { name: '../x', key: '.k' } } } }, [
    `spec.upstreamAuth.valueFrom.secretKeyRef.name: ${SECRET_PART}`,
    `spec.upstreamAuth.valueFrom.secretKeyRef.key: ${SECRET_PART}`,
  ]),
];

const badFields: readonly ResourceCase[] = [
  bad('a variable that loads code', { image, env: [{ name: 'ld_preload', value: 'x' }] }, [
    'spec.env.0.name: ld_preload may not be set: it changes which code a process runs',
  ]),
  bad('the port as variable', { image, env: [{ name: 'PORT', value: '1' }] }, [
    'spec.env.0.name: PORT is assigned by the gateway; use $(PORT) in args or in another variable',
  ]),
  bad(
    'no name of a variable',
    { image, env: [{ name: 'A=B', value: '1' }] },
    'spec.env.0.name: must be the name of an environment variable',
  ),
  bad('a variable of nothing', { image, env: [{ name: 'A' }] }, 'spec.env.0.value: exactly one of value and valueFrom is needed'),
  bad(
    'a variable twice',
    {
      image,
      env: [
        { name: 'A', value: '1' },
        { name: 'A', value: '2' },
      ],
    },
    'spec.env: A is given twice',
    'spec.env.1: Duplicate value: {"name":"A"}',
  ),
  bad('a relative path', { image, path: 'mcp' }, 'spec.path: must be a path that begins with "/", without query'),
  bad('a port that is none', { image, port: 0 }, 'spec.port: Too small: expected number to be >=1', [
    'spec.port: spec.port in body should be greater than or equal to 1',
  ]),
  bad('too many replicas', { image, replicas: 101 }, 'spec.replicas: Too big: expected number to be <=100', [
    'spec.replicas: spec.replicas in body should be less than or equal to 100',
  ]),
  bad('an unknown transport', { image, transport: 'sse' }, 'spec.transport: Invalid option: expected one of "streamable-http"|"stdio"', [
    'spec.transport: Unsupported value: "sse": supported values: "streamable-http", "stdio"',
  ]),
  bad('a stateless server behind the bridge', { image: 'npm:a', transport: 'stdio', affinity: 'none' }, [
    'spec.affinity: none needs a stateless server; transport: stdio runs one process per session',
  ]),
  {
    ...bad('a container image behind the bridge, without a command', { image, transport: 'stdio' }, []),
    cluster: [
      'spec.args: transport: stdio with a container image needs the command to run, and an image that is built on the runner image',
    ],
  },
  bad(
    'a path of the bridge',
    { image: 'npm:a', transport: 'stdio', healthCheck: { path: '/x' } },
    'spec.healthCheck: path is not used with transport: stdio: the bridge answers at /healthz; { type: mcp } asks the server itself',
  ),
  bad(
    'a path to ask in MCP',
    { image, healthCheck: { type: 'mcp', path: '/x' } },
    'spec.healthCheck.path: is not used with type: mcp (the probe goes to spec.path)',
  ),
  bad('no duration', { image, sessions: { idleTimeout: 'soon' } }, `spec.sessions.idleTimeout: ${DURATION_FORM}: got "soon"`, [
    `spec.sessions.idleTimeout: spec.sessions.idleTimeout ${DURATION_PATTERN}`,
    `spec.sessions.idleTimeout: ${DURATION_FORM}: got "soon"`,
  ]),
  bad('a short duration', { image, scaling: { toZeroAfter: '999ms' } }, `spec.scaling.toZeroAfter: ${DURATION_FORM}: got "999ms"`),
  bad('a duration of centuries', { image, scaling: { toZeroAfter: '999999999999d' } }, [
    `spec.scaling.toZeroAfter: ${DURATION_FORM}: got "999999999999d"`,
  ]),
  bad('sessions older than keys', { image, sessions: { maxAge: '31d' } }, 'spec.sessions.maxAge: must be at most 30d: got "31d"'),
  bad('no scope', { image, access: { scopes: ['a b'], toolScopes: { x: ['"'] } } }, [
    'spec.access.scopes.0: must be an OAuth scope',
    'spec.access.toolScopes.x.0: must be an OAuth scope',
  ]),
  bad('a tool without a name', { image, access: { toolScopes: { '': ['a'] } } }, 'spec.access.toolScopes.: Invalid key in record', [
    'spec.access.toolScopes: names of tools must have 1 to 256 characters',
  ]),
];

const badSizes: readonly ResourceCase[] = [
  bad('more than is allowed', { image, resources: { requests: { cpu: 2, memory: '1Gi' }, limits: { cpu: '1500m', memory: '1G' } } }, [
    'spec.resources.requests.cpu: must not be more than limits.cpu',
    'spec.resources.requests.memory: must not be more than limits.memory',
  ]),
  bad('thousandths of bytes', { image, resources: { limits: { memory: '128m' } } }, [
    'spec.resources.limits.memory: must be a number of bytes such as 256Mi or 1Gi',
  ]),
  bad('no number of processors', { image, resources: { limits: { cpu: 'one' } } }, [
    'spec.resources.limits.cpu: must be a number of processors such as 500m, 2 or "1.5"',
  ]),
  bad('processors below zero', { image, resources: { requests: { cpu: -1 } } }, [
    'spec.resources.requests.cpu: must be a number of processors such as 500m, 2 or "1.5"',
  ]),
  bad('a volume of no size', { image, storage: { size: 'large' } }, 'spec.storage.size: must be a number of bytes such as 256Mi or 1Gi'),
  bad(
    'a volume nowhere',
    { image, storage: { path: '/a/../b' } },
    'spec.storage.path: must be the absolute path of a folder, such as /data',
  ),
  bad('a volume at /tmp', { image, storage: { path: '/tmp' } }, [
    'spec.storage.path: /tmp, /proc, /sys and /dev are taken: use a folder such as /data',
  ]),
  bad('no StorageClass', { image, storage: { storageClass: 'Fast' } }, 'spec.storage.storageClass: must be the name of a StorageClass'),
  bad('growth by nothing', { image, scaling: { max: 2 } }, 'spec.scaling.max: needs sessionsPerReplica, requestsPerReplica or both'),
  bad('growth to nothing', { image, scaling: { sessionsPerReplica: 2 } }, [
    'spec.scaling.max: is needed with sessionsPerReplica and requestsPerReplica',
  ]),
  bad(
    'growth below the least',
    { image, replicas: 3, scaling: { max: 2, requestsPerReplica: 1 } },
    'spec.scaling.max: must not be less than replicas',
  ),
  bad('growth by sessions that are none', { image, affinity: 'none', scaling: { max: 2, sessionsPerReplica: 1 } }, [
    'spec.scaling.sessionsPerReplica: affinity: none has no sessions to count; use requestsPerReplica',
  ]),
];

const badNames: readonly ResourceCase[] = [
  { ...bad('a long name', { image }, 'metadata.name: must have at most 50 characters'), name: 'a'.repeat(51) },
  { ...bad('a name with a point', { image }, `metadata.name: ${NAME_FORM}`), name: 'a.b' },
];

const entry = { issuer: 'https://login.example.com/', claim: 'groups', values: ['eng'] };
const TWINS = 'two of them differ in their requests alone: keep the lower one';
const tenants: readonly ResourceCase[] = [
  { what: 'nothing', spec: {} },
  {
    what: 'every field',
    spec: {
      ...{ priority: -5, match: [entry], tools: { allow: ['*'], deny: ['*delete*'] }, onOutage: 'deny', audit: { arguments: true } },
      quotas: [
        { requests: 1000, per: '1h' },
        { requests: 1000, per: '1h', countAll: true },
        { requests: 60, per: '1m', scope: 'subject', backend: 'github', tool: 'search_*' },
        { requests: 60, per: '1m', scope: 'subject', backend: 'github' },
      ],
      limits: { sessions: 0, concurrentRequests: 50 },
    },
  },
  bad(
    'one counter twice',
    {
      quotas: [
        { requests: 5, per: '1m' },
        { requests: 9, per: '60s', scope: 'tenant', countAll: false },
      ],
    },
    ['spec.quotas.1: differs from quota 0 in its requests alone: keep the lower one'],
    `spec.quotas: ${TWINS}`,
  ),
  {
    what: 'as many quotas as there may be',
    spec: {
      quotas: many(128, (at) => ({
        requests: 5,
        per: '3600000ms',
        scope: 'subject',
        backend: 'b'.repeat(50),
        tool: `${'t'.repeat(250)}${String(at)}`,
      })),
    },
  },
  bad('no backend', { quotas: [{ requests: 5, per: '1m', backend: 'A' }] }, `spec.quotas.0.backend: ${NAME_FORM}`),
  bad('no issuer', { match: [{ ...entry, issuer: 'login' }] }, 'spec.match.0.issuer: must be an absolute URL'),
  bad('a path as issuer', { match: [{ ...entry, issuer: '/x' }] }, 'spec.match.0.issuer: must be an absolute URL'),
  bad('a number that is not exact', { priority: 2 ** 53 }, 'spec.priority: Too big: expected int to be <=9007199254740991', [
    'spec.priority: spec.priority in body should be less than or equal to 9007199254740991',
  ]),
  bad('no value', { match: [{ ...entry, values: [] }] }, 'spec.match.0.values: Too small: expected array to have >=1 items', [
    'spec.match.0.values: spec.match[0].values in body should have at least 1 items',
  ]),
].map(tenant);

/** All of them. */
export const resourceCases: readonly ResourceCase[] = [
  ...largeBackends,
  ...goodBackends,
  ...badImages,
  ...badUrls,
  ...badCredentials,
  ...badFields,
  ...badSizes,
  ...badNames,
  ...tenants,
];

/** The resource as it is written down. */
export function documentOf({ kind = 'MCPBackend', name = 'one', spec }: ResourceCase): object {
  return { apiVersion: 'mcpgateway.dev/v1alpha1', kind, metadata: { name }, spec };
}
