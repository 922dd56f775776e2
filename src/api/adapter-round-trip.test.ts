// What GET shows of a backend is what PUT takes: sent back as it is, it changes nothing, whatever was registered.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { documentOf } from '../config/resource-document.ts';
import type { BackendResource } from '../config/resources.ts';
import { readAdapterData, specOf } from '../control/adapter-data.ts';
import { viewOf } from '../control/backend-view.ts';
import { type Registered, registered } from '../control/registry.ts';
import { readTenantData } from '../control/tenant-data.ts';
import { detailOf } from '../control/tenant-view.ts';
import { toTenantPolicy } from '../runtime/policy.ts';
import { adapterOf } from './adapter-operations.ts';
import { adapter, tenantDetail } from './schemas.ts';

const NAME = 'one';
const ANY = { requiredKeys: [] };

const word = fc.stringMatching(/^[a-z]{1,6}$/);
const words = fc.array(word, { maxLength: 3 });
const duration = fc.constantFrom('1s', '1500ms', '60m', '24h', '7d');
const toolRules = fc.record({ allow: words, deny: words }, ANY);
const access = fc.record(
  { tenants: words, roles: words, scopes: words, toolScopes: fc.dictionary(word, words, { maxKeys: 2 }), tools: toolRules },
  ANY,
);
const common = {
  description: fc.string({ maxLength: 20 }),
  affinity: fc.constantFrom('session', 'none'),
  healthCheck: fc.constantFrom({ type: 'mcp' }, { type: 'http', path: '/up' }, { path: '/healthz' }, {}, null),
  sessionRules: fc.record({ recovery: fc.constantFrom('reinitialize', 'fail'), idleTimeout: duration, maxAge: duration }, ANY),
  scaling: fc.record({ toZeroAfter: duration, startTimeout: duration }, ANY),
  access: fc.option(access),
  trustToolHints: fc.boolean(),
};
const growth = { max: fc.constant(9), requestsPerReplica: fc.constantFrom(1, 20) };
const amounts = fc.record({ cpu: fc.constantFrom(1, '1500m', '2'), memory: fc.constant('1Gi') }, ANY);
const remote = fc.record(
  {
    image: fc.constantFrom(
      'https://mcp.example.com',
      'https://mcp.example.com:443/a',
      'https://MCP.example.com/a/../b',
      'http://localhost:1/',
    ),
    upstreamAuth: fc.constantFrom(
      { header: 'Authorization', prefix: 'Bearer ', valueFrom: { secretKeyRef: { name: NAME, key: 'token' } } },
      null,
    ),
    ...common,
  },
  { requiredKeys: ['image'] },
);
const here = fc.record(
  {
    image: fc.constantFrom(
      'npm:@a/b@1.0.0',
      'npm:b@1.0.0#bin',
      'pypi:c==1.0',
      'ghcr.io/a/b:0.9',
      'ghcr.io/a/b',
      `a/b:1@sha256:${'0'.repeat(64)}`,
    ),
    environmentVariables: fc.dictionary(
      fc.stringMatching(/^APP_[A-Z_]{0,5}X$/),
      fc.string({ maxLength: 10 }).map((text) => `hidden ${text}`),
      { maxKeys: 4 },
    ),
    args: fc.array(fc.string({ maxLength: 10 }), { maxLength: 3 }),
    port: fc.integer({ min: 1, max: 65_535 }),
    path: fc.constantFrom('/', '/mcp', '/a/b'),
    replicaCount: fc.integer({ min: 0, max: 5 }),
    requiredRoles: words,
    ...common,
    scaling: fc.oneof(common.scaling, fc.record({ toZeroAfter: duration, ...growth }, { requiredKeys: ['max', 'requestsPerReplica'] })),
    resources: fc.option(fc.oneof(fc.record({ requests: amounts }), fc.record({ limits: amounts }))),
    storage: fc.option(fc.record({ size: fc.constant('5Gi'), path: fc.constant('/graph'), storageClass: word }, ANY)),
  },
  { requiredKeys: ['image'] },
);

function register(body: Record<string, unknown>, present?: Registered): Registered {
  const data = readAdapterData(body, NAME);
  return registered(documentOf('MCPBackend', NAME, specOf(data, present?.document)), '/registry/one.json');
}

const resourceOf = ({ resource }: Registered): BackendResource => resource as BackendResource;

function shown(known: Registered): Record<string, unknown> {
  const view = viewOf(resourceOf(known), { known: undefined, counts: undefined, registered: known, baseUrl: 'http://localhost' });
  return JSON.parse(JSON.stringify(adapterOf(view))) as Record<string, unknown>;
}

test('a backend sent back as it was shown is the same', () => {
  fc.assert(
    fc.property(fc.oneof(remote, here), (body) => {
      // Roles are given in one place or the other.
      const given: Record<string, unknown> = { ...body };
      if ((given['access'] as { roles?: unknown } | null | undefined)?.roles) delete given['requiredRoles'];
      const first = register(given);
      const answer = shown(first);
      expect(adapter.strict().safeParse(answer).error?.issues).toBeUndefined();
      expect(JSON.stringify(answer)).not.toContain('hidden');
      const second = register(answer, first);
      expect(second.resource).toEqual(first.resource);
      expect(shown(second)).toEqual({ ...answer, revision: second.revision, description: '' });
      // Nor does the third time, not even in how it is written down.
      expect(register(shown(second), second).document).toEqual(second.document);
    }),
  );
});

test('a client of Microsoft’s gateway sends back what it knows, and changes that alone', () => {
  const first = register({ image: 'npm:@a/b@1.0.0', environmentVariables: { A: 'a', B: 'b' }, requiredRoles: ['dev'], port: 9000 });
  const { name, imageName, environmentVariables, replicaCount, description, useWorkloadIdentity, requiredRoles } = shown(first);
  const known = { name, imageName, environmentVariables, replicaCount, description, useWorkloadIdentity, requiredRoles };
  const { spec } = resourceOf(register({ ...known, imageVersion: '1.0.1' }, first));
  expect([spec.image?.text, spec.env, spec.access?.roles]).toEqual([
    'npm:@a/b@1.0.1',
    [
      { name: 'A', value: 'a' },
      { name: 'B', value: 'b' },
    ],
    ['dev'],
  ]);
});

test('a tenant sent back as it was shown is the same', () => {
  const quota = fc.record(
    { requests: fc.nat(), per: duration, scope: fc.constantFrom('tenant', 'subject'), backend: word, tool: word, countAll: fc.boolean() },
    { requiredKeys: ['requests', 'per'] },
  );
  const body = fc.record(
    {
      priority: fc.integer({ min: -5, max: 5 }),
      match: fc.array(
        fc.record({ issuer: fc.constant('https://login.example.com/'), claim: word, values: fc.array(word, { minLength: 1 }) }),
      ),
      tools: toolRules,
      quotas: fc.array(quota, { maxLength: 1 }),
      limits: fc.record({ sessions: fc.nat(), concurrentRequests: fc.nat() }, ANY),
      audit: fc.record({ arguments: fc.boolean() }),
      onOutage: fc.constantFrom('allow-local', 'deny'),
    },
    ANY,
  );
  const put = (data: unknown) => {
    const { name: _, ...spec } = readTenantData(data, NAME);
    const { resource } = registered(documentOf('MCPTenant', NAME, spec), '/registry/one.json');
    if (resource.kind !== 'MCPTenant') throw new Error('no tenant');
    return toTenantPolicy(resource);
  };
  fc.assert(
    fc.property(body, (data) => {
      const policy = put(data);
      const detail = detailOf(
        policy,
        { source: 'api', revision: 'r' },
        { windows: [], usage: { windows: [], concurrent: 1, sessions: 2 } },
      );
      const answer = JSON.parse(JSON.stringify(detail)) as unknown;
      expect(tenantDetail.strict().safeParse(answer).error?.issues).toBeUndefined();
      expect(put(answer)).toEqual(policy);
    }),
  );
});
