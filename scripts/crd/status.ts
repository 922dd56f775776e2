// What the controller says of backends and tenants, in `status`.

import type { Structural } from './structural-schema.ts';

const text = (maxLength: number, description: string): Structural => ({ type: 'string', maxLength, description });
const count = (description: string): Structural => ({ type: 'integer', format: 'int32', minimum: 0, description });

/** As metav1.Condition has it. */
const condition: Structural = {
  type: 'object',
  required: ['lastTransitionTime', 'message', 'reason', 'status', 'type'],
  properties: {
    type: { ...text(316, 'What it is about.'), pattern: '^([a-z0-9.-]+/)?[A-Za-z0-9][A-Za-z0-9_.-]*$' },
    status: { type: 'string', enum: ['True', 'False', 'Unknown'], description: 'Whether it is so.' },
    observedGeneration: { type: 'integer', format: 'int64', minimum: 0, description: 'The metadata.generation that this was said of.' },
    lastTransitionTime: { type: 'string', format: 'date-time', description: 'Since when it is so.' },
    reason: { ...text(1024, 'Why, in one word for programs.'), minLength: 1, pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$' },
    message: text(32_768, 'Why, in words for people; may be empty.'),
  },
};

const conditions = (types: string): Structural => ({
  type: 'array',
  maxItems: 16,
  description: `How things stand: ${types}.`,
  'x-kubernetes-list-type': 'map',
  'x-kubernetes-list-map-keys': ['type'],
  items: condition,
});

const observedGeneration: Structural = {
  type: 'integer',
  format: 'int64',
  minimum: 0,
  description: 'The metadata.generation that the status is about.',
};

export const backendStatus: Structural = {
  type: 'object',
  description: 'What the controller says of the backend.',
  properties: {
    observedGeneration,
    replicas: count('How many instances there are.'),
    readyReplicas: count('How many of them take requests.'),
    updatedReplicas: count('How many of them are of the present spec.'),
    sessions: count('How many sessions are open on them.'),
    url: text(2048, 'Where MCP clients connect.'),
    message: text(32_768, 'What is under way or wrong, in words; may be empty.'),
    selector: text(1024, 'The label selector of the instances, for kubectl scale and autoscalers.'),
    conditions: conditions('Ready, Progressing, Degraded'),
  },
};

export const tenantStatus: Structural = {
  type: 'object',
  description: 'What the controller says of the tenant.',
  properties: { observedGeneration, conditions: conditions('Ready') },
};
