// A resource as it is written down: what the files, the API and Kubernetes have in common before anything is validated.

import { API_VERSION } from './resources.ts';

/** Annotations that the control plane writes, besides the creator's. Times are ISO 8601. */
export const CREATED_AT = 'mcpgateway.dev/created-at';
export const UPDATED_AT = 'mcpgateway.dev/updated-at';
export const DESCRIPTION = 'mcpgateway.dev/description';

export interface ResourceDocument {
  readonly apiVersion: typeof API_VERSION;
  readonly kind: 'MCPBackend' | 'MCPTenant';
  readonly metadata: { readonly name: string; readonly annotations?: Readonly<Record<string, string>> };
  /** As somebody wrote it: durations are text, defaults are absent. */
  readonly spec: Readonly<Record<string, unknown>>;
}

export function documentOf(
  kind: ResourceDocument['kind'],
  name: string,
  spec: ResourceDocument['spec'],
  annotations: Readonly<Record<string, string | undefined>> = {},
): ResourceDocument {
  const given = Object.entries(annotations).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { apiVersion: API_VERSION, kind, metadata: { name, annotations: Object.fromEntries(given) }, spec };
}
