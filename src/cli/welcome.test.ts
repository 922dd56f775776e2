// The final screen: what a user copies from it must be right.

import { expect, it } from 'vitest';
import { welcome } from './welcome.ts';

const base = { url: 'http://127.0.0.1:8080', admin: 'http://127.0.0.1:8081' };
const everything = { name: 'everything', url: `${base.url}/adapters/everything/mcp`, state: 'ready' };
const memory = { name: 'memory', url: `${base.url}/adapters/memory/mcp`, state: 'starting', message: 'installing' };

it('shows every backend, the client configuration and a command for one that is ready', () => {
  const screen = welcome({ ...base, backends: [memory, everything] });
  expect(screen).toContain(`  memory      ${memory.url}      starting: installing\n`);
  expect(screen).toContain(`  everything  ${everything.url}  ready\n`);
  expect(screen).toContain(`${base.admin}/metrics\n`);
  const configuration = JSON.parse(/^\{\n[\s\S]*?\n\}$/m.exec(screen)?.[0] ?? '');
  expect(configuration).toEqual({
    mcpServers: { memory: { type: 'http', url: memory.url }, everything: { type: 'http', url: everything.url } },
  });
  expect(screen).toContain(`npx @modelcontextprotocol/inspector --cli ${everything.url} --transport http --method tools/list\n`);
});

it('says what to do when there is no backend', () => {
  const screen = welcome({ ...base, backends: [], resources: '/srv/mcp' });
  expect(screen).toContain('put a YAML file with an MCPBackend into /srv/mcp');
  expect(screen).not.toContain('mcpServers');
});
