// What each MCP client wants to read in its configuration to start `mcp-gateway serve` by itself and speak with it over stdio.

import { stringify } from 'yaml';
import { type ClientConfig, type ClientName, jsonText, PLACES } from './client-config.ts';

/** What a client starts. `command` is an absolute path, so that it works without a shell's PATH. */
export interface StdioServer {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
}

const ofMcpServers = ({ name, command, args }: StdioServer) => jsonText({ mcpServers: { [name]: { command, args } } });

const FORMS: Readonly<Record<ClientName, (server: StdioServer) => string>> = {
  // What comes after the dashes is the server's, its options included.
  'claude-code': ({ name, command, args }) =>
    `claude mcp add --transport stdio ${name} -- ${[command, ...args].map(shellWord).join(' ')}\n`,
  'claude-desktop': ofMcpServers,
  cline: ofMcpServers,
  continue: ({ name, command, args }) => stringify({ mcpServers: [{ name, type: 'stdio', command, args }] }, { lineWidth: 0 }),
  cursor: ofMcpServers,
  vscode: ({ name, command, args }) => jsonText({ servers: { [name]: { type: 'stdio', command, args } } }),
  windsurf: ofMcpServers,
  // `args` must be there even when it is empty; `source` is gone since November 2025.
  zed: ({ name, command, args }) => jsonText({ context_servers: { [name]: { command, args } } }),
};

export function stdioClientConfig(client: ClientName, server: StdioServer): ClientConfig {
  return { text: FORMS[client](server), place: PLACES[client] };
}

/** As a POSIX shell reads it. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
