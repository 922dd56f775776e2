// A CustomResourceDefinition of mcpgateway.dev as a document.

import { API_VERSION } from '../../src/config/resources.ts';
import type { Rule } from './cel.ts';
import type { Structural } from './structural-schema.ts';

/** A column of `kubectl get`; those of priority 1 are shown with `-o wide`. */
export interface Column {
  readonly name: string;
  readonly type: 'string' | 'integer' | 'date';
  readonly jsonPath: string;
  readonly priority?: 1;
  readonly description?: string;
}

export interface DefinitionOptions {
  readonly kind: string;
  readonly shortName: string;
  readonly description: string;
  readonly columns: readonly Column[];
  readonly spec: Structural;
  readonly status: Structural;
  readonly subresources: Readonly<Record<string, unknown>>;
}

/** Kubernetes objects are called after the resource, with suffixes. */
const nameRules: readonly Rule[] = [
  { rule: 'self.metadata.name.size() <= 50', message: 'must have at most 50 characters', fieldPath: '.metadata.name' },
  {
    rule: "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
    message: 'must start with a letter and contain only a-z, 0-9 and "-", not at the end (DNS-1035)',
    fieldPath: '.metadata.name',
  },
];

export const age: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

export function definitionOf({ kind, shortName, description, columns, spec, status, subresources }: DefinitionOptions): object {
  const [group = '', version = ''] = API_VERSION.split('/');
  const singular = kind.toLowerCase();
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${singular}s.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { kind, listKind: `${kind}List`, plural: `${singular}s`, singular, shortNames: [shortName], categories: ['mcp'] },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources,
          additionalPrinterColumns: columns,
          schema: {
            openAPIV3Schema: {
              type: 'object',
              description,
              required: ['spec'],
              properties: {
                apiVersion: { type: 'string', description: `Always ${API_VERSION}.` },
                kind: { type: 'string', description: `Always ${kind}.` },
                metadata: { type: 'object', properties: { name: { type: 'string' } } },
                spec,
                status,
              },
              'x-kubernetes-validations': nameRules,
            },
          },
        },
      ],
    },
  };
}
