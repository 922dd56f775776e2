// The sidecar's spans: one per decision, sent by OpenTelemetry's own SDK, which is loaded only when traces are on.

import type { SpanContext } from '@opentelemetry/api';
import type { SpanExporter } from '@opentelemetry/sdk-trace';
import type { Logger } from 'pino';
import { within } from '../core/within.ts';
import { type CheckOutcome, type CheckTrace, checkSpan } from './check-span.ts';
import type { TraceParent } from './trace-context.ts';
import type { TraceSettings } from './trace-settings.ts';

/** How long the end of the process waits for the last spans. */
const CLOSE_TIMEOUT_MS = 1_000;
/** A collector that is away is told of once in this time. */
const COMPLAIN_MS = 60_000;
const MAX_COMPLAINT_CHARS = 300;

export interface Tracing {
  /** A Check has come; `traceparent` and `tracestate` are those of the call's metadata. */
  begin(traceparent: string | undefined, tracestate: string | undefined): CheckTrace;
  /** It is answered. */
  end(trace: CheckTrace, outcome: CheckOutcome): void;
  /** Sends what is left, for at most a second. */
  close(): Promise<void>;
}

export interface TracingOptions {
  readonly settings: TraceSettings;
  /** `service.instance.id`. */
  readonly process: string;
  readonly log: Logger;
}

/**
 * Certificates of the collector and compression are taken by the exporter itself, from the OTEL_* variables of this process.
 * The queue is bounded: a collector that is slow costs spans, not memory or time of requests.
 */
export async function startTracing({ settings, process: name, log }: TracingOptions): Promise<Tracing> {
  const { diag, DiagLogLevel, ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, createTraceState, trace } = await import(
    '@opentelemetry/api'
  );
  const { AlwaysOffSampler, AlwaysOnSampler, BatchSpanProcessor, ParentBasedSampler, TraceIdRatioBasedSampler, TracerProvider } =
    await import('@opentelemetry/sdk-trace');
  const { resourceFromAttributes } = await import('@opentelemetry/resources');
  const complain = createComplaints(log);
  diag.setLogger({ error: complain, warn: complain, info() {}, debug() {}, verbose() {} }, DiagLogLevel.WARN);

  const { parentBased, ratio } = settings.sampler;
  const root = ratio === 1 ? new AlwaysOnSampler() : ratio === 0 ? new AlwaysOffSampler() : new TraceIdRatioBasedSampler(ratio);
  const { queue, batch, delayMs, exportMs } = settings.batch;
  const provider = new TracerProvider({
    sampler: parentBased ? new ParentBasedSampler({ root }) : root,
    resource: resourceFromAttributes({
      'service.name': settings.serviceName,
      'service.instance.id': name,
      ...Object.fromEntries(settings.attributes),
    }),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: await createExporter(settings),
        maxQueueSize: queue,
        maxExportBatchSize: batch,
        scheduledDelayMillis: delayMs,
        exportTimeoutMillis: exportMs,
      }),
    ],
  });
  const tracer = provider.getTracer('mcp-gateway');
  const now = createWallClock();
  const contextOf = ({ traceId, spanId, sampled }: TraceParent, state?: string): SpanContext => ({
    traceId,
    spanId,
    traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(state === undefined ? {} : { traceState: createTraceState(state) }),
  });

  return {
    begin: (traceparent, tracestate) => ({
      traceparent,
      tracestate,
      startedAt: now(),
      begunAt: performance.now(),
      header: undefined,
    }),
    end(check, outcome) {
      const { name: title, parent, link, attributes, error } = checkSpan(check, outcome);
      const context = parent
        ? trace.setSpanContext(ROOT_CONTEXT, contextOf(parent, link === parent ? undefined : check.tracestate))
        : ROOT_CONTEXT;
      const links = link ? [{ context: contextOf(link) }] : [];
      const span = tracer.startSpan(title, { kind: SpanKind.SERVER, startTime: check.startedAt, attributes, links }, context);
      if (error !== undefined) span.setStatus({ code: SpanStatusCode.ERROR, message: error });
      span.end(check.startedAt + performance.now() - check.begunAt);
    },
    close: () => within(provider.shutdown(), CLOSE_TIMEOUT_MS).catch(() => {}),
  };
}

async function createExporter({ protocol, endpoint, headers, timeoutMs }: TraceSettings): Promise<SpanExporter> {
  if (protocol === 'http/protobuf') {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto');
    return new OTLPTraceExporter({ url: endpoint.href, headers: Object.fromEntries(headers), timeoutMillis: timeoutMs });
  }
  const { Metadata } = await import('@grpc/grpc-js');
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-grpc');
  const metadata = new Metadata();
  for (const [key, value] of headers) metadata.set(key, value);
  return new OTLPTraceExporter({ url: `${endpoint.protocol}//${endpoint.host}`, metadata, timeoutMillis: timeoutMs });
}

/** What the SDK complains about: it may come with each batch. */
function createComplaints(log: Logger): (message: string) => void {
  let lastAt = Number.NEGATIVE_INFINITY;
  return (message) => {
    if (performance.now() - lastAt < COMPLAIN_MS) return;
    lastAt = performance.now();
    log.warn({ why: message.slice(0, MAX_COMPLAINT_CHARS) }, 'spans not sent');
  };
}

/** Milliseconds since 1970, finer than Date's: a span must not seem to begin before its parent. */
function createWallClock(): () => number {
  let offset = performance.timeOrigin;
  return () => {
    const time = offset + performance.now();
    const wall = Date.now();
    // The machine's clock was set, or has drifted away.
    if (Math.abs(time - wall) > 2) offset = wall - performance.now();
    return offset + performance.now();
  };
}
