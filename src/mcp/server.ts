// The gateway's own MCP server: what a model may look at and change, on stdio (`mcp-gateway serve`) and at `/admin/mcp`.

import { McpServer } from '@modelcontextprotocol/server';
import type { Perform } from '../control/calls.ts';
import { addHelmValues } from './helm-values.ts';
import { addListBackends } from './list-backends.ts';
import { addRegisterBackend } from './register-backend.ts';
import { addTenantQuota } from './tenant-quota.ts';

const INSTRUCTIONS = `This server administers an MCP gateway: MCP servers ("backends") that run behind one URL, and the tenants that use them.
Begin with list_backends. A backend that is not healthy says why in its message. register_backend adds one and waits until it is healthy;
tenant_quota shows how much of its limits a tenant has used, and changes them; helm_values writes the values file that installs the same on
Kubernetes.`;

/** @param perform carries out calls of the REST interface, in the name of whoever this server acts for. */
export function createAdminServer(perform: Perform, version: string): McpServer {
  const server = new McpServer({ name: 'mcp-gateway', title: 'MCP gateway', version }, { instructions: INSTRUCTIONS });
  addListBackends(server, perform);
  addRegisterBackend(server, perform);
  addTenantQuota(server, perform);
  addHelmValues(server, perform);
  return server;
}
