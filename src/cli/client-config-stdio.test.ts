// The configuration with which each client starts a server by itself, to the letter.

import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { CLIENTS, type ClientName } from './client-config.ts';
import { type StdioServer, stdioClientConfig } from './client-config-stdio.ts';

const command = '/usr/bin/node';
const args = ['/opt/mcp gateway/dist/main.js', 'serve', '--home', '/srv/g'];
const server: StdioServer = { name: 'mcp-gateway', command, args };

test.each<[ClientName, unknown]>([
  ['claude-desktop', { mcpServers: { 'mcp-gateway': { command, args } } }],
  ['cline', { mcpServers: { 'mcp-gateway': { command, args } } }],
  ['cursor', { mcpServers: { 'mcp-gateway': { command, args } } }],
  ['vscode', { servers: { 'mcp-gateway': { type: 'stdio', command, args } } }],
  ['windsurf', { mcpServers: { 'mcp-gateway': { command, args } } }],
  ['zed', { context_servers: { 'mcp-gateway': { command, args } } }],
])('%s reads JSON of its own', (client, expected) => {
  expect(JSON.parse(stdioClientConfig(client, server).text)).toEqual(expected);
});

test('Continue reads a list in YAML', () => {
  expect(parse(stdioClientConfig('continue', server).text)).toEqual({
    mcpServers: [{ name: 'mcp-gateway', type: 'stdio', command, args }],
  });
});

test('Claude Code is told by a command, in which a shell changes nothing', () => {
  expect(stdioClientConfig('claude-code', server).text).toBe(
    "claude mcp add --transport stdio mcp-gateway -- /usr/bin/node '/opt/mcp gateway/dist/main.js' serve --home /srv/g\n",
  );
  expect(stdioClientConfig('claude-code', { ...server, args: ["it's", '$(id)', '', 'ü'] }).text).toBe(
    "claude mcp add --transport stdio mcp-gateway -- /usr/bin/node 'it'\\''s' '$(id)' '' 'ü'\n",
  );
});

test('every client says where its configuration belongs', () => {
  for (const client of CLIENTS) {
    const { text, place } = stdioClientConfig(client, server);
    expect([client, text.endsWith('\n'), place.length > 0]).toEqual([client, true, true]);
  }
});
