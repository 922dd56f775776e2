// Who may do what: every verb on every resource is asked for, and exactly what the table says is allowed.

import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTransport, type Transport } from '../../src/runtime/k8s/transport.ts';
import { type ApiServer, startApiServer } from './api-server.ts';
import { isFirst, kustomized } from './renderings.ts';

const VERBS = ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'] as const;
const NAMESPACES = ['mcp', 'mcp-gateway', 'default', 'kube-system', undefined];
const AT_ONCE = 40;

let server: ApiServer;
let transport: Transport;
beforeAll(async () => {
  server = await startApiServer();
  const manifests = await kustomized('k8s');
  await server.kubectl.apply(manifests.filter(isFirst));
  await server.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
  await server.kubectl.apply(manifests);
  transport = await openTransport({ kubeconfig: server.kubeconfig });
}, 180_000);
afterAll(async () => {
  transport?.close();
  await server?.stop();
});

interface Question {
  readonly namespace: string | undefined;
  readonly group: string;
  readonly resource: string;
  readonly subresource?: string;
  readonly name?: string;
  readonly verb: string;
}

async function isAllowed(account: string, { namespace = '', ...asked }: Question): Promise<boolean> {
  const [home = ''] = account.split(':');
  const answer = (await transport.ask({
    ...{ method: 'POST', path: '/apis/authorization.k8s.io/v1/subjectaccessreviews', signal: AbortSignal.timeout(30_000) },
    body: {
      ...{ apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview' },
      spec: {
        user: `system:serviceaccount:${account}`,
        groups: ['system:serviceaccounts', `system:serviceaccounts:${home}`, 'system:authenticated'],
        resourceAttributes: { namespace, ...asked },
      },
    },
  })) as { readonly status: { readonly allowed: boolean } };
  return answer.status.allowed;
}

/** Every resource that the API server has, subresources included. */
async function resources(): Promise<Pick<Question, 'group' | 'resource' | 'subresource'>[]> {
  const ask = (path: string) => transport.ask({ method: 'GET', path, signal: AbortSignal.timeout(30_000) });
  const { groups } = (await ask('/apis')) as { groups: { name: string; preferredVersion: { groupVersion: string } }[] };
  const places = [
    { group: '', path: '/api/v1' },
    ...groups.map(({ name, preferredVersion }) => ({ group: name, path: `/apis/${preferredVersion.groupVersion}` })),
  ];
  const lists = await Promise.all(
    places.map(async ({ group, path }) => {
      const list = (await ask(path)) as { readonly resources: readonly { readonly name: string }[] };
      return list.resources.map(({ name }) => {
        const [resource = '', subresource] = name.split('/');
        return { group, resource, ...(subresource !== undefined && { subresource }) };
      });
    }),
  );
  return lists.flat();
}

/** `namespace group/resource/subresource: verbs`, in order. */
async function allowed(account: string, name?: string): Promise<string[]> {
  const questions = (await resources()).flatMap((each) =>
    NAMESPACES.flatMap((namespace) => VERBS.map((verb): Question => ({ ...each, namespace, verb, ...(name !== undefined && { name }) }))),
  );
  const found = new Map<string, string[]>();
  for (let from = 0; from < questions.length; from += AT_ONCE) {
    await Promise.all(
      questions.slice(from, from + AT_ONCE).map(async (question) => {
        if (!(await isAllowed(account, question))) return;
        const { namespace = 'everywhere', group, resource, subresource, verb } = question;
        const key = `${namespace} ${[resource, subresource].filter(Boolean).join('/')}${group === '' ? '' : `.${group}`}`;
        found.set(key, [...(found.get(key) ?? []), verb]);
      }),
    );
  }
  const inOrder = (verbs: readonly string[]) => VERBS.filter((verb) => verbs.includes(verb)).join(' ');
  return [...found].map(([key, verbs]) => `${key}: ${inOrder(verbs)}`).toSorted();
}

/** Without what every account may do. */
async function granted(account: string, name?: string): Promise<string[]> {
  const everybody = new Set(await allowed('default:somebody', name));
  return (await allowed(account, name)).filter((line) => !everybody.has(line));
}

const READ = 'get list watch';
const OWN = 'get list watch create update patch delete';

test('the gateway looks, and does nothing else', { timeout: 120_000 }, async () => {
  const expected = [
    `mcp endpointslices.discovery.k8s.io: ${READ}`,
    `mcp mcpbackends.mcpgateway.dev: ${READ}`,
    `mcp mcptenants.mcpgateway.dev: ${READ}`,
    `mcp pods: ${READ}`,
  ];
  expect(await granted('mcp-gateway:mcp-gateway')).toEqual(expected);
  expect(await granted('mcp-gateway:mcp-gateway', 'mcp-gateway-keys')).toEqual(expected);
});

const controller = [
  `everywhere tokenreviews.authentication.k8s.io: create`,
  `mcp deployments.apps: ${OWN}`,
  `mcp endpointslices.discovery.k8s.io: ${READ}`,
  `mcp events.events.k8s.io: create patch`,
  `mcp mcpbackends.mcpgateway.dev: ${OWN}`,
  `mcp mcpbackends/status.mcpgateway.dev: get update patch`,
  `mcp mcptenants.mcpgateway.dev: ${OWN}`,
  `mcp mcptenants/status.mcpgateway.dev: get update patch`,
  `mcp networkpolicies.networking.k8s.io: ${OWN}`,
  `mcp poddisruptionbudgets.policy: ${OWN}`,
  `mcp pods/log: get`,
  `mcp pods: ${READ} patch`,
  `mcp secrets: get create update patch delete`,
  `mcp serviceaccounts: ${OWN}`,
  `mcp services: ${OWN}`,
  `mcp statefulsets.apps: ${OWN}`,
  // A review of a token has no namespace: it is asked for in each.
  ...['default', 'kube-system', 'mcp', 'mcp-gateway'].map((namespace) => `${namespace} tokenreviews.authentication.k8s.io: create`),
];

test('the controller does what it has to, and only where it has to', { timeout: 120_000 }, async () => {
  const makes = ['mcp-gateway leases.coordination.k8s.io: create', 'mcp-gateway secrets: create'];
  expect(await granted('mcp-gateway:mcp-gateway-controller')).toEqual([...controller, ...makes].toSorted());
});

test.each([
  ['mcp-gateway-keys', 'secrets'],
  ['mcp-gateway-token', 'secrets'],
  ['mcp-gateway-controller', 'leases.coordination.k8s.io'],
])('of its own namespace it knows %s', { timeout: 120_000 }, async (name, resource) => {
  const makes = ['leases.coordination.k8s.io', 'secrets'].map(
    (each) => `mcp-gateway ${each}: ${each === resource ? 'get create update patch' : 'create'}`,
  );
  expect(await granted('mcp-gateway:mcp-gateway-controller', name)).toEqual([...controller, ...makes].toSorted());
});

test('accounts of backends may do nothing', { timeout: 120_000 }, async () => {
  expect(await granted('mcp:github')).toEqual([]);
});
