// The fixture server's tools that ask the client for something, in the legacy way (a request to the client) and the modern one (input required).

import { randomBytes } from 'node:crypto';
import {
  acceptedContent,
  type CallToolResult,
  CLIENT_CAPABILITIES_META_KEY,
  type ClientCapabilities,
  createRequestStateCodec,
  type InputRequest,
  inputRequired,
  inputResponse,
  type McpServer,
  type ServerContext,
} from '@modelcontextprotocol/server';
import * as z from 'zod';
import { FORM_WITH_DEFAULTS, FORM_WITH_ENUMS } from './fixture-content.ts';

const text = (value: string): CallToolResult => ({ content: [{ type: 'text', text: value }] });
const ask = (message: string, key: string, type: 'string' | 'boolean' = 'string'): InputRequest =>
  inputRequired.elicit({
    message,
    requestedSchema: { type: 'object', properties: { [key]: type === 'string' ? { type } : { type } }, required: [key] },
  });
const sample = (prompt: string): InputRequest =>
  inputRequired.createMessage({ messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens: 100 });

/** Seals the state that travels through a modern client; lost with the process, as in a server that keeps no secret. */
export const stateCodec = createRequestStateCodec<{ readonly step: string }>({ key: randomBytes(32) });

/**
 * Registers the tools that send a request to a legacy client while they work. `send` puts it on the stream of the running call;
 * the SDK's own short-hands put it on the GET stream, which the client may not have opened yet.
 */
export function registerPushDialogues(server: McpServer): void {
  server.registerTool(
    'test_sampling',
    { description: 'Asks the client to sample', inputSchema: z.object({ prompt: z.string() }) },
    async ({ prompt }, ctx) => {
      const params = { messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens: 100 };
      const answer = await ctx.mcpReq.send({ method: 'sampling/createMessage', params });
      return text(`LLM response: ${JSON.stringify(answer.content)}`);
    },
  );
  server.registerTool(
    'test_elicitation',
    { description: 'Asks the user', inputSchema: z.object({ message: z.string() }) },
    async ({ message }, ctx) => {
      const requestedSchema = { type: 'object', properties: { response: { type: 'string' } }, required: ['response'] } as const;
      const answer = await ctx.mcpReq.send({ method: 'elicitation/create', params: { message, requestedSchema } });
      return text(`User response: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
    },
  );
  const form = (name: string, requestedSchema: unknown) =>
    server.registerTool(name, { description: 'Asks the user with a form', inputSchema: z.object({}) }, async (_args, ctx) => {
      const params = { message: 'Please fill in the form', requestedSchema };
      const answer = await ctx.mcpReq.send({ method: 'elicitation/create', params });
      return text(`Elicitation completed: action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`);
    });
  form('test_elicitation_sep1034_defaults', FORM_WITH_DEFAULTS);
  form('test_elicitation_sep1330_enums', FORM_WITH_ENUMS);
}

/** Registers the tools and the prompt that end a modern request with "input required". */
export function registerInputRequired(server: McpServer): void {
  const tool = (name: string, handle: (ctx: ServerContext) => Promise<CallToolResult | ReturnType<typeof inputRequired>>) =>
    server.registerTool(name, { description: 'Needs input from the client', inputSchema: z.object({}) }, (_args, ctx) => handle(ctx));
  const name = z.object({ name: z.string() });

  tool('test_input_required_result_elicitation', async ({ mcpReq }) => {
    const given = acceptedContent(mcpReq.inputResponses, 'user_name', name);
    if (given === undefined) return inputRequired({ inputRequests: { user_name: ask('What is your name?', 'name') } });
    return text(`Hello, ${given.name}!`);
  });
  tool('test_input_required_result_sampling', async ({ mcpReq }) => {
    const given = inputResponse(mcpReq.inputResponses, 'capital_question');
    if (given.kind !== 'sampling') return inputRequired({ inputRequests: { capital_question: sample('What is the capital of France?') } });
    return text(JSON.stringify(given.result.content));
  });
  tool('test_input_required_result_list_roots', async ({ mcpReq }) => {
    const given = inputResponse(mcpReq.inputResponses, 'client_roots');
    if (given.kind !== 'roots') return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } });
    return text(`roots: ${given.roots.map((root) => root.uri).join(', ')}`);
  });
  for (const toolName of ['test_input_required_result_request_state', 'test_input_required_result_tampered_state']) {
    tool(toolName, async ({ mcpReq }) => {
      const state = mcpReq.requestState<{ step: string }>();
      if (state?.step === 'confirm') return text('state-ok');
      const requestState = await stateCodec.mint({ step: 'confirm' });
      return inputRequired({ inputRequests: { confirm: ask('Please confirm', 'ok', 'boolean') }, requestState });
    });
  }
  tool('test_input_required_result_multiple_inputs', async ({ mcpReq }) => {
    if (mcpReq.requestState<{ step: string }>()?.step === 'all') return text('all inputs received');
    const inputRequests = {
      user_name: ask('What is your name?', 'name'),
      greeting: sample('Generate a greeting'),
      client_roots: inputRequired.listRoots(),
    };
    return inputRequired({ inputRequests, requestState: await stateCodec.mint({ step: 'all' }) });
  });
  tool('test_input_required_result_multi_round', async ({ mcpReq }) => {
    const step = mcpReq.requestState<{ step: string }>()?.step;
    if (step === 'two') return text('both steps done');
    const [next, inputRequests] =
      step === 'one'
        ? ['two', { step2: ask('Step 2: What is your favorite color?', 'color') }]
        : ['one', { step1: ask('Step 1: What is your name?', 'name') }];
    return inputRequired({ inputRequests, requestState: await stateCodec.mint({ step: next as string }) });
  });
  tool('test_input_required_result_capabilities', async ({ mcpReq }) => {
    const envelope = mcpReq.envelope as Readonly<Record<string, unknown>> | undefined;
    const declared = (envelope?.[CLIENT_CAPABILITIES_META_KEY] ?? {}) as ClientCapabilities;
    return inputRequired({
      inputRequests: {
        ...(declared.sampling && { greeting: sample('Generate a greeting') }),
        ...(declared.elicitation && { user_name: ask('What is your name?', 'name') }),
      },
    });
  });
  tool('test_streaming_elicitation', async () => inputRequired({ inputRequests: { user_name: ask('What is your name?', 'name') } }));
  tool('test_missing_capability', async () => inputRequired({ inputRequests: { greeting: sample('Generate a greeting') } }));

  server.registerPrompt('test_input_required_result_prompt', { description: 'Needs input from the client' }, (ctx) => {
    const given = acceptedContent(ctx.mcpReq.inputResponses, 'user_context', z.object({ context: z.string() }));
    if (given === undefined) {
      return inputRequired({ inputRequests: { user_context: ask('What context should the prompt use?', 'context') } });
    }
    return { messages: [{ role: 'user', content: { type: 'text', text: `Context: ${given.context}` } }] };
  });
}
