// What a server does with a client while a request runs – notifications, progress, questions – arrives through the gateway.

import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { CreateMessageRequestSchema, ElicitRequestSchema, LoggingMessageNotificationSchema } from '@modelcontextprotocol/sdk/types.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { serverBackend } from '../harness/resource.ts';
import { connectSdkClient } from '../harness/sdk-client.ts';
import { waitFor } from '../harness/wait-for.ts';

let gateway: Gateway;

beforeAll(async () => {
  gateway = await startGateway({ resources: [serverBackend('fixture', 'fixture-server'), serverBackend('counter', 'counter-server')] });
});

afterAll(() => gateway?.stop());

async function connectWithCapabilities(): Promise<Client> {
  const client = new Client({ name: 'dialogue', version: '1.0.0' }, { capabilities: { sampling: {}, elicitation: {} } });
  client.setRequestHandler(CreateMessageRequestSchema, ({ params }) => ({
    role: 'assistant',
    model: 'none',
    content: { type: 'text', text: `sampled ${JSON.stringify(params.messages[0]?.content)}` },
  }));
  client.setRequestHandler(ElicitRequestSchema, ({ params }) => ({ action: 'accept', content: { response: `re: ${params.message}` } }));
  await client.connect(new StreamableHTTPClientTransport(new URL(gateway.backendUrl('fixture'))) as Parameters<Client['connect']>[0]);
  return client;
}

const text = (result: unknown) => (result as { content: { text: string }[] }).content[0]?.text ?? '';

describe('legacy client', () => {
  test('answers what the server asks in the middle of a call', async () => {
    const client = await connectWithCapabilities();
    expect(text(await client.callTool({ name: 'test_sampling', arguments: { prompt: 'why' } }))).toContain('sampled');
    expect(text(await client.callTool({ name: 'test_elicitation', arguments: { message: 'who' } }))).toContain('re: who');
    await client.close();
  });

  test('gets progress and log lines while a call runs', async () => {
    const client = await connectWithCapabilities();
    const lines: unknown[] = [];
    client.setNotificationHandler(LoggingMessageNotificationSchema, ({ params }) => void lines.push(params.data));
    await client.setLoggingLevel('debug');
    await client.callTool({ name: 'test_tool_with_logging', arguments: {} });
    expect(lines).toEqual(['Tool execution started', 'Tool processing data', 'Tool execution completed']);
    const steps: number[] = [];
    await client.callTool({ name: 'test_tool_with_progress', arguments: {} }, undefined, {
      onprogress: ({ progress }) => void steps.push(progress),
    });
    expect(steps).toEqual([0, 50, 100]);
    await client.close();
  });

  test('gets the rest of an answer whose stream the server cut, by Last-Event-ID', async () => {
    const client = await connectWithCapabilities();
    expect(text(await client.callTool({ name: 'test_reconnection', arguments: {} }))).toContain('after the cut');
    await client.close();
  });

  test('gets notifications outside of calls on its GET stream', async () => {
    const { client, call, close } = await connectSdkClient(gateway.backendUrl('counter'));
    const seen: unknown[] = [];
    client.fallbackNotificationHandler = async ({ params }) => void seen.push((params as { data: { tag: string } }).data.tag);
    // The client opens its stream on its own after it is connected; what is sent before that is lost, also without a gateway.
    await waitFor('a notification on the stream', async () => {
      await call('notify', { tag: 'here' });
      return seen.length > 0;
    });
    expect(new Set(seen)).toEqual(new Set(['here']));
    await close();
  });
});

describe('modern client', () => {
  test('is asked by "input required", and hears of changes by a subscription', async () => {
    const client = new ModernClient(
      { name: 'dialogue', version: '1.0.0' },
      { versionNegotiation: { mode: { pin: '2026-07-28' } }, capabilities: { elicitation: {} } },
    );
    client.setRequestHandler('elicitation/create', () => ({ action: 'accept', content: { name: 'Ada' } }));
    await client.connect(new ModernTransport(new URL(gateway.backendUrl('fixture'))));
    expect(text(await client.callTool({ name: 'test_input_required_result_elicitation', arguments: {} }))).toBe('Hello, Ada!');
    const steps: number[] = [];
    await client.callTool({ name: 'test_tool_with_progress', arguments: {} }, { onprogress: ({ progress }) => void steps.push(progress) });
    expect(steps).toEqual([0, 50, 100]);
    await client.close();
  });
});
