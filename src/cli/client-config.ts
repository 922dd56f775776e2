// What each MCP client wants to read in its configuration to use a backend of the gateway by its URL.

import { stringify } from 'yaml';

/** A backend as a client is told of it. */
export interface Endpoint {
  readonly name: string;
  readonly url: string;
}

export interface ClientConfig {
  /** To be pasted: the whole of a file, or a command. Ends with a line feed. */
  readonly text: string;
  /** Where it belongs, as a sentence's end: `~/.cursor/mcp.json`. */
  readonly place: string;
}

export const CLIENTS = ['claude-code', 'claude-desktop', 'cline', 'continue', 'cursor', 'vscode', 'windsurf', 'zed'] as const;
export type ClientName = (typeof CLIENTS)[number];

const FORMS: Readonly<Record<ClientName, (endpoints: readonly Endpoint[]) => ClientConfig>> = {
  'claude-code': (endpoints) => ({
    text: endpoints.map(({ name, url }) => `claude mcp add --transport http ${name} '${url.replaceAll("'", '%27')}'\n`).join(''),
    place: 'a terminal',
  }),
  // Its file knows programs only; this one speaks to the URL, the login included.
  'claude-desktop': (endpoints) => ({
    text: json({ mcpServers: byName(endpoints, ({ url }) => ({ command: 'npx', args: ['-y', 'mcp-remote', url, ...unlessSafe(url)] })) }),
    place: 'claude_desktop_config.json (Settings, Developer, Edit Config)',
  }),
  cline: (endpoints) => ({
    text: json({ mcpServers: byName(endpoints, ({ url }) => ({ type: 'streamableHttp', url })) }),
    place: 'cline_mcp_settings.json (MCP Servers, Configure)',
  }),
  continue: (endpoints) => ({
    text: stringify({ mcpServers: endpoints.map(({ name, url }) => ({ name, type: 'streamable-http', url })) }),
    place: '~/.continue/config.yaml',
  }),
  cursor: (endpoints) => ({ text: json({ mcpServers: byName(endpoints, ({ url }) => ({ url })) }), place: '~/.cursor/mcp.json' }),
  vscode: (endpoints) => ({ text: json({ servers: byName(endpoints, ({ url }) => ({ type: 'http', url })) }), place: '.vscode/mcp.json' }),
  windsurf: (endpoints) => ({
    text: json({ mcpServers: byName(endpoints, ({ url }) => ({ serverUrl: url })) }),
    place: '~/.codeium/windsurf/mcp_config.json',
  }),
  zed: (endpoints) => ({ text: json({ context_servers: byName(endpoints, ({ url }) => ({ url })) }), place: 'settings.json of Zed' }),
};

export function clientConfig(client: ClientName, endpoints: readonly Endpoint[]): ClientConfig {
  return FORMS[client](endpoints);
}

function byName<Entry>(endpoints: readonly Endpoint[], entry: (endpoint: Endpoint) => Entry): Record<string, Entry> {
  return Object.fromEntries(endpoints.map((endpoint) => [endpoint.name, entry(endpoint)]));
}

/** mcp-remote takes clear text only from this machine, unless it is told to. */
function unlessSafe(url: string): string[] {
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || hostname === 'localhost' || hostname === '127.0.0.1' ? [] : ['--allow-http'];
}

function json(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
