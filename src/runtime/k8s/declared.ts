// An MCPBackend or MCPTenant as the API server returns it, read by the same rules as a file.

import { type BackendResource, CREATED_BY, formatProblem, parseResource, type TenantResource } from '../../config/resources.ts';
import { apiVersionOf, type KubeObject, type KubeResource, MCP_BACKENDS, MCP_TENANTS } from './objects.ts';

/** The resource, or why it makes no sense, in one line. */
export function backendOf(object: KubeObject): BackendResource | string {
  const read = resourceOf(object, MCP_BACKENDS);
  return typeof read === 'string' || read.kind === 'MCPBackend' ? read : 'is no MCPBackend';
}

/** The resource, or why it makes no sense, in one line. */
export function tenantOf(object: KubeObject): TenantResource | string {
  const read = resourceOf(object, MCP_TENANTS);
  return typeof read === 'string' || read.kind === 'MCPTenant' ? read : 'is no MCPTenant';
}

/** What the API server adds to an object is no business of the schema's. */
function resourceOf({ metadata, spec }: KubeObject, kind: KubeResource): BackendResource | TenantResource | string {
  const { name, annotations } = metadata;
  const input = { apiVersion: apiVersionOf(kind), kind: kind.kind, metadata: { name, ...(annotations && { annotations }) }, spec };
  const read = parseResource(input, { file: '', label: name });
  if (!('kind' in read)) return read.map((problem) => formatProblem({ ...problem, resource: '' })).join('; ');
  // Who may use kubectl here may run anything; who came by API may not reach what is near.
  return annotations?.[CREATED_BY] === undefined ? read : { ...read, origin: 'api' };
}
