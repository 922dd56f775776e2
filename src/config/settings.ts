// Every process setting in one table: its key in gateway.yaml, environment variable, flag, default, parser and what it is for.

import { edgeSettings } from './edge-settings.ts';
import { type IssuerSpec, issuersSetting } from './issuer-spec.ts';
import { optional, type Setting, setting } from './setting.ts';
import {
  allowEntry,
  allowedImage,
  baseUrl,
  hostName,
  integer,
  list,
  listenAddress,
  namespaceName,
  oneOf,
  origin,
  path,
  program,
  redisUrl,
  text,
} from './settings-parsers.ts';

/** In the order of the docs page. `home` stands before the rows whose default lies in it. */
export const settingsTable = {
  listen: setting({
    env: 'MCP_GATEWAY_LISTEN',
    flag: '--listen',
    placeholder: 'HOST:PORT',
    fallback: '127.0.0.1:8080',
    doc: 'Where MCP clients connect (port 0 picks a free one). Must be a loopback address as long as there are no `issuers`, because no token is asked for then.',
    parse: listenAddress,
  }),
  admin: setting({
    env: 'MCP_GATEWAY_ADMIN',
    flag: '--admin',
    placeholder: 'HOST:PORT',
    fallback: '127.0.0.1:8081',
    doc: 'Where `/metrics`, `/status` and, with the token of `<home>/token`, `/adapters`, `/sessions`, `/tenants` and `/openapi.json` are served (port 0 picks a free one). Must be a loopback address.',
    parse: listenAddress,
  }),
  home: setting({
    env: 'MCP_GATEWAY_HOME',
    flag: '--home',
    placeholder: 'DIR',
    fallback: '~/.mcp-gateway',
    doc: 'The folder of what must survive a restart (session keys, session records, secrets), of sockets and of server logs.',
    parse: path,
  }),
  resources: setting({
    env: 'MCP_GATEWAY_RESOURCES',
    flag: '--resources',
    placeholder: 'DIR',
    fallback: '<home>/resources',
    doc: 'The folder of YAML files that declare backends; it is watched while the gateway runs.',
    parse: path,
  }),
  workers: setting({
    env: 'MCP_GATEWAY_WORKERS',
    flag: '--workers',
    placeholder: 'N',
    fallback: '1',
    doc: 'How many sidecar processes decide about requests (1 to 64).',
    parse: integer(1, 64),
  }),
  envoyConcurrency: setting({
    env: 'MCP_GATEWAY_ENVOY_CONCURRENCY',
    fallback: '2',
    doc: 'Worker threads of Envoy (1 to 256).',
    parse: integer(1, 256),
  }),
  envoyBin: optional({
    env: 'ENVOY_BIN',
    doc: 'The Envoy binary to run. Unset: `envoy` on PATH when it is 1.40 or newer, else a download that is kept in `cacheDir`.',
    parse: program,
  }),
  cacheDir: setting({
    env: 'MCP_GATEWAY_CACHE_DIR',
    fallback: '<cache>/mcp-gateway',
    doc: 'The folder for downloads that can be fetched again; `<cache>` is `$XDG_CACHE_HOME`, or else `~/.cache`.',
    parse: path,
  }),
  logLevel: setting({
    env: 'MCP_GATEWAY_LOG_LEVEL',
    fallback: 'info',
    doc: 'The least severe log lines that are written: `trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`.',
    parse: oneOf('trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'),
  }),
  logFile: optional({
    env: 'MCP_GATEWAY_LOG_FILE',
    doc: 'The file for the log of the gateway and its Envoy. Unset: `logs/gateway.log` in `home`.',
    parse: path,
  }),
  publicUrl: optional({
    env: 'MCP_GATEWAY_PUBLIC_URL',
    doc: 'The base URL under which clients reach the gateway, when it is not the listen address. Its host is served, tokens may be issued for it, and OAuth metadata is built from it.',
    parse: baseUrl,
  }),
  allowedHosts: setting({
    env: 'MCP_GATEWAY_ALLOWED_HOSTS',
    fallback: '',
    doc: 'Host names that requests may carry besides `localhost`, `127.0.0.1` and `[::1]`.',
    parse: list(hostName),
  }),
  allowedOrigins: optional({
    env: 'MCP_GATEWAY_ALLOWED_ORIGINS',
    doc: 'Web origins whose pages may call the gateway; `loopback` stands for `localhost`, `127.0.0.1` and `[::1]` on every port. Unset: `loopback` as long as no tokens are asked for, else none.',
    parse: list(origin),
  }),
  issuers: setting<readonly IssuerSpec[]>({
    env: 'MCP_GATEWAY_ISSUERS',
    fallback: '',
    doc: 'The OpenID Connect issuers whose tokens are accepted, as a list of maps (in the environment: YAML or JSON); see [docs/identity.md](identity.md). None: no token is asked for.',
    parse: issuersSetting,
  }),
  adminRoles: setting({
    env: 'MCP_GATEWAY_ADMIN_ROLES',
    fallback: 'mcp.admin',
    doc: 'Roles whose holders may use every backend, and change backends, tenants and sessions.',
    parse: list(text),
  }),
  operatorRoles: setting({
    env: 'MCP_GATEWAY_OPERATOR_ROLES',
    fallback: 'mcp.operator',
    doc: 'Roles whose holders may register and change backends by API, and end sessions.',
    parse: list(text),
  }),
  viewerRoles: setting({
    env: 'MCP_GATEWAY_VIEWER_ROLES',
    fallback: 'mcp.viewer',
    doc: 'Roles whose holders may look at backends, tenants and sessions by API.',
    parse: list(text),
  }),
  allowedImages: setting({
    env: 'MCP_GATEWAY_ALLOWED_IMAGES',
    fallback: '',
    doc: 'Images that may be registered by API: names without a version (`npm:@acme/server`, `ghcr.io/acme/server`), or namespaces with a slash at their end (`npm:@acme/`, `ghcr.io/acme/`). None: only URLs may be registered. Whoever may register can run these with any arguments, as the user of the gateway. Programs of this machine never may be registered.',
    parse: list(allowedImage),
  }),
  redisUrl: optional({
    env: 'REDIS_URL',
    doc: 'Redis, for limits, session records and revocations that several gateways share: `redis://[user:password@]host:6379/0`, `rediss://` for TLS. Unset: they are kept by this gateway alone.',
    secret: true,
    parse: redisUrl,
  }),
  keyFile: setting({
    env: 'MCP_GATEWAY_KEY_FILE',
    fallback: '<home>/keys.json',
    doc: 'The keys that session ids are sealed with. Gateways that share sessions share this file; it is read again when it changes.',
    parse: path,
  }),
  trustedProxies: setting({
    env: 'MCP_GATEWAY_TRUSTED_PROXIES',
    fallback: '0',
    doc: 'How many proxies stand in front of the gateway whose `X-Forwarded-*` headers are believed (0 to 10).',
    parse: integer(0, 10),
  }),
  auditLog: optional({
    env: 'MCP_GATEWAY_AUDIT_LOG',
    doc: 'Where the audit log goes: a file, or `stdout`. Unset: nowhere.',
    parse: (raw, context) => (raw === 'stdout' ? 'stdout' : path(raw, context)),
  }),
  urlAllowList: setting({
    env: 'MCP_GATEWAY_URL_ALLOW_LIST',
    fallback: '',
    doc: 'Addresses, CIDR ranges and host names to which backends that were registered by API may point although they are private, loopback or link-local.',
    parse: list(allowEntry),
  }),
  onRevocationOutage: optional({
    env: 'MCP_GATEWAY_ON_REVOCATION_OUTAGE',
    doc: 'What happens to requests of a session while nobody can say whether it was revoked: `allow` (its server still knows when it has ended) or `deny`. Unset: `deny` where tokens are asked for.',
    parse: oneOf('allow', 'deny'),
  }),
  tlsCertFile: optional({
    env: 'MCP_GATEWAY_TLS_CERT_FILE',
    doc: 'The certificate chain that the listener shows, in PEM; with `tlsKeyFile` it speaks TLS. Both are read again when they change.',
    parse: path,
  }),
  tlsKeyFile: optional({
    env: 'MCP_GATEWAY_TLS_KEY_FILE',
    doc: 'The private key of `tlsCertFile`, in PEM.',
    parse: path,
  }),
  ...edgeSettings,
  namespace: setting({
    env: 'MCP_GATEWAY_NAMESPACE',
    fallback: 'mcp',
    doc: 'Kubernetes: the namespace of backends, tenants and their workloads.',
    parse: namespaceName,
  }),
  gatewayNamespace: setting({
    env: 'MCP_GATEWAY_OWN_NAMESPACE',
    fallback: 'mcp-gateway',
    doc: 'Kubernetes: the namespace of the gateway itself: its keys and the controller’s lease.',
    parse: namespaceName,
  }),
  probes: setting({
    env: 'MCP_GATEWAY_PROBES',
    fallback: '0.0.0.0:8083',
    doc: 'Kubernetes: where the sidecar and the controller answer `/healthz`, `/readyz` and `/metrics` (port 0 picks a free one).',
    parse: listenAddress,
  }),
  controllerUrl: optional({
    env: 'MCP_GATEWAY_CONTROLLER_URL',
    doc: 'Kubernetes: where the controller is, such as `http://mcp-gateway-controller.mcp-gateway:8082`. All addresses of its name are told which sessions are in use; Envoy sends it the REST interface.',
    parse: baseUrl,
  }),
  controllerTokenFile: setting({
    env: 'MCP_GATEWAY_CONTROLLER_TOKEN_FILE',
    fallback: '/var/run/secrets/mcp-gateway/token',
    doc: 'Kubernetes: the service account’s token for the controller, made for the audience `mcp-gateway-controller`.',
    parse: path,
  }),
  controlListen: setting({
    env: 'MCP_GATEWAY_CONTROL_LISTEN',
    fallback: '0.0.0.0:8082',
    doc: 'Kubernetes: where the controller serves the REST interface, and what gateways and drain agents ask it (port 0 picks a free one).',
    parse: listenAddress,
  }),
  runnerImage: optional({
    env: 'MCP_GATEWAY_RUNNER_IMAGE',
    doc: 'Kubernetes: the image that runs `npm:` and `pypi:` packages, stdio servers, and the drain agent beside every server.',
    parse: text,
  }),
  drainGraceMs: setting({
    env: 'MCP_GATEWAY_DRAIN_GRACE_MS',
    fallback: '600000',
    doc: 'Kubernetes: how long a pod that has to go may keep its sessions, in milliseconds (0 to 3,600,000).',
    parse: integer(0, 3_600_000),
  }),
  drainIdleMs: setting({
    env: 'MCP_GATEWAY_DRAIN_IDLE_MS',
    fallback: '30000',
    doc: 'Kubernetes: a pod that has to go is let go when no call of its sessions has come for so long, in milliseconds (0 to 3,600,000).',
    parse: integer(0, 3_600_000),
  }),
  drainTimeoutMs: setting({
    env: 'MCP_GATEWAY_DRAIN_TIMEOUT_MS',
    fallback: '10000',
    doc: 'How long requests in flight may take to end after SIGTERM or SIGINT, in milliseconds (0 to 600,000).',
    parse: integer(0, 600_000),
  }),
};

type Table = typeof settingsTable;

/** The name of a setting: its key in gateway.yaml. */
export type SettingName = keyof Table;

/** What the process runs with: validated, complete and frozen. */
export type Settings = { readonly [Name in SettingName]: Table[Name] extends Setting<infer Value> ? Value : never };

/** The variable that names the file with the settings; it cannot stand in that file. */
export const configFileVariable = 'MCP_GATEWAY_CONFIG';

/** Variables of commands that call a gateway elsewhere; no settings of a gateway. */
export const clientVariables = ['MCP_GATEWAY_URL', 'MCP_GATEWAY_TOKEN', 'MCP_GATEWAY_TOKEN_FILE', 'MCP_GATEWAY_CLIENT_ID'] as const;
