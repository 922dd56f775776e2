// Unmodified SDK 1.x clients, as applications use them.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import type { ToolReport } from './mcp-http.ts';

/** A connected client. */
export interface SdkClient {
  readonly client: Client;
  readonly transport: StreamableHTTPClientTransport;
  /** Calls a tool of the counter server. */
  call(name: string, args?: Readonly<Record<string, unknown>>): Promise<ToolReport>;
  close(): Promise<void>;
}

/** Connects an SDK client. */
export async function connectSdkClient(url: string, headers: Readonly<Record<string, string>> = {}): Promise<SdkClient> {
  const client = new Client({ name: 'sdk-1', version: '1.0.0' }, { capabilities: {} });
  const transport = new StreamableHTTPClientTransport(new URL(url), { requestInit: { headers: { ...headers } } });
  await client.connect(transport as Parameters<Client['connect']>[0]);
  return {
    client,
    transport,
    async call(name, args = {}) {
      const result = await client.callTool({ name, arguments: { ...args } });
      const [block] = result.content as { text: string }[];
      if (result.isError === true || block === undefined) throw new Error(`tool ${name} failed: ${JSON.stringify(result)}`);
      return JSON.parse(block.text) as ToolReport;
    },
    close: () => client.close(),
  };
}
