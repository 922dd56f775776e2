// What an MCPBackend has to keep beyond types and limits, for the API server: the rules of src/config in the same words.

import { EXEC_REFUSED, STDIO_NEEDS_COMMAND } from '../../src/config/cluster-rules.ts';
import { REFUSED_VARIABLE } from '../../src/config/env-spec.ts';
import { OCI, PROGRAM } from '../../src/config/image-reference.ts';
import { HEADER_NAME, REFUSED_HEADER_PREFIXES, REFUSED_HEADERS } from '../../src/config/upstream-auth.ts';
import { isAbsoluteUrl, literal, matches, type Rule } from './cel.ts';

/** What JavaScript calls white space, and the end of a C string. */
const hasWhiteSpace = `self.matches(${literal(String.raw`[\s\v\x00\p{Z}\x{feff}]`)})`;
const CLEAR_TEXT = /^http:/i;
/** This machine, as src/core/address-ranges.ts knows it; the rarer ways to write its address are not taken here. */
const LOOPBACK = /^http:\/\/(([^./]+\.)*localhost|127(\.[0-9]{1,3}){3}|\[::1\])\.?(:[0-9]*)?(\/|$)/i;
const PACKAGED = /^(npm|pypi):/;
/** Of git and tarball specs the first `#` is their own; `file:` is none of them. */
const OWN_FRAGMENT = /^(npm|pypi):[a-z+]+:/;
const FILE = /^(npm|pypi):file:/;

const forbidden = (fieldPath: string, rule: string, message: string): Rule => ({
  rule,
  message,
  fieldPath,
  reason: 'FieldValueForbidden',
});

const notWithUrl = (field: string): Rule =>
  forbidden(`.${field}`, `!has(self.url) || !has(self.${field})`, field === 'path' ? 'is part of url' : 'is not used with url');

const spec: readonly Rule[] = [
  {
    rule: 'has(self.image) != has(self.url)',
    message: 'exactly one of image and url is needed',
    messageExpression: "has(self.url) ? 'image and url exclude each other' : 'either image or url is needed'",
    fieldPath: '.image',
  },
  forbidden('.upstreamAuth', '!has(self.upstreamAuth) || has(self.url)', 'is only used with url'),
  forbidden(
    '.upstreamAuth',
    `!has(self.upstreamAuth) || !has(self.url) || !${matches('self.url', CLEAR_TEXT)} || ${matches('self.url', LOOPBACK)}`,
    'needs a url that begins with https://: the secret would be readable on its way (http:// is for this machine only)',
  ),
  ...['args', 'env', 'transport', 'port', 'path', 'replicas', 'resources', 'storage'].map(notWithUrl),
  forbidden('.scaling.max', '!has(self.url) || !has(self.scaling) || !has(self.scaling.max)', 'is not used with url'),
  {
    rule: '!has(self.scaling) || !has(self.scaling.max) || self.scaling.max >= (has(self.replicas) ? self.replicas : 1)',
    message: 'must not be less than replicas',
    fieldPath: '.scaling.max',
  },
  forbidden(
    '.scaling.sessionsPerReplica',
    "!has(self.scaling) || !has(self.scaling.sessionsPerReplica) || !has(self.affinity) || self.affinity != 'none'",
    'affinity: none has no sessions to count; use requestsPerReplica',
  ),
  forbidden(
    '.affinity',
    "!has(self.transport) || self.transport != 'stdio' || !has(self.affinity) || self.affinity != 'none'",
    'none needs a stateless server; transport: stdio runs one process per session',
  ),
  {
    rule: `!has(self.transport) || self.transport != 'stdio' || !has(self.image) || ${matches('self.image', /^(npm|pypi|exec):/)} || (has(self.args) && self.args.size() > 0)`,
    message: STDIO_NEEDS_COMMAND,
    fieldPath: '.args',
    reason: 'FieldValueRequired',
  },
  forbidden(
    '.healthCheck',
    "!has(self.transport) || self.transport != 'stdio' || !has(self.healthCheck) || !has(self.healthCheck.path) || self.healthCheck.path == '/healthz'",
    'path is not used with transport: stdio: the bridge answers at /healthz; { type: mcp } asks the server itself',
  ),
];

const program = (before: RegExp): string => matches('self', new RegExp(`${before.source}(#${PROGRAM.source.slice(1, -1)})?$`));
const afterHash = "self.substring(self.indexOf('#') + 1)";
const bin = `(${matches('self', OWN_FRAGMENT)} && !${matches('self', FILE)} ? ${afterHash}.substring(${afterHash}.indexOf('#') + 1) : ${afterHash})`;

const image: readonly Rule[] = [
  { rule: `!${hasWhiteSpace}`, message: 'must not contain white space' },
  {
    rule: "!self.startsWith('exec:')",
    message: EXEC_REFUSED,
    messageExpression: `self + ${literal(` ${EXEC_REFUSED}`)}`,
    reason: 'FieldValueForbidden',
  },
  { rule: `!self.startsWith('npm:') || ${matches('self', /^npm:[^#-]/)}`, message: 'names no package: npm:@scope/name@1.2.3' },
  { rule: `!self.startsWith('pypi:') || ${matches('self', /^pypi:[^#-]/)}`, message: 'names no package: pypi:name==1.2.3' },
  {
    rule: `!${matches('self', PACKAGED)} || (${matches('self', OWN_FRAGMENT)} && !${matches('self', FILE)} ? !self.contains('#') || ${program(/^[^#]*#[^#]*/)} : ${program(/^[^#]*/)})`,
    message: 'what stands after "#" does not name a program of the package',
    messageExpression: `'"#' + ${bin} + '" does not name a program of the package'`,
  },
  {
    rule: `${matches('self', /^(npm|pypi|exec):/)} || ${hasWhiteSpace} || ${matches('self', OCI)}`,
    message: 'must be npm:…, pypi:…, exec:… or a container image such as ghcr.io/owner/name:tag',
  },
];

const url: readonly Rule[] = [
  { rule: `${isAbsoluteUrl('self')} && url(self).getHost() != ''`, message: 'must be an absolute URL' },
  { rule: `!(${isAbsoluteUrl('self')}) || url(self).getScheme() in ['http', 'https']`, message: 'must begin with http:// or https://' },
  { rule: `!${matches('self', /^[^/?#]*\/\/[^/?#]*@/)}`, message: 'must not contain a user or password: use upstreamAuth' },
  { rule: `!${matches('self', /[?#]/)}`, message: 'must not contain a query or fragment' },
];

/** The refused ones, and those that a server may take for them. */
const refusedHeader = `(?i)^(${[...REFUSED_HEADERS].map(orUnderscore).join('|')})$|^(${REFUSED_HEADER_PREFIXES.map(orUnderscore).join('|')})`;

function orUnderscore(name: string): string {
  return name.replaceAll('-', '[-_]');
}

const header: readonly Rule[] = [
  { rule: matches('self', HEADER_NAME), message: 'must be the name of an HTTP header' },
  {
    rule: `!self.matches(${literal(refusedHeader)})`,
    message: "belongs to the connection, to MCP or to the gateway; use Authorization or a header of the server's own",
    messageExpression: `self + ${literal(" belongs to the connection, to MCP or to the gateway; use Authorization or a header of the server's own")}`,
  },
];

const variable: readonly Rule[] = [
  {
    rule: `!${matches('self.name', REFUSED_VARIABLE)}`,
    message: 'may not be set: it changes which code a process runs',
    messageExpression: "self.name + ' may not be set: it changes which code a process runs'",
    fieldPath: '.name',
  },
  forbidden('.name', "self.name != 'PORT'", 'PORT is assigned by the gateway; use $(PORT) in args or in another variable'),
  { rule: 'has(self.value) != has(self.valueFrom)', message: 'exactly one of value and valueFrom is needed', fieldPath: '.value' },
];

const notAbove = (amount: string): Rule => {
  const [asked, allowed] = [`self.requests.${amount}`, `self.limits.${amount}`];
  const both = `has(self.requests) && has(${asked}) && has(self.limits) && has(${allowed})`;
  const sound = `isQuantity(string(${asked})) && isQuantity(string(${allowed}))`;
  return {
    rule: `!(${both} && ${sound}) || quantity(string(${asked})).compareTo(quantity(string(${allowed}))) <= 0`,
    message: `must not be more than limits.${amount}`,
    fieldPath: `.requests.${amount}`,
  };
};

/** By field of `spec`. */
export const backendRules: Readonly<Record<string, readonly Rule[]>> = {
  '': spec,
  image,
  url,
  'upstreamAuth.header': header,
  'upstreamAuth.valueFrom': [
    {
      rule: 'has(self.secretKeyRef) != has(self.env)',
      message: 'exactly one of secretKeyRef: { name, key } and env: NAME (a variable of the gateway) is needed',
    },
  ],
  'env[]': variable,
  healthCheck: [
    forbidden(
      '.path',
      "!has(self.type) || self.type != 'mcp' || !has(self.path)",
      'is not used with type: mcp (the probe goes to spec.path)',
    ),
  ],
  scaling: [
    {
      rule: '!has(self.max) || has(self.sessionsPerReplica) || has(self.requestsPerReplica)',
      message: 'needs sessionsPerReplica, requestsPerReplica or both',
      fieldPath: '.max',
    },
    {
      rule: 'has(self.max) || !(has(self.sessionsPerReplica) || has(self.requestsPerReplica))',
      message: 'is needed with sessionsPerReplica and requestsPerReplica',
      fieldPath: '.max',
      reason: 'FieldValueRequired',
    },
  ],
  resources: [notAbove('cpu'), notAbove('memory')],
  'storage.path': [
    {
      rule: `!${matches('self', /^\/(tmp|proc|sys|dev)(\/|$)/)}`,
      message: '/tmp, /proc, /sys and /dev are taken: use a folder such as /data',
    },
  ],
  'access.toolScopes': [
    { rule: 'self.all(tool, tool.size() > 0 && tool.size() <= 256)', message: 'names of tools must have 1 to 256 characters' },
  ],
};
