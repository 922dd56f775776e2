// The real servers of the matrix, with the one call by which a client shows that it was really there.

import { type BackendResource, backend, serverBackend } from '../harness/resource.ts';
import { toolBin } from '../setup/tools.ts';

/** A server behind the gateway. */
export interface MatrixServer {
  readonly name: string;
  readonly resource: BackendResource;
  readonly modern: boolean;
  readonly tool: string;
  /** Arguments that contain `word`, and the same word must come back. */
  args(word: string): Record<string, unknown>;
}

const EVERYTHING = 'npm:@modelcontextprotocol/server-everything@2026.8.31';
const MEMORY = 'npm:@modelcontextprotocol/server-memory@2026.8.31';
const memoryCall = {
  tool: 'create_entities',
  args: (word: string) => ({ entities: [{ name: word, entityType: 'word', observations: [] }] }),
};

/** @param folder a place for the files that the memory servers write. */
export function matrixServers(folder: string): readonly MatrixServer[] {
  return [
    {
      name: 'counter-server',
      resource: serverBackend('counter', 'counter-server'),
      modern: false,
      tool: 'echo',
      args: (word) => ({ payload: word }),
    },
    {
      name: 'fixture-server',
      resource: serverBackend('fixture', 'fixture-server'),
      modern: true,
      tool: 'test_custom_header',
      args: (word) => ({ region: word }),
    },
    {
      name: 'server-everything',
      resource: backend('everything', { image: EVERYTHING, args: ['streamableHttp'], healthCheck: { type: 'mcp' } }),
      modern: false,
      tool: 'echo',
      args: (word) => ({ message: word }),
    },
    {
      name: 'server-memory, bridged',
      resource: backend('memory', {
        image: MEMORY,
        transport: 'stdio',
        env: [{ name: 'MEMORY_FILE_PATH', value: `${folder}/memory.jsonl` }],
      }),
      modern: false,
      ...memoryCall,
    },
    {
      name: 'mcp-proxy before server-memory',
      resource: backend('proxy', {
        image: `exec:${process.execPath}`,
        args: [
          ...[toolBin('mcp-proxy'), '--host', '127.0.0.1', '--port', '$(PORT)', '--server', 'stream', '--'],
          ...[process.execPath, toolBin('@modelcontextprotocol/server-memory')],
        ],
        env: [{ name: 'MEMORY_FILE_PATH', value: `${folder}/proxied.jsonl` }],
        healthCheck: { path: '/ping' },
      }),
      modern: true,
      ...memoryCall,
    },
  ];
}
