// The fixture server's tools that answer at once or stream notifications: contents, progress, logging, errors, list changes.

import { setTimeout as wait } from 'node:timers/promises';
import { type CallToolResult, fromJsonSchema, type McpServer } from '@modelcontextprotocol/server';
import * as z from 'zod';
import { MIRRORED_HEADER_SCHEMA, PIXEL_PNG, SCHEMA_2020_12, SILENT_WAV } from './fixture-content.ts';

/** The suites want to see separate messages, so there is a pause between two of them. */
const BETWEEN_MESSAGES_MS = 50;
/** How long the reconnection tool works after it cut its own stream. */
const WORK_AFTER_CUT_MS = 100;

/** What a tool may ask of the server it lives in. */
export interface ChangeNotices {
  toolsChanged(): void;
  promptsChanged(): void;
}

const text = (value: string): CallToolResult => ({ content: [{ type: 'text', text: value }] });

/** Registers the tools that need nothing from the client. */
export function registerPlainTools(server: McpServer, notices: ChangeNotices): void {
  const plain = (name: string, description: string, result: CallToolResult) => server.registerTool(name, { description }, () => result);

  plain('test_simple_text', 'Answers one text block', text('This is a simple text response for testing.'));
  plain('test_image_content', 'Answers one image', { content: [{ type: 'image', data: PIXEL_PNG, mimeType: 'image/png' }] });
  plain('test_audio_content', 'Answers one sound', { content: [{ type: 'audio', data: SILENT_WAV, mimeType: 'audio/wav' }] });
  plain('test_embedded_resource', 'Answers one resource', {
    content: [{ type: 'resource', resource: { uri: 'test://embedded-resource', mimeType: 'text/plain', text: 'An embedded resource.' } }],
  });
  plain('test_multiple_content_types', 'Answers text, an image and a resource', {
    content: [
      { type: 'text', text: 'Multiple content types test:' },
      { type: 'image', data: PIXEL_PNG, mimeType: 'image/png' },
      {
        type: 'resource',
        resource: { uri: 'test://mixed-content-resource', mimeType: 'application/json', text: '{"test":"data","value":123}' },
      },
    ],
  });
  server.registerTool('test_error_handling', { description: 'Always fails' }, () => {
    throw new Error('This tool intentionally returns an error for testing');
  });
  server.registerTool('json_schema_2020_12_tool', { description: 'Lists a rich schema', inputSchema: fromJsonSchema(SCHEMA_2020_12) }, () =>
    text('validated'),
  );
  server.registerTool(
    'test_custom_header',
    { description: 'Mirrors a header', inputSchema: fromJsonSchema(MIRRORED_HEADER_SCHEMA) },
    (args) => text(JSON.stringify(args)),
  );
  server.registerTool('test_trigger_tool_change', { description: 'Announces a change of the tool list' }, () => {
    notices.toolsChanged();
    return text('announced');
  });
  server.registerTool('test_trigger_prompt_change', { description: 'Announces a change of the prompt list' }, () => {
    notices.promptsChanged();
    return text('announced');
  });
}

/** Registers the tools that send notifications while they work. */
export function registerStreamingTools(server: McpServer): void {
  const inputSchema = z.object({});

  server.registerTool('test_tool_with_logging', { description: 'Logs three times', inputSchema }, async (_args, ctx) => {
    for (const [index, data] of ['Tool execution started', 'Tool processing data', 'Tool execution completed'].entries()) {
      if (index > 0) await wait(BETWEEN_MESSAGES_MS);
      await ctx.mcpReq.log('info', data);
    }
    return text('logged three times');
  });
  server.registerTool('test_logging_tool', { description: 'Logs once, if the request asks for logs', inputSchema }, async (_args, ctx) => {
    await ctx.mcpReq.log('info', 'a log line');
    return text('logged');
  });
  server.registerTool('test_tool_with_progress', { description: 'Reports progress three times', inputSchema }, async (_args, ctx) => {
    const progressToken = ctx.mcpReq._meta?.progressToken;
    for (const progress of [0, 50, 100]) {
      if (progress > 0) await wait(BETWEEN_MESSAGES_MS);
      if (progressToken === undefined) continue;
      await ctx.mcpReq.notify({ method: 'notifications/progress', params: { progressToken, progress, total: 100 } });
    }
    return text('made progress');
  });
  server.registerTool('test_reconnection', { description: 'Cuts its own stream, then answers', inputSchema }, async (_args, ctx) => {
    ctx.http?.closeSSE?.();
    await wait(WORK_AFTER_CUT_MS);
    return text('answered after the cut');
  });
}
