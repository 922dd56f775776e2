// The gateway's own MCP server at `/admin/mcp`: both eras, one server per request, in the name of whoever asks.

import { createMcpHandler } from '@modelcontextprotocol/server';
import type { Perform } from '../control/calls.ts';
import { createAdminServer } from './server.ts';

const MAX_BODY_BYTES = 1_048_576;

/** One request, for a caller whose calls `perform` carries out. */
export type AnswerMcp = (request: Request, perform: Perform) => Promise<Response>;

export function createAnswerMcp(version: string, onError: (error: Error) => void): AnswerMcp {
  return (request, perform) =>
    createMcpHandler(() => createAdminServer(perform, version), { onerror: onError, maxRequestBodySize: MAX_BODY_BYTES }).fetch(request);
}
