// Resources as the control plane takes them: MCPBackend and MCPTenant of mcpgateway.dev/v1alpha1, validated with all errors at once.

import { z } from 'zod';
import type { BackendName, TenantId } from '../core/ids.ts';
import { type BackendSpec, backendSpec, resourceName } from './backend-spec.ts';
import { type TenantSpec, tenantSpec } from './tenant-spec.ts';

/** The only `apiVersion` that is understood. */
export const API_VERSION = 'mcpgateway.dev/v1alpha1';
/** Written by the control plane: `issuer subject` of the caller who registered the backend, who may always use it. */
export const CREATED_BY = 'mcpgateway.dev/created-by';
/** Of one resource: more would only repeat the same mistake. */
const MAX_PROBLEMS_PER_RESOURCE = 50;

/** One MCP server as declared. `file` is absolute: relative `exec:` paths start at its folder. */
export interface BackendResource {
  readonly kind: 'MCPBackend';
  readonly name: BackendName;
  readonly file: string;
  readonly spec: BackendSpec;
  /** `issuer subject` of whoever registered it, from its annotation. */
  readonly creator: string | undefined;
  /** Whoever owns the files may name anything; what comes by API may not reach this machine and its network. Default: `file`. */
  readonly origin?: 'file' | 'api';
}

/** One tenant as declared. */
export interface TenantResource {
  readonly kind: 'MCPTenant';
  readonly name: TenantId;
  readonly file: string;
  readonly spec: TenantSpec;
  /** Default: `file`. */
  readonly origin?: 'file' | 'api';
}

export type Resource = BackendResource | TenantResource;

/** Something wrong with a resource or its file. `resource` is `Kind/name` as far as they are known, `path` the field, e.g. `spec.env.0.name`. */
export interface ResourceProblem {
  readonly file: string;
  readonly resource: string;
  readonly path: string;
  readonly message: string;
}

/** A problem as one line for people. */
export function formatProblem({ file, resource, path, message }: ResourceProblem): string {
  return [file, resource, path, message].filter((part) => part !== '').join(': ');
}

const textMap = z.record(z.string(), z.string());
const metadata = z.strictObject({
  name: resourceName,
  namespace: z.string().optional(),
  labels: textMap.optional(),
  annotations: textMap.optional(),
});
const apiVersion = z.literal(API_VERSION, { error: `must be ${API_VERSION}` });
const schemas = {
  MCPBackend: z.strictObject({ apiVersion, kind: z.literal('MCPBackend'), metadata, spec: backendSpec }),
  MCPTenant: z.strictObject({ apiVersion, kind: z.literal('MCPTenant'), metadata, spec: tenantSpec }),
} as const;

/**
 * Validates one parsed document. `label` names it while its own name is unknown (for example `document 2`).
 * Either a resource, or every problem it has.
 */
export function parseResource(input: unknown, { file, label }: { file: string; label: string }): Resource | readonly ResourceProblem[] {
  const resource = describe(input, label);
  const kind = typeof input === 'object' && input !== null ? (input as { kind?: unknown }).kind : undefined;
  if (kind !== 'MCPBackend' && kind !== 'MCPTenant') {
    return [{ file, resource, path: 'kind', message: 'must be MCPBackend or MCPTenant' }];
  }
  if (kind === 'MCPBackend') {
    const parsed = schemas.MCPBackend.safeParse(input);
    return parsed.success
      ? {
          kind,
          name: parsed.data.metadata.name as BackendName,
          file,
          spec: parsed.data.spec,
          creator: parsed.data.metadata.annotations?.[CREATED_BY],
        }
      : problems(parsed.error, { file, resource });
  }
  const parsed = schemas.MCPTenant.safeParse(input);
  return parsed.success
    ? { kind, name: parsed.data.metadata.name as TenantId, file, spec: parsed.data.spec }
    : problems(parsed.error, { file, resource });
}

function problems(error: z.ZodError, { file, resource }: { file: string; resource: string }): ResourceProblem[] {
  const found = error.issues.flatMap((issue) => {
    const path = issue.path.map(String);
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ file, resource, path: [...path, key].join('.'), message: 'unknown field' }));
    }
    return [{ file, resource, path: path.join('.'), message: issue.message }];
  });
  return found.slice(0, MAX_PROBLEMS_PER_RESOURCE);
}

function describe(input: unknown, label: string): string {
  const { kind, metadata } = (typeof input === 'object' && input !== null ? input : {}) as {
    kind?: unknown;
    metadata?: { name?: unknown };
  };
  const name = typeof metadata?.name === 'string' ? metadata.name.slice(0, 64) : undefined;
  return typeof kind === 'string' && name !== undefined ? `${kind.slice(0, 64)}/${name}` : label;
}
