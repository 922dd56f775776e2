// The configuration of each client, to the letter.

import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { CLIENTS, type ClientName, clientConfig, type Endpoint } from './client-config.ts';

const github: Endpoint = { name: 'github', url: 'https://mcp.example.com/adapters/github/mcp' };
const local: Endpoint = { name: 'jira', url: 'http://127.0.0.1:8080/adapters/jira/mcp' };

test.each<[ClientName, unknown]>([
  ['claude-desktop', { mcpServers: { github: { command: 'npx', args: ['-y', 'mcp-remote', github.url] } } }],
  ['cline', { mcpServers: { github: { type: 'streamableHttp', url: github.url } } }],
  ['cursor', { mcpServers: { github: { url: github.url } } }],
  ['vscode', { servers: { github: { type: 'http', url: github.url } } }],
  ['windsurf', { mcpServers: { github: { serverUrl: github.url } } }],
  ['zed', { context_servers: { github: { url: github.url } } }],
])('%s reads JSON of its own', (client, expected) => {
  expect(JSON.parse(clientConfig(client, [github]).text)).toEqual(expected);
});

test('Continue reads a list in YAML', () => {
  const { text } = clientConfig('continue', [github, local]);
  expect(parse(text)).toEqual({
    mcpServers: [
      { name: 'github', type: 'streamable-http', url: github.url },
      { name: 'jira', type: 'streamable-http', url: local.url },
    ],
  });
});

test('Claude Code is told by a command for each', () => {
  expect(clientConfig('claude-code', [github, local]).text).toBe(
    `claude mcp add --transport http github '${github.url}'\nclaude mcp add --transport http jira '${local.url}'\n`,
  );
});

test('a shell makes nothing else of a URL', () => {
  const { text } = clientConfig('claude-code', [{ name: 'a', url: "http://[::1]:8080/x'$(id)/mcp" }]);
  expect(text).toBe("claude mcp add --transport http a 'http://[::1]:8080/x%27$(id)/mcp'\n");
});

test('clear text needs a word where it leaves this machine', () => {
  const args = (url: string) => JSON.parse(clientConfig('claude-desktop', [{ name: 'a', url }]).text).mcpServers.a.args.slice(3);
  expect(args(local.url)).toEqual([]);
  expect(args('http://localhost:8080/mcp')).toEqual([]);
  expect(args('http://gateway.internal/mcp')).toEqual(['--allow-http']);
});

test('every client says where its configuration belongs', () => {
  for (const client of CLIENTS) {
    const { text, place } = clientConfig(client, [github, local]);
    expect([client, text.endsWith('\n'), text.includes(local.url), place.length > 0]).toEqual([client, true, true, true]);
  }
});
