// One trace from the client through Envoy and the sidecar to the server, received over OTLP by another process.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Gateway, startGateway } from '../harness/gateway.ts';
import { openSession, post, type Session } from '../harness/mcp-http.ts';
import { backend, serverBackend } from '../harness/resource.ts';
import { type ServerProcess, startServer } from '../harness/server-process.ts';
import { waitFor } from '../harness/wait-for.ts';
import type { ReceivedSpan } from '../servers/otlp-server.ts';
import { type RawUpstream, startRawUpstream } from '../servers/raw-upstream.ts';

const SERVER = 2;
const ERROR = 2;
/** Spans wait for as long as OTEL_BSP_SCHEDULE_DELAY says, in the sidecar and in Envoy. */
const PROMPTLY = { OTEL_BSP_SCHEDULE_DELAY: '100' };

let nextId = 1;
/** A trace and a span of the client's own. */
function clientSpan(): { readonly traceId: string; readonly spanId: string; readonly header: string } {
  const traceId = (nextId++).toString(16).padStart(32, 'a');
  const spanId = (nextId++).toString(16).padStart(16, 'b');
  return { traceId, spanId, header: `00-${traceId}-${spanId}-01` };
}

/** Not a probe, which comes at any time. */
const lastCall = () => upstream.requests.findLast(({ method }) => method === 'POST');
const call = (tool: string, traceparent?: string) => ({
  ...{ jsonrpc: '2.0', id: 42, method: 'tools/call' },
  params: { name: tool, arguments: { secret: 'an-argument' }, ...(traceparent && { _meta: { traceparent } }) },
});

let collector: ServerProcess;
let upstream: RawUpstream;

beforeAll(async () => {
  [collector, upstream] = await Promise.all([startServer('otlp-server'), startRawUpstream()]);
});
afterAll(async () => {
  await collector?.stop();
  await upstream?.stop();
});

const received = async (path: string): Promise<Response> => fetch(new URL(path, collector.url));
const spansOf = async (traceId: string): Promise<ReceivedSpan[]> =>
  ((await (await received('/spans')).json()) as ReceivedSpan[]).filter((span) => span.traceId === traceId);

const isDecision = ({ attributes }: ReceivedSpan): boolean => 'mcp_gateway.request.id' in attributes;

/** The spans of a trace, once those of Envoy and of the sidecar are there. */
function trace(traceId: string): Promise<ReceivedSpan[]> {
  return waitFor(`the spans of ${traceId}`, async () => {
    const found = await spansOf(traceId);
    return found.some(isDecision) && found.some((span) => !isDecision(span) && span.kind === SERVER) && found;
  });
}

function one(spans: readonly ReceivedSpan[], which: (span: ReceivedSpan) => boolean): ReceivedSpan {
  const found = spans.filter(which);
  expect(found.map(({ name }) => name)).toHaveLength(1);
  return found[0] as ReceivedSpan;
}

/** From a span up to the one that the client named. */
function ancestors(spans: readonly ReceivedSpan[], from: ReceivedSpan): string[] {
  const path: string[] = [];
  for (let at: ReceivedSpan | undefined = from; at; at = spans.find(({ spanId }) => spanId === at?.parentId)) path.push(at.parentId);
  return path;
}

describe.each([
  ['http/protobuf', '50% of a key'],
  ['grpc', 'a whole key'],
])('over %s', (protocol, key) => {
  let gateway: Gateway;
  let session: Session;

  beforeAll(async () => {
    const port = protocol === 'grpc' ? await (await received('/grpc-port')).text() : new URL(collector.url).port;
    gateway = await startGateway({
      workers: 2,
      resources: [
        backend('raw', { url: upstream.url }),
        serverBackend('counter', 'counter-server', { access: { tools: { deny: ['denied_*'] } } }),
      ],
      env: {
        ...PROMPTLY,
        OTEL_EXPORTER_OTLP_ENDPOINT: `http://localhost:${port}`,
        OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
        OTEL_EXPORTER_OTLP_HEADERS: `x-key=${encodeURIComponent(key)}`,
        OTEL_SERVICE_NAME: 'the-gateway',
        OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test',
      },
    });
    session = await waitFor('the backend', () => openSession(gateway.backendUrl('raw')), { timeoutMs: 30_000 });
  });
  afterAll(() => gateway?.stop());

  test('the client’s span is the root, Envoy’s its child, the sidecar’s within Envoy’s; the server gets Envoy’s', async () => {
    const client = clientSpan();
    const answer = await session.send(call('echo'), { traceparent: client.header });
    expect(answer.status).toBe(200);
    await trace(client.traceId);
    // Envoy's span around the decision may come with another export.
    const spans = await waitFor('all parents', async () => {
      const all = await spansOf(client.traceId);
      return ancestors(all, one(all, isDecision)).at(-1) === client.spanId && all;
    });

    const envoy = one(spans, (span) => span.kind === SERVER && !isDecision(span));
    expect(envoy.parentId).toBe(client.spanId);
    const decision = one(spans, isDecision);
    expect(ancestors(spans, decision)).toEqual([expect.any(String), envoy.spanId, client.spanId]);
    expect(decision).toMatchObject({
      name: 'tools/call echo',
      kind: SERVER,
      links: [],
      over: protocol === 'grpc' ? 'grpc' : 'http',
      attributes: {
        'mcp.method.name': 'tools/call',
        'gen_ai.tool.name': 'echo',
        'gen_ai.operation.name': 'execute_tool',
        'jsonrpc.request.id': '42',
        'mcp_gateway.backend': 'raw',
        'mcp_gateway.tenant': 'default',
      },
    });
    expect(decision.durationMs).toBeGreaterThan(0);
    expect(BigInt(decision.start) - BigInt(envoy.start)).toBeGreaterThan(-5_000_000n);
    for (const span of [envoy, decision]) {
      expect(span.resource).toMatchObject({ 'service.name': 'the-gateway', 'deployment.environment': 'test' });
      expect(span.key).toBe(key);
    }
    expect([envoy, decision].map(({ resource }) => resource['service.instance.id'])).toEqual(['envoy', expect.stringMatching(/^sidecar-/)]);

    const [, traceId, spanId] = String(lastCall()?.headers['traceparent']).split('-');
    expect(traceId).toBe(client.traceId);
    expect(spans.map((span) => span.spanId)).toContain(spanId);

    const text = JSON.stringify(spans);
    expect(text).not.toContain('an-argument');
    expect(text).not.toContain(session.id);
  });

  test('a span in `_meta` is linked when a header came too', async () => {
    const [client, message] = [clientSpan(), clientSpan()];
    await session.send(call('echo', message.header), { traceparent: client.header });
    const decision = one(await trace(client.traceId), isDecision);
    expect(decision.links).toEqual([{ traceId: message.traceId, spanId: message.spanId }]);
  });

  test('a span in `_meta` alone is the parent, linked to Envoy’s', async () => {
    const message = clientSpan();
    await session.send(call('echo', message.header));
    const decision = one(
      await waitFor('the span', async () => (await spansOf(message.traceId)).length > 0 && spansOf(message.traceId)),
      isDecision,
    );
    expect(decision.parentId).toBe(message.spanId);
    const [link] = decision.links;
    const ofEnvoy = await waitFor('the linked span', async () =>
      (await spansOf(link?.traceId ?? '')).find(({ spanId }) => spanId === link?.spanId),
    );
    expect(ofEnvoy.name).toContain('Check');
  });

  test('a refusal is an error with its reason', async () => {
    const client = clientSpan();
    const counter = await openSession(gateway.backendUrl('counter'));
    await counter.send(call('denied_tool'), { traceparent: client.header });
    expect(one(await trace(client.traceId), isDecision)).toMatchObject({
      status: { code: ERROR, message: 'Unknown tool' },
      attributes: { 'error.type': 'tool_not_allowed', 'rpc.response.status_code': '-32602' },
    });
  });

  test('a recovery is one trace: the decision before and the one after it', async () => {
    const counter = await openSession(gateway.backendUrl('counter'));
    const { pid } = await counter.call('put', { value: 1 });
    process.kill(pid, 'SIGUSR2');
    const client = await waitFor('a recovery', async () => {
      const span = clientSpan();
      const { text } = await counter.send(call('get'), { traceparent: span.header });
      return text.includes('null') && span;
    });
    const spans = await waitFor('both decisions', async () => {
      const found = await spansOf(client.traceId);
      return found.filter(isDecision).length === 2 && found;
    });
    const recovered = one(spans, ({ attributes }) => attributes['mcp_gateway.recovered'] === true);
    expect(recovered.attributes).toMatchObject({ 'mcp.method.name': 'tools/call', 'mcp_gateway.backend': 'counter' });
    for (const decision of spans.filter(isDecision)) {
      await waitFor('its parents', async () => ancestors(await spansOf(client.traceId), decision).at(-1) === client.spanId);
    }
  });

  test('what stands in a query is in no span', async () => {
    const client = clientSpan();
    await post(`${session.url}?access_token=S3`, call('echo'), { ...session.headers, traceparent: client.header });
    expect(JSON.stringify(await trace(client.traceId))).not.toContain('an-argument');
  });

  test('a trace that the client does not record is not recorded', async () => {
    const [unwanted, wanted] = [clientSpan(), clientSpan()];
    await session.send(call('echo'), { traceparent: unwanted.header.replace(/01$/, '00') });
    await session.send(call('echo'), { traceparent: wanted.header });
    await trace(wanted.traceId);
    expect(await spansOf(unwanted.traceId)).toEqual([]);
  });

  test('probes leave no spans', async () => {
    await fetch(`${gateway.url}/healthz`);
    await fetch(`${gateway.url}/readyz`);
    const client = clientSpan();
    await session.send(call('echo'), { traceparent: client.header });
    await trace(client.traceId);
    const all = (await (await received('/spans')).json()) as ReceivedSpan[];
    expect(all.filter(({ attributes }) => /\/(healthz|readyz)/.test(String(attributes['http.url'])))).toEqual([]);
  });
});

test('without the variables nothing is traced, and a client’s traceparent passes as it came', async () => {
  const gateway = await startGateway({ resources: [backend('raw', { url: upstream.url })] });
  try {
    const session = await waitFor('the backend', () => openSession(gateway.backendUrl('raw')), { timeoutMs: 30_000 });
    const client = clientSpan();
    await session.send(call('echo'), { traceparent: client.header });
    expect(lastCall()?.headers['traceparent']).toBe(client.header);
    expect(await spansOf(client.traceId)).toEqual([]);
  } finally {
    await gateway.stop();
  }
});

test('a collector that is not there costs nothing but its spans', async () => {
  const gateway = await startGateway({
    resources: [backend('raw', { url: upstream.url })],
    env: {
      ...PROMPTLY,
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
      OTEL_EXPORTER_OTLP_TIMEOUT: '200',
      OTEL_BSP_EXPORT_TIMEOUT: '300',
    },
  });
  try {
    const session = await waitFor('the backend', () => openSession(gateway.backendUrl('raw')), { timeoutMs: 30_000 });
    for (let n = 0; n < 20; n += 1) expect((await post(session.url, call('echo'), session.headers)).status).toBe(200);
    await waitFor('the complaint', () => gateway.logs().includes('spans not sent'), { timeoutMs: 30_000 });
  } finally {
    await gateway.stop();
  }
});
