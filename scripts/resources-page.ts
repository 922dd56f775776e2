// Renders the fields of MCPBackend and MCPTenant as the page docs/resources.md.

import { backendSchema, tenantSchema } from './crd/crds.ts';
import type { Structural } from './crd/structural-schema.ts';

/** Markdown, the same for the same schemas. */
export function resourcesPage(): string {
  return `# Resources

<!-- Generated from src/config and scripts/resources-page.ts by \`npm run docs\`: change it there. -->

Backends and tenants are declared as resources of \`mcpgateway.dev/v1alpha1\`: in files of the folder \`resources\` on one machine, as custom
resources in a cluster. The same file works in both. Names are lower-case letters, digits and "-", at most 50 characters. Everything that is wrong with a resource is said at
once; an unknown field is a mistake. Durations are a number and a unit: \`500ms\`, \`45s\`, \`30m\`, \`12h\`, \`30d\`.

## MCPBackend

${backendSchema.description}

${table(backendSchema)}

## MCPTenant

${tenantSchema.description}

${table(tenantSchema)}

## In a cluster

* The definitions in [k8s/crds](../k8s/crds) hold the same rules, so that \`kubectl apply\` refuses what a gateway would not take, in the same words;
  \`kubectl apply --dry-run=server\` only asks. \`kubectl explain mcpbackend.spec\` shows the fields.
* They need Kubernetes 1.29 or newer.
* \`exec:\` images are refused: they are programs of one machine. A container image with \`transport: stdio\` needs \`args\`: the command to run, in an
  image that is built on the runner image.
* \`kubectl get mcp\` lists backends and tenants, \`-o wide\` says what is wrong. \`kubectl scale mcpbackend/NAME --replicas=3\` works as for a Deployment.
* \`resources\` and \`storage\` are not used locally, and \`scaling.max\` means nothing there: one machine does not grow.
* A quota twice, a variable twice, or a name of a tool in \`toolScopes\` that is too long is refused in other words than locally.
`;
}

function table(schema: Structural): string {
  return `| field of \`spec\` | type | what it is |\n|---|---|---|\n${rowsOf(schema, '').join('\n')}`;
}

function rowsOf(node: Structural, path: string): string[] {
  return Object.entries(node.properties ?? {}).flatMap(([name, field]) => {
    const at = path === '' ? name : `${path}.${name}`;
    const mark = node.required?.includes(name) ? ', required' : '';
    const row = `| \`${at}\` | ${typeOf(field)}${mark} | ${(field.description ?? '').replaceAll('|', '\\|').replaceAll('*', '\\*').replaceAll('<', '&lt;')} |`;
    return [row, ...rowsOf(field.items ?? field, field.items ? `${at}[]` : at)];
  });
}

function typeOf(node: Structural): string {
  if (node['x-kubernetes-int-or-string']) return 'quantity';
  if (node.items) return `list of ${typeOf(node.items)}s`;
  if (typeof node.additionalProperties === 'object') return `map to ${typeOf(node.additionalProperties)}`;
  const allowed = node['enum'] as readonly string[] | undefined;
  if (allowed) return allowed.map((word) => `\`${word}\``).join(' or ');
  return typeof node['pattern'] === 'string' ? 'duration' : (node.type ?? 'any');
}
