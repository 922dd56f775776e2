// MCPBackend resources for tests: short to write, and with commands that run our test servers.

import { fileURLToPath } from 'node:url';

/** A resource as it is written to a file (JSON is YAML). */
export interface BackendResource {
  readonly apiVersion: 'mcpgateway.dev/v1alpha1';
  readonly kind: 'MCPBackend';
  readonly metadata: { readonly name: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

const SERVERS = fileURLToPath(new URL('../servers/', import.meta.url));
const TSX = import.meta.resolve('tsx');

/** The programs in test/servers that run as processes. */
export type TestServer = 'counter-server' | 'fixture-server' | 'stateless-server' | 'otlp-server';

/** @returns the command line that runs a test server with the Node that runs the tests. */
export function serverCommand(server: TestServer): { readonly command: string; readonly args: readonly string[] } {
  return { command: process.execPath, args: ['--import', TSX, `${SERVERS}${server}.ts`] };
}

/** @returns an MCPBackend with any spec. */
export function backend(name: string, spec: Readonly<Record<string, unknown>>): BackendResource {
  return { apiVersion: 'mcpgateway.dev/v1alpha1', kind: 'MCPBackend', metadata: { name }, spec };
}

/** @returns an MCPBackend that runs one of our test servers; `env` becomes its environment, the rest its spec. */
export function serverBackend(
  name: string,
  server: TestServer,
  { env = {}, ...spec }: { readonly env?: Readonly<Record<string, string>>; readonly [key: string]: unknown } = {},
): BackendResource {
  const { command, args } = serverCommand(server);
  return backend(name, {
    image: `exec:${command}`,
    args,
    env: Object.entries(env).map(([key, value]) => ({ name: key, value })),
    ...spec,
  });
}
