// The schema of the chart's values: what stands in values.yaml, with specs, issuers and settings as src/config takes them.

import { z } from 'zod';
import { backendFields, resourceName } from '../../src/config/backend-spec.ts';
import { issuerSpec } from '../../src/config/issuer-spec.ts';
import { settingsTable } from '../../src/config/settings.ts';
import { tenantSpec } from '../../src/config/tenant-spec.ts';

/** What the chart sets itself, what has a value of its own, and what no pod has. */
const OTHERS_SETTINGS: ReadonlySet<string> = new Set([
  ...['listen', 'home', 'keyFile', 'namespace', 'gatewayNamespace', 'controllerUrl', 'runnerImage', 'tlsCertFile', 'tlsKeyFile'],
  ...['issuers', 'publicUrl', 'redisUrl', 'probes', 'controlListen', 'controllerTokenFile'],
  ...['admin', 'resources', 'envoyBin', 'cacheDir', 'logFile'],
]);

/** A name of Kubernetes, or nothing. */
const secretName = z.string().regex(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$/);
const namespace = z.string().regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
const texts = z.record(z.string(), z.string());
const objects = z.array(z.looseObject({}));
const replicas = z.int().min(1).max(100);
/** As in a container; the API server knows better what is in it. */
const resources = z.strictObject({
  requests: z.looseObject({}).optional(),
  limits: z.looseObject({}).optional(),
  claims: objects.optional(),
});
const image = z.strictObject({
  repository: z.string().min(1),
  tag: z.string(),
  digest: z.string().regex(/^(sha256:[0-9a-f]{64})?$/),
});
const placement = {
  env: z.array(z.looseObject({ name: z.string().min(1) })),
  podAnnotations: texts,
  priorityClassName: z.string(),
  nodeSelector: texts,
  tolerations: objects,
  affinity: z.looseObject({}),
};

const settings = z.strictObject(
  Object.fromEntries(
    Object.entries(settingsTable)
      .filter(([name]) => !OTHERS_SETTINGS.has(name))
      .map(([name, { doc, fallback }]) => {
        const value = /^\d+$/.test(fallback ?? '') ? z.int().min(0) : z.union([z.string(), z.array(z.string())]);
        return [name, value.optional().describe(doc)];
      }),
  ),
);

const values = z.strictObject({
  issuers: z.array(issuerSpec).max(50),
  publicUrl: z.string().regex(/^(https?:\/\/[^?#\s]+)?$/),
  settings,
  backends: z.record(resourceName, backendFields),
  tenants: z.record(resourceName, tenantSpec),
  redis: z.strictObject({ secretName, secretKey: z.string().min(1), embedded: z.boolean() }),
  tls: z.strictObject({ secretName }),
  upstreamSecrets: z.array(secretName.min(1)),
  caBundle: z.strictObject({ configMap: secretName, key: z.string().min(1) }),
  backendNamespace: z.strictObject({ name: namespace, create: z.boolean(), keep: z.boolean() }),
  images: z.strictObject({
    gateway: image,
    runner: image,
    envoy: image,
    redis: image,
    pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']),
    pullSecrets: z.array(secretName.min(1)),
  }),
  gateway: z.strictObject({
    replicas,
    service: z.strictObject({
      type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']),
      annotations: texts,
      loadBalancerClass: z.string(),
      loadBalancerSourceRanges: z.array(z.string()),
      externalTrafficPolicy: z.enum(['', 'Cluster', 'Local']),
    }),
    resources: z.strictObject({ envoy: resources, sidecar: resources }),
    ...placement,
  }),
  controller: z.strictObject({ replicas, resources, ...placement }),
  networkPolicies: z.strictObject({ enabled: z.boolean() }),
  serviceMonitor: z.strictObject({ enabled: z.boolean(), interval: z.string().regex(/^\d+(ms|s|m|h)$/), labels: texts }),
  extraLabels: texts,
  // Helm's own.
  global: z.looseObject({}).optional(),
});

/** JSON text. Defaults are left out: what a value is without one stands in values.yaml, what a spec is in the resource. */
export function valuesSchema(): string {
  const schema = z.toJSONSchema(values, {
    io: 'input',
    unrepresentable: 'any',
    target: 'draft-7',
    override: ({ jsonSchema }) => void delete jsonSchema.default,
  });
  return `${JSON.stringify(schema, undefined, 2)}\n`;
}
