// The counter server's tools over stdio: one session, which is the process.

import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js';
import { createCounterMcp } from './counter-mcp.ts';

const server = createCounterMcp();
await server.connect(new StdioServerTransport() as Parameters<typeof server.connect>[0]);
