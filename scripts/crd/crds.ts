// The files of k8s/crds: the two custom resources, from the schemas of src/config.

import { stringify } from 'yaml';
import { backendFields } from '../../src/config/backend-spec.ts';
import { tenantSpec } from '../../src/config/tenant-spec.ts';
import { backendRules } from './backend-rules.ts';
import { age, definitionOf } from './definition.ts';
import { backendStatus, tenantStatus } from './status.ts';
import { structuralSchema } from './structural-schema.ts';
import { tenantRules } from './tenant-rules.ts';

const READY = '.status.conditions[?(@.type=="Ready")].status';
const secretKeyRef = { 'x-kubernetes-map-type': 'atomic' };

/** `spec` of each kind. */
export const backendSchema = structuralSchema(backendFields, {
  description: 'How to run or reach the server, and who may use it.',
  rules: backendRules,
  // Next to url they may not be given at all.
  withoutDefault: new Set(['transport', 'port', 'path', 'replicas']),
  keywords: {
    env: { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] },
    'env[].valueFrom.secretKeyRef': secretKeyRef,
    'upstreamAuth.valueFrom.secretKeyRef': secretKeyRef,
    'access.toolScopes': { maxProperties: 128 },
  },
});

export const tenantSchema = structuralSchema(tenantSpec, {
  description: 'Whose callers these are, and what they may use up.',
  rules: tenantRules,
  withoutDefault: new Set(),
  keywords: {},
});

const backend = definitionOf({
  kind: 'MCPBackend',
  shortName: 'mcpb',
  description: 'One MCP server behind the gateway: how to run or reach it, and who may use it.',
  columns: [
    { name: 'Image', type: 'string', jsonPath: '.spec.image' },
    { name: 'URL', type: 'string', jsonPath: '.spec.url', priority: 1, description: 'Where a server that runs elsewhere is.' },
    { name: 'Ready', type: 'string', jsonPath: READY },
    { name: 'Replicas', type: 'integer', jsonPath: '.status.readyReplicas', description: 'Instances that take requests.' },
    { name: 'Sessions', type: 'integer', jsonPath: '.status.sessions', description: 'Open sessions.' },
    age,
    { name: 'Message', type: 'string', jsonPath: '.status.message', priority: 1, description: 'What is under way or wrong.' },
  ],
  spec: backendSchema,
  status: backendStatus,
  subresources: {
    status: {},
    scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.status.selector' },
  },
});

const tenant = definitionOf({
  kind: 'MCPTenant',
  shortName: 'mcpt',
  description: 'Callers that belong together, and what they may use up.',
  columns: [
    { name: 'Priority', type: 'integer', jsonPath: '.spec.priority' },
    { name: 'Ready', type: 'string', jsonPath: READY, priority: 1 },
    age,
  ],
  spec: tenantSchema,
  status: tenantStatus,
  subresources: { status: {} },
});

const HEADER = '# Generated from src/config and scripts/crd by `npm run docs`: change it there.\n';
const written = (definition: object): string => `${HEADER}${stringify(definition, { lineWidth: 0, aliasDuplicateObjects: false })}`;

export const crdFiles: readonly { readonly file: string; readonly content: string }[] = [
  { file: 'k8s/crds/mcpgateway.dev_mcpbackends.yaml', content: written(backend) },
  { file: 'k8s/crds/mcpgateway.dev_mcptenants.yaml', content: written(tenant) },
];
