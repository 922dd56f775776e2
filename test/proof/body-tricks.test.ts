// However a body is written, no tool call that a policy denies reaches the server; what is allowed passes in the same clothes.

import { gzipSync } from 'node:zlib';
import { Client as ModernClient, StreamableHTTPClientTransport as ModernTransport } from '@modelcontextprotocol/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession, type Session } from '../harness/mcp-http.ts';
import { type RawHeaders, sendRaw } from '../harness/raw-http.ts';
import { serverBackend } from '../harness/resource.ts';
import { createScratch } from '../harness/scratch.ts';

const KILOBYTE = 1024;
const scratch = createScratch();
let gateway: Gateway;
let session: Session;

beforeAll(async () => {
  gateway = await startGateway({
    resources: [
      serverBackend('policed', 'counter-server', {
        env: { COUNTER_JOURNAL: scratch.journalPath('policed') },
        access: { tools: { allow: ['*'], deny: ['denied_tool', 'delete_*'] } },
      }),
      serverBackend('listed', 'counter-server', { access: { tools: { allow: ['echo', 'get'], deny: [] } } }),
      serverBackend('modern', 'fixture-server', { access: { tools: { allow: ['*'], deny: ['test_image_*', 'test_error_handling'] } } }),
    ],
  });
  session = await openSession(gateway.backendUrl('policed'));
});

afterAll(async () => {
  await gateway?.stop();
  scratch.remove();
});

interface Sent {
  readonly status: number;
  readonly text: string;
  readonly message:
    | { readonly id?: unknown; readonly error?: { readonly code: number; readonly message: string }; readonly result?: unknown }
    | undefined;
}

async function send(
  body: string | Buffer | readonly Buffer[],
  headers: RawHeaders = [['Content-Type', 'application/json']],
): Promise<Sent> {
  const response = await sendRaw({
    url: session.url,
    body,
    headers: [
      ['Accept', 'application/json, text/event-stream'],
      ['Mcp-Session-Id', session.id],
      ...(headers.some(([name]) => name === 'Mcp-Protocol-Version') ? [] : ([['Mcp-Protocol-Version', '2025-11-25']] as const)),
      ...headers,
    ],
  });
  const text = (await response.body()).toString();
  const json = text.startsWith('{') ? text : /^data: (\{.*)$/m.exec(text)?.[1];
  return { status: response.status, text, message: json === undefined ? undefined : JSON.parse(json) };
}

/** What a tool that does not exist gives; a denied one must not be told from it. */
const unknownTool = (sent: Sent, tool: string, id: unknown = 1) => {
  expect(sent.status, sent.text).toBe(200);
  expect(sent.message, sent.text).toEqual({ jsonrpc: '2.0', id, error: { code: -32602, message: `Unknown tool: ${tool}` } });
};
/** A refusal of the whole request: never a result. */
const refused = (sent: Sent, status: number, code?: number) => {
  expect(sent.status, sent.text).toBe(status);
  expect(sent.message?.result).toBeUndefined();
  if (code !== undefined) expect(sent.message?.error?.code, sent.text).toBe(code);
};
const allowed = (sent: Sent) => {
  expect(sent.status, sent.text).toBe(200);
  expect(sent.message?.result, sent.text).toBeDefined();
};
const call = (tool: string, args: unknown = {}): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: tool, arguments: args } });
/** The same call with its arguments before its name, so that the name comes `size` bytes later. */
const nameAfter = (size: number, tool: string): string =>
  `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"arguments":{"payload":"${'x'.repeat(size)}"},"name":"${tool}"}}`;
const chunked = (body: string, size = 16 * KILOBYTE): Buffer[] => {
  const bytes = Buffer.from(body);
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size));
};

describe('a denied tool is a tool that does not exist', () => {
  test('plainly called', async () => {
    unknownTool(await send(call('denied_tool')), 'denied_tool');
    unknownTool(await send(call('delete_something')), 'delete_something');
    allowed(await send(call('echo', { payload: 'x' })));
  });

  test('with the request’s own id, number or string', async () => {
    for (const id of [0, -1, 9_007_199_254_740_991, 'a "quoted" \\ id', '']) {
      unknownTool(
        await send(JSON.stringify({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: 'denied_tool' } })),
        'denied_tool',
        id,
      );
    }
  });

  test.each([
    ['a key of params', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"n\\u0061me":"denied_tool","arguments":{}}}'],
    ['params', '{"jsonrpc":"2.0","id":1,"method":"tools/call","p\\u0061rams":{"name":"denied_tool","arguments":{}}}'],
    ['method', '{"jsonrpc":"2.0","id":1,"\\u006dethod":"tools\\/call","params":{"name":"denied_tool","arguments":{}}}'],
    ['the values', '{"jsonrpc":"2.0","id":1,"method":"tools\\u002Fcall","params":{"name":"den\\u0069ed\\u005ftool","arguments":{}}}'],
    [
      'everything',
      '{"\\u006a\\u0073\\u006fnrpc":"2.0","\\u0069\\u0064":1,"\\u006d\\u0065thod":"\\u0074ools/call","\\u0070arams":{"\\u006e\\u0061\\u006d\\u0065":"\\u0064enied_tool"}}',
    ],
  ])('with escapes in %s', async (_where, body) => {
    unknownTool(await send(body), 'denied_tool');
    allowed(await send(body.replace(/den\\u0069ed\\u005ftool|\\u0064enied_tool|denied_tool/, 'whoami')));
  });

  test.each([
    ['in front of it 60 KiB', 60 * KILOBYTE],
    ['in front of it 64 KiB', 64 * KILOBYTE],
    ['in front of it 65 KiB', 65 * KILOBYTE],
    ['in front of it 300 KiB', 300 * KILOBYTE],
    ['in front of it 1,000 KiB', 1_000 * KILOBYTE],
  ])('%s of arguments', async (_name, size) => {
    for (const frame of [(body: string) => body, chunked]) {
      unknownTool(await send(frame(nameAfter(size, 'denied_tool'))), 'denied_tool');
      allowed(await send(frame(nameAfter(size, 'echo'))));
    }
  });

  test('behind white space', async () => {
    unknownTool(await send(`${' \n'.repeat(35 * KILOBYTE)}${call('denied_tool')}`), 'denied_tool');
  });

  test('in tools/list: not there', async () => {
    const names = (result: unknown): string[] => (result as { tools: { name: string }[] }).tools.map(({ name }) => name);
    const listed = names((await send('{"jsonrpc":"2.0","id":1,"method":"tools/list"}')).message?.result);
    expect(listed).toContain('echo');
    expect(listed.filter((name) => name === 'denied_tool' || name.startsWith('delete_'))).toEqual([]);

    const few = await openSession(gateway.backendUrl('listed'));
    const answer = await few.send({ jsonrpc: '2.0', id: 1, method: 'tools/list' });
    expect(names(answer.messages[0]?.result).sort()).toEqual(['echo', 'get']);
    expect(answer.headers.get('mcp-session-id') ?? few.id).toBe(few.id);
  });
});

describe('what cannot be read cannot be policed', () => {
  const bodies = { plain: call('denied_tool'), fine: call('echo', { payload: 'x' }) };

  test.each(['gzip', 'GZIP', 'x-gzip', 'deflate', 'br', 'zstd', 'identity, gzip', 'gzip, identity', 'unheard-of'])(
    'content-encoding %s → 415',
    async (encoding) => {
      for (const body of Object.values(bodies)) {
        refused(
          await send(gzipSync(body), [
            ['Content-Type', 'application/json'],
            ['Content-Encoding', encoding],
          ]),
          415,
        );
      }
    },
  );

  test('content-encoding identity is none', async () => {
    const headers: RawHeaders = [
      ['Content-Type', 'application/json'],
      ['Content-Encoding', 'identity'],
    ];
    unknownTool(await send(bodies.plain, headers), 'denied_tool');
    allowed(await send(bodies.fine, headers));
  });

  test.each(['utf-16', 'utf-16le', 'UTF-16BE', '"utf-16"', 'utf-7', 'utf-32', 'iso-2022-jp', 'ibm037'])(
    'charset %s → 415',
    async (charset) => {
      for (const body of [bodies.plain, Buffer.from(bodies.plain, 'utf16le')]) {
        refused(await send(body, [['Content-Type', `application/json; charset=${charset}`]]), 415);
      }
    },
  );

  test('charset UTF-8 is no obstacle', async () => {
    for (const type of ['application/json; charset=utf-8', 'application/json;charset="UTF-8"', 'Application/JSON; Charset=utf8']) {
      unknownTool(await send(bodies.plain, [['Content-Type', type]]), 'denied_tool');
    }
    allowed(await send(bodies.fine, [['Content-Type', 'application/json; charset=utf-8']]));
  });

  test('UTF-16 that does not say so is no JSON', async () => {
    for (const body of [
      Buffer.from(bodies.plain, 'utf16le'),
      Buffer.from(`\ufeff${bodies.plain}`, 'utf16le'),
      Buffer.from(bodies.plain, 'utf16le').swap16(),
      Buffer.from(`\ufeff${bodies.plain}`, 'utf16le').swap16(),
    ]) {
      refused(await send(body), 400);
    }
  });

  test('a byte order mark does not hide a call', async () => {
    const sent = await send(`\ufeff${bodies.plain}`);
    expect(sent.message?.result, sent.text).toBeUndefined();
  });

  test('a name that is more than 1 MiB away is refused with 413 when a rule is in force', async () => {
    for (const tool of ['denied_tool', 'echo']) {
      refused(await send(nameAfter(1_100 * KILOBYTE, tool)), 413);
      refused(await send(chunked(nameAfter(1_100 * KILOBYTE, tool))), 413);
    }
    // Here a name is in sight, but what else comes is not.
    const twice = nameAfter(1_100 * KILOBYTE, 'denied_tool').replace('"params":{', '"params":{"name":"echo",');
    refused(await send(twice), 413);
    refused(await send(chunked(twice)), 413);
    refused(await send(`${call('echo')}${' '.repeat(1_100 * KILOBYTE)}`), 413);
    const inSight = await send(`${call('denied_tool')}${' '.repeat(1_100 * KILOBYTE)}`);
    if (inSight.status !== 413) unknownTool(inSight, 'denied_tool');
  });
});

describe('what has two meanings is refused', () => {
  test.each([
    ['name, denied last', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"denied_tool"}}'],
    ['name, denied first', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"denied_tool","name":"echo"}}'],
    ['name, once escaped', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","n\\u0061me":"denied_tool"}}'],
    ['params', '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"},"params":{"name":"denied_tool"}}'],
    ['method', '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call","params":{"name":"denied_tool"}}'],
    ['method, once escaped', '{"jsonrpc":"2.0","id":1,"method":"ping","meth\\u006fd":"tools/call","params":{"name":"denied_tool"}}'],
    ['id', '{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call","params":{"name":"denied_tool"}}'],
    [
      'name, far apart',
      `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"p":"${'x'.repeat(80 * KILOBYTE)}"},"name":"denied_tool"}}`,
    ],
  ])('repeated key: %s', async (_name, body) => {
    refused(await send(body), 400);
  });

  test('a repeated key elsewhere is the server’s own business', async () => {
    allowed(
      await send(
        '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"name":"a","name":"b","id":1,"id":2}}}',
      ),
    );
  });

  test.each([
    ['an array', '["denied_tool"]'],
    ['an object', '{"toString":"denied_tool"}'],
    ['a number', '7'],
    ['null', 'null'],
  ])('a tool name that is %s', async (_name, name) => {
    const sent = await send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":${name},"arguments":{}}}`);
    expect(sent.message?.result, sent.text).toBeUndefined();
  });

  test('params that are an array, or hidden behind __proto__', async () => {
    for (const params of ['["denied_tool"]', '{"__proto__":{"name":"denied_tool"}}', '"denied_tool"', 'null']) {
      const sent = await send(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":${params}}`);
      expect(sent.message?.result, sent.text).toBeUndefined();
    }
  });

  test('one denied element refuses a batch', async () => {
    const element = (id: number, tool: string) => ({ jsonrpc: '2.0', id, method: 'tools/call', params: { name: tool, arguments: {} } });
    for (const batch of [
      [element(1, 'denied_tool')],
      [element(1, 'whoami'), element(2, 'denied_tool')],
      [...Array.from({ length: 49 }, (_, index) => element(index, 'whoami')), element(50, 'delete_something')],
    ]) {
      refused(
        await send(JSON.stringify(batch), [
          ['Content-Type', 'application/json'],
          ['Mcp-Protocol-Version', '2025-03-26'],
        ]),
        400,
        -32600,
      );
    }
  });

  test('modern headers that say something else than the body', async () => {
    const meta = { 'io.modelcontextprotocol/protocolVersion': '2026-07-28', 'io.modelcontextprotocol/clientCapabilities': {} };
    const body = (method: string, name: string) =>
      JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { name, arguments: {}, _meta: meta } });
    const modern = (method: string, name: string): RawHeaders => [
      ['Content-Type', 'application/json'],
      ['Mcp-Protocol-Version', '2026-07-28'],
      ['Mcp-Method', method],
      ['Mcp-Name', name],
    ];
    const post = async (text: string, headers: RawHeaders): Promise<Sent> => {
      const all: RawHeaders = [['Accept', 'application/json, text/event-stream'], ...headers];
      const response = await sendRaw({ url: gateway.backendUrl('modern'), body: text, headers: all });
      const answer = (await response.body()).toString();
      const json = answer.startsWith('{') ? answer : /^data: (\{.*)$/m.exec(answer)?.[1];
      return { status: response.status, text: answer, message: json === undefined ? undefined : JSON.parse(json) };
    };
    refused(await post(body('tools/call', 'test_image_content'), modern('tools/call', 'test_simple_text')), 400, -32020);
    refused(await post(body('tools/call', 'test_simple_text'), modern('tools/call', 'test_image_content')), 400, -32020);
    refused(await post(body('tools/call', 'test_image_content'), modern('tools/list', 'test_image_content')), 400, -32020);
    refused(await post(body('tools/call', 'test_image_content'), modern('tools/call', '=?base64?dGVzdF9zaW1wbGVfdGV4dA==?=')), 400, -32020);
    unknownTool(await post(body('tools/call', 'test_image_content'), modern('tools/call', 'test_image_content')), 'test_image_content');
    unknownTool(
      await post(
        body('tools/call', 'test_image_content'),
        modern('tools/call', `=?base64?${Buffer.from('test_image_content').toString('base64')}?=`),
      ),
      'test_image_content',
    );
    allowed(await post(body('tools/call', 'test_simple_text'), modern('tools/call', 'test_simple_text')));
  });

  test('a modern client sees neither the denied tools nor their call, and the filtered list is private', async () => {
    const client = new ModernClient({ name: 'modern', version: '1.0.0' }, { versionNegotiation: { mode: { pin: '2026-07-28' } } });
    await client.connect(new ModernTransport(new URL(gateway.backendUrl('modern'))));
    const list = await client.listTools();
    expect(list.tools.map(({ name }) => name).filter((name) => /^test_image_|^test_error_handling$/.test(name))).toEqual([]);
    expect(list.tools.map(({ name }) => name)).toContain('test_simple_text');
    expect((list as { cacheScope?: string }).cacheScope).toBe('private');
    await expect(client.callTool({ name: 'test_image_content', arguments: {} })).rejects.toThrow(/Unknown tool/);
    await client.close();
  });
});

describe('after all of this', () => {
  test('no denied tool was ever called, and the session still works', async () => {
    expect(scratch.journal('policed').filter(({ tool }) => tool === 'denied_tool' || tool?.startsWith('delete_') === true)).toEqual([]);
    expect((await session.call('whoami')).calls).toBeGreaterThan(0);
  });
});
