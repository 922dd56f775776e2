// Every unmodified client with every real server, through one gateway.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { post } from '../harness/mcp-http.ts';
import { waitFor } from '../harness/wait-for.ts';
import { matrixClients } from './matrix-clients.ts';
import { matrixServers } from './matrix-servers.ts';

/** The servers come from the registry at the first start. */
const INSTALL_TIMEOUT_MS = 180_000;

const folder = mkdtempSync(join(tmpdir(), 'matrix-'));
const servers = matrixServers(folder);
let gateway: Gateway;

beforeAll(async () => {
  gateway = await startGateway({ resources: servers.map(({ resource }) => resource) });
  const initialize = {
    jsonrpc: '2.0',
    id: 1,
    method: 'initialize',
    params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'wait', version: '1' } },
  };
  await Promise.all(
    servers.map(({ resource: { metadata } }) =>
      waitFor(`${metadata.name} to answer`, async () => (await post(gateway.backendUrl(metadata.name), initialize)).status === 200, {
        timeoutMs: INSTALL_TIMEOUT_MS,
      }),
    ),
  );
}, INSTALL_TIMEOUT_MS + 60_000);

afterAll(async () => {
  await gateway?.stop();
  rmSync(folder, { recursive: true, force: true });
});

describe.each(servers)('$name', (server) => {
  const url = () => gateway.backendUrl(server.resource.metadata.name);

  describe.each(matrixClients)('with $name', (kind) => {
    test.runIf(kind.speaks !== 'modern' || server.modern)('lists, calls and leaves', { timeout: 90_000 }, async () => {
      const client = await kind.connect(url());
      try {
        if (client.era !== undefined && kind.speaks === 'both') expect(client.era).toBe(server.modern ? 'modern' : 'legacy');
        expect(await client.listTools()).toContain(server.tool);
        const word = `word${Math.random().toString(36).slice(2, 10)}`;
        const answer = await client.callTool(server.tool, server.args(word));
        if (server.name === 'counter-server') expect(JSON.parse(answer)).toMatchObject({ length: word.length, calls: 1 });
        else expect(answer).toContain(word);
      } finally {
        await client.close();
      }
    });
  });

  test.runIf(!server.modern)('refuses a client that is pinned to the modern protocol, in a way it understands', async () => {
    const pinned = matrixClients.find(({ speaks }) => speaks === 'modern');
    await expect(pinned?.connect(url())).rejects.toThrow(/negotiat|version|era|modern|2026-07-28/i);
  });
});

describe('a session of a client that keeps one', () => {
  test.each(matrixClients.filter(({ keepsSession }) => keepsSession))('$name finds its own state again', async ({ connect }) => {
    const clients = await Promise.all([1, 2, 3].map(() => connect(gateway.backendUrl('counter'))));
    await Promise.all(clients.map((client, index) => client.callTool('put', { value: `state ${index}` })));
    const found = await Promise.all(clients.map((client) => client.callTool('get', {})));
    expect(found.map((text) => JSON.parse(text).value)).toEqual(['state 0', 'state 1', 'state 2']);
    await Promise.all(clients.map((client) => client.close()));
  });
});
