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

/** Where the configuration of each client lies, as a sentence's end. */
export const PLACES: Readonly<Record<ClientName, string>> = {
  'claude-code': 'a terminal',
  'claude-desktop': 'claude_desktop_config.json (Settings, Developer, Edit Config)',
  cline: 'cline_mcp_settings.json (MCP Servers, Configure)',
  continue: '~/.continue/config.yaml',
  cursor: '~/.cursor/mcp.json',
  vscode: '.vscode/mcp.json',
  windsurf: '~/.codeium/windsurf/mcp_config.json',
  zed: 'settings.json of Zed',
};

const FORMS: Readonly<Record<ClientName, (endpoints: readonly Endpoint[]) => string>> = {
  'claude-code': (endpoints) =>
    endpoints.map(({ name, url }) => `claude mcp add --transport http ${name} '${url.replaceAll("'", '%27')}'\n`).join(''),
  // Its file knows programs only; this one speaks to the URL, the login included.
  'claude-desktop': (endpoints) =>
    jsonText({ mcpServers: byName(endpoints, ({ url }) => ({ command: 'npx', args: ['-y', 'mcp-remote', url, ...unlessSafe(url)] })) }),
  cline: (endpoints) => jsonText({ mcpServers: byName(endpoints, ({ url }) => ({ type: 'streamableHttp', url })) }),
  continue: (endpoints) => stringify({ mcpServers: endpoints.map(({ name, url }) => ({ name, type: 'streamable-http', url })) }),
  cursor: (endpoints) => jsonText({ mcpServers: byName(endpoints, ({ url }) => ({ url })) }),
  vscode: (endpoints) => jsonText({ servers: byName(endpoints, ({ url }) => ({ type: 'http', url })) }),
  windsurf: (endpoints) => jsonText({ mcpServers: byName(endpoints, ({ url }) => ({ serverUrl: url })) }),
  zed: (endpoints) => jsonText({ context_servers: byName(endpoints, ({ url }) => ({ url })) }),
};

export function clientConfig(client: ClientName, endpoints: readonly Endpoint[]): ClientConfig {
  return { text: FORMS[client](endpoints), place: PLACES[client] };
}

function byName<Entry>(endpoints: readonly Endpoint[], entry: (endpoint: Endpoint) => Entry): Record<string, Entry> {
  return Object.fromEntries(endpoints.map((endpoint) => [endpoint.name, entry(endpoint)]));
}

/** mcp-remote takes clear text only from this machine, unless it is told to. */
function unlessSafe(url: string): string[] {
  const { protocol, hostname } = new URL(url);
  return protocol === 'https:' || hostname === 'localhost' || hostname === '127.0.0.1' ? [] : ['--allow-http'];
}

export function jsonText(value: unknown): string {
  return `${JSON.stringify(value, undefined, 2)}\n`;
}
