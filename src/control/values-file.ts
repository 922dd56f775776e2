// The values file of the Helm chart: what a gateway has declared, in the form that `helm template` takes, with what has to be done besides.

import { Document, isMap, type Scalar } from 'yaml';
import type { IssuerSpec } from '../config/issuer-spec.ts';
import { backendText, issuerText, type SpecText, tenantText } from '../config/resource-text.ts';
import type { BackendResource, TenantResource } from '../config/resources.ts';
import { isLoopbackHost } from '../core/address-ranges.ts';
import { type NeededSecret, neededSecrets, withoutValues } from './values-secrets.ts';

/** In a checkout of this project. */
const CHART = 'k8s/chart';
const REDIS_SECRET = 'mcp-gateway-redis';
const PLACEHOLDER_URL = 'https://mcp.example.com';
const FILE = 'values.yaml';

export interface ValuesInput {
  readonly issuers: readonly IssuerSpec[];
  readonly publicUrl: string | undefined;
  /** Of gateways. */
  readonly replicas: number;
  /** Whether they are to share limits and session records. */
  readonly redis: boolean;
  /** Further settings that are not as they are by default. */
  readonly settings: Readonly<Record<string, unknown>>;
  readonly backends: readonly BackendResource[];
  readonly tenants: readonly TenantResource[];
  /** Of backends, and of the gateway itself. */
  readonly namespace: string;
  readonly gatewayNamespace: string;
}

export interface HelmValues {
  /** YAML text. */
  readonly values: string;
  /** What installs or changes the release, when the text is in `values.yaml`. */
  readonly command: string;
  /** Secrets that have to be made: no value of a variable is written down. */
  readonly secrets: readonly NeededSecret[];
  /** What was left out, and what has to be looked at. */
  readonly notes: readonly string[];
}

export function helmValues(input: ValuesInput): HelmValues {
  const { issuers, publicUrl, replicas, redis, settings, tenants, namespace, gatewayNamespace } = input;
  const backends = input.backends.filter(({ spec }) => spec.image?.kind !== 'exec');
  const written = backends.map((backend) => ({ backend, ...withoutValues(backend, backendText(backend.spec)) }));
  const shared = redis || replicas > 1;
  const url = publicUrl ?? (issuers.length > 0 ? PLACEHOLDER_URL : undefined);
  const upstream = written.flatMap((each) => each.upstream);
  const command = `helm upgrade --install mcp-gateway ${CHART} --namespace ${gatewayNamespace} --create-namespace --values ${FILE}`;
  // Helm reads YAML 1.1: `on` and `yes` have to be in quotes there.
  const document = new Document(
    {
      issuers: issuers.map(issuerText),
      ...(url !== undefined && { publicUrl: url }),
      ...(Object.keys(settings).length > 0 && { settings }),
      tenants: byName(tenants.map(({ name, spec }) => [name, tenantText(spec)])),
      backends: byName(written.map(({ backend, spec }) => [backend.name, spec])),
      ...(upstream.length > 0 && { upstreamSecrets: [...new Set(upstream.map(({ name }) => name))] }),
      gateway: { replicas },
      ...(shared && { redis: { secretName: REDIS_SECRET } }),
      ...(namespace !== 'mcp' && { backendNamespace: { name: namespace } }),
    },
    { version: '1.1' },
  );
  const secrets = [
    ...neededSecrets(gatewayNamespace, [...(shared ? [{ name: REDIS_SECRET, key: 'url' }] : []), ...upstream]),
    ...neededSecrets(
      namespace,
      written.flatMap(({ env }) => env),
    ),
  ];
  document.commentBefore = [
    ' Values of the Helm chart mcp-gateway, made by `mcp-gateway values`. To install or change it:',
    `   ${command}`,
    ...(secrets.length > 0 ? [' Then make these Secrets; what needs them waits for them:'] : []),
    ...secrets.map((secret) => `   ${secret.command}`),
  ].join('\n');
  for (const { backend, replaced } of written) {
    if (replaced.length === 0) continue;
    comment(
      document,
      ['backends', backend.name],
      ` Values are not written down: put ${replaced.join(', ')} into the Secret ${backend.name}.`,
    );
  }
  if (issuers.length === 0) comment(document, ['issuers'], NO_ISSUERS);
  comment(document, ['gateway'], EXPOSE);
  return { values: document.toString({ lineWidth: 140 }), command, secrets, notes: notesOn(input) };
}

const NO_ISSUERS = ' Without issuers no token is asked for, and only the pod itself may connect: kubectl port-forward.';
const EXPOSE =
  ' With issuers, `service: { type: LoadBalancer }` makes it reachable; `tls: { secretName: … }` at the top level makes it speak TLS.';

function notesOn({ issuers, publicUrl, backends, tenants }: ValuesInput): string[] {
  const notes: string[] = [];
  if (issuers.length > 0 && publicUrl === undefined) notes.push(`publicUrl is a placeholder: put the URL of your gateway in its place`);
  if (issuers.length === 0) notes.push('there are no issuers: the gateway can be reached by kubectl port-forward only');
  const known = new Set<string>(tenants.map(({ name }) => name));
  for (const { name, spec } of backends) {
    const { image, url, access } = spec;
    if (image?.kind === 'exec') {
      notes.push(`${name} is left out: ${image.text} is a program of this machine; build a container image of it`);
      continue;
    }
    if (url !== undefined && isLoopbackHost(new URL(url).hostname)) {
      notes.push(`${name}: ${url} is on this machine, where a cluster does not find it`);
    }
    if (issuers.length === 0) continue;
    if (access === undefined) notes.push(`${name} has no access rules: only administrators may use it`);
    const unknown = (access?.tenants ?? []).filter((tenant) => tenant !== '*' && !known.has(tenant) && tenants.length > 0);
    if (unknown.length > 0) notes.push(`${name} is for ${unknown.join(', ')}, which is not among the tenants`);
  }
  notes.push('the images are the ones that you build from the Containerfile: see images in the values of the chart');
  return notes;
}

/** Names in their order: the same input gives the same file. */
function byName(entries: readonly (readonly [string, SpecText])[]): Record<string, SpecText> {
  return Object.fromEntries(entries.toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** Puts a comment in front of a key. */
function comment(document: Document, path: readonly string[], text: string): void {
  const map = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (!isMap(map)) return;
  const pair = map.items.find(({ key }) => (key as Scalar).value === path.at(-1));
  if (pair) (pair.key as Scalar).commentBefore = text;
}
