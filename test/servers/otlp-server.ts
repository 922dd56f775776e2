// A collector of traces as a process of its own: takes OTLP over HTTP and gRPC, and tells at /spans what it has got.

import { createServer, type IncomingMessage } from 'node:http';
import { fileURLToPath } from 'node:url';
import {
  loadPackageDefinition,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServiceDefinition,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { listen } from './listen.ts';

/** One span as tests look at it; ids in hex. */
export interface ReceivedSpan {
  readonly traceId: string;
  readonly spanId: string;
  /** Empty for a root. */
  readonly parentId: string;
  readonly name: string;
  /** 2: server, 3: client. */
  readonly kind: number;
  readonly durationMs: number;
  /** Nanoseconds since 1970, as a decimal text. */
  readonly start: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly resource: Readonly<Record<string, unknown>>;
  readonly links: readonly { readonly traceId: string; readonly spanId: string }[];
  /** 2: error. */
  readonly status: { readonly code?: number; readonly message?: string };
  /** How it came. */
  readonly over: 'http' | 'grpc';
  /** The request header `x-key` that it came with. */
  readonly key: string | undefined;
}

interface WireAttribute {
  readonly key: string;
  readonly value?: Readonly<Record<string, unknown>>;
}
interface WireSpan {
  readonly trace_id: Buffer;
  readonly span_id: Buffer;
  readonly parent_span_id?: Buffer;
  readonly name: string;
  readonly kind: number;
  readonly start_time_unix_nano: string;
  readonly end_time_unix_nano: string;
  readonly attributes?: readonly WireAttribute[];
  readonly links?: readonly { readonly trace_id: Buffer; readonly span_id: Buffer }[];
  readonly status?: ReceivedSpan['status'];
}
interface WireExport {
  readonly resource_spans?: readonly {
    readonly resource?: { readonly attributes?: readonly WireAttribute[] };
    readonly scope_spans?: readonly { readonly spans?: readonly WireSpan[] }[];
  }[];
}

const definition = loadSync(fileURLToPath(new URL('../fixtures/otlp/collector.proto', import.meta.url)), { keepCase: true, longs: String });
const packages = loadPackageDefinition(definition) as unknown as {
  opentelemetry: { proto: { collector: { trace: { v1: { TraceService: { service: ServiceDefinition } } } } } };
};
const { service } = packages.opentelemetry.proto.collector.trace.v1.TraceService;
const spans: ReceivedSpan[] = [];

function keep(message: WireExport, over: ReceivedSpan['over'], key: string | undefined): void {
  for (const { resource, scope_spans: scopes } of message.resource_spans ?? []) {
    for (const span of (scopes ?? []).flatMap((scope) => scope.spans ?? [])) {
      const { start_time_unix_nano: start, end_time_unix_nano: end } = span;
      spans.push({
        traceId: span.trace_id.toString('hex'),
        spanId: span.span_id.toString('hex'),
        parentId: span.parent_span_id?.toString('hex') ?? '',
        name: span.name,
        kind: span.kind,
        start,
        durationMs: Number(BigInt(end) - BigInt(start)) / 1e6,
        attributes: valuesOf(span.attributes),
        resource: valuesOf(resource?.attributes),
        links: (span.links ?? []).map((link) => ({ traceId: link.trace_id.toString('hex'), spanId: link.span_id.toString('hex') })),
        status: span.status ?? {},
        over,
        key,
      });
    }
  }
}

function valuesOf(attributes: readonly WireAttribute[] = []): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value = {} }) => [key, Object.values(value)[0]]));
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

const grpc = new Server();
grpc.addService(service, {
  Export(call: ServerUnaryCall<WireExport, object>, callback: sendUnaryData<object>) {
    keep(call.request, 'grpc', call.metadata.get('x-key')[0]?.toString());
    callback(null, {});
  },
});
const grpcPort = await new Promise<number>((resolve, reject) => {
  grpc.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => (error ? reject(error) : resolve(port)));
});

await listen(
  createServer(async (request, response) => {
    if (request.method === 'POST' && request.url === '/v1/traces') {
      const message = service['Export']?.requestDeserialize(await bodyOf(request)) as WireExport;
      keep(message, 'http', request.headers['x-key'] as string | undefined);
      return void response.writeHead(200, { 'content-type': 'application/x-protobuf' }).end();
    }
    if (request.url === '/spans') return void response.end(JSON.stringify(spans));
    if (request.url === '/grpc-port') return void response.end(String(grpcPort));
    response.writeHead(404).end();
  }),
);
