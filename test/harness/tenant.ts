// MCPTenants as resource files for a gateway under test.

/** A file for `startGateway`. `spec` as a user would write it. */
export function tenant(name: string, spec: Readonly<Record<string, unknown>>): { readonly file: string; readonly yaml: string } {
  const resource = { apiVersion: 'mcpgateway.dev/v1alpha1', kind: 'MCPTenant', metadata: { name }, spec };
  return { file: `tenant-${name}.yaml`, yaml: JSON.stringify(resource) };
}
