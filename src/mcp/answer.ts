// What the tools answer: structured content with the same as text, and errors that tell a model what to do next.

import type { CallToolResult } from '@modelcontextprotocol/server';
import { CallRefused } from '../control/calls.ts';

/** `text` is for people and for clients that read no structured content. */
export function answer(structuredContent: Record<string, unknown>, text = JSON.stringify(structuredContent, undefined, 2)): CallToolResult {
  return { content: [{ type: 'text', text }], structuredContent };
}

const NEXT: Readonly<Record<string, string>> = {
  unauthenticated: 'Ask the user for a token of the gateway: MCP_GATEWAY_TOKEN or MCP_GATEWAY_TOKEN_FILE of this MCP server.',
  forbidden: 'Do not try it in another way: tell the user what was refused, and why.',
  missing: 'Call list_backends to see which names there are.',
  exists: 'Choose another name, or ask the user whether the one that is there may be replaced, and set replace to true.',
  changed: 'Somebody else has changed it meanwhile: look at it again before you repeat this.',
  elsewhere: 'Tell the user to change it there.',
  invalid: 'Correct the arguments and call this tool again.',
  unavailable: 'Try again in a moment.',
};

/** A failure that the model can do something about; anything else is one as well, without advice. @param advice replaces what is said for some codes. */
export function failed(error: unknown, advice: Readonly<Record<string, string>> = {}): CallToolResult {
  const { message } = error as Error;
  const code = error instanceof CallRefused ? (error.code ?? (error.status === 401 ? 'unauthenticated' : '')) : '';
  return failure(message, advice[code] ?? NEXT[code]);
}

export function failure(what: string, next?: string): CallToolResult {
  return { isError: true, content: [{ type: 'text', text: next === undefined ? what : `${what}\n${next}` }] };
}
