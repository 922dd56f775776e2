// 6,000 sessions opened one after the other through one sidecar: no stream limit of the runtime may ever show.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startGateway } from '../harness/gateway.ts';
import { post } from '../harness/mcp-http.ts';
import { backend } from '../harness/resource.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type RawUpstream, startRawUpstream } from '../servers/raw-upstream.ts';
import { node24 } from '../setup/tools.ts';

const INITIALIZES = 6_000;
let upstream: RawUpstream;

beforeAll(async () => {
  upstream = await startRawUpstream();
});

afterAll(() => upstream?.stop());

const nodes = [...new Set([process.execPath, node24()])];

describe.each(nodes)('the gateway on %s', (node) => {
  test(`${INITIALIZES} sequential initialize, none fails`, { timeout: 240_000 }, async () => {
    const gateway = await startGateway({ node, workers: 1, resources: [backend('raw', { url: upstream.url })] });
    try {
      const url = gateway.backendUrl('raw');
      const initialize = (id: number) =>
        post(url, {
          jsonrpc: '2.0',
          id,
          method: 'initialize',
          params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'many', version: '1' } },
        });
      await waitFor('the backend', async () => (await initialize(0)).status === 200);
      const failures: string[] = [];
      const ids = new Set<string>();
      for (let id = 1; id <= INITIALIZES; id += 1) {
        const answer = await initialize(id);
        const sealed = answer.headers.get('mcp-session-id');
        if (answer.status === 200 && answer.messages[0]?.id === id && sealed !== null) ids.add(sealed);
        else failures.push(`${id}: HTTP ${answer.status} ${answer.text.slice(0, 200)}`);
      }
      expect(failures).toEqual([]);
      expect(ids.size).toBe(INITIALIZES);
    } finally {
      await gateway.stop();
    }
  });
});
