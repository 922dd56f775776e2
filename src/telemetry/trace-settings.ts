// The OTEL_* variables that everybody knows, as far as traces need them: whether there are any, where they go, and how many.

/** As many as SDKs of OpenTelemetry have by default (OTEL_BSP_*); no variable makes the queue larger than the last. */
const BATCH = { queue: 2_048, batch: 512, delayMs: 5_000, exportMs: 30_000 } as const;
const MAX_QUEUE = 65_536;
const MAX_DELAY_MS = 600_000;
const EXPORT_TIMEOUT_MS = 10_000;
const DEFAULT_SERVICE = 'mcp-gateway';
const DEFAULT_PORTS = { grpc: 4317, 'http/protobuf': 4318 } as const;
const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/;
const HEADER_VALUE = /^[\x20-\x7e]*$/;

export interface TraceSettings {
  readonly protocol: 'grpc' | 'http/protobuf';
  /** With `http/protobuf` the URL that is posted to; with `grpc` only scheme, host and port count. */
  readonly endpoint: URL;
  /** May hold an API key: never in a log, a status or the arguments of a process. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** PEM files; the collector's certificate is checked against the system's authorities when there is no `ca`. */
  readonly tls: { readonly ca: string | undefined; readonly key: string | undefined; readonly certificate: string | undefined };
  readonly timeoutMs: number;
  readonly serviceName: string;
  /** Of the resource, `service.name` not among them. */
  readonly attributes: readonly (readonly [key: string, value: string])[];
  readonly sampler: {
    /** What the caller's trace says counts, if there is one. */
    readonly parentBased: boolean;
    /** Of the others. */
    readonly ratio: number;
  };
  readonly batch: { readonly queue: number; readonly batch: number; readonly delayMs: number; readonly exportMs: number };
}

/** `settings` is undefined when traces are off. `warnings` name variables that were not understood; a value is never in them. */
export interface TraceChoice {
  readonly settings: TraceSettings | undefined;
  readonly warnings: readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * On when an OTLP endpoint is named, or `OTEL_TRACES_EXPORTER` is `otlp`; `OTEL_SDK_DISABLED`, the exporter `none` and the sampler
 * `always_off` turn them off. As the specification wants it, a value that is wrong is warned about, and its default is taken.
 */
export function readTraceSettings(env: Environment): TraceChoice {
  const warnings: string[] = [];
  const read = (name: string): string | undefined => env[name]?.trim() || undefined;
  /** The variable for traces goes before the one for all signals. */
  const otlp = (name: string): string | undefined => read(`OTEL_EXPORTER_OTLP_TRACES_${name}`) ?? read(`OTEL_EXPORTER_OTLP_${name}`);
  const number = (name: string, value: string | undefined, fallback: number, max: number): number => {
    if (value === undefined) return fallback;
    if (/^\d{1,9}$/.test(value)) return Math.min(Number(value), max);
    warnings.push(`${name} is not a number of milliseconds or things: ${fallback} is taken`);
    return fallback;
  };

  const exporter = read('OTEL_TRACES_EXPORTER');
  const wanted = otlp('ENDPOINT') !== undefined || exporter === 'otlp';
  if (read('OTEL_SDK_DISABLED')?.toLowerCase() === 'true' || exporter === 'none' || !wanted) return { settings: undefined, warnings };
  if (exporter !== undefined && exporter !== 'otlp') {
    warnings.push('OTEL_TRACES_EXPORTER knows only `otlp` and `none` here: no traces are sent');
    return { settings: undefined, warnings };
  }
  const sampler = readSampler(read('OTEL_TRACES_SAMPLER'), read('OTEL_TRACES_SAMPLER_ARG'), warnings);
  if (!sampler.parentBased && sampler.ratio === 0) return { settings: undefined, warnings };

  const protocol = readProtocol(otlp('PROTOCOL'), warnings);
  const endpoint = readEndpoint(
    protocol,
    read('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT'),
    read('OTEL_EXPORTER_OTLP_ENDPOINT'),
    otlp('INSECURE'),
  );
  if (!endpoint) {
    warnings.push('OTEL_EXPORTER_OTLP_ENDPOINT is not a URL: no traces are sent');
    return { settings: undefined, warnings };
  }
  const headers = readHeaders(read, warnings);
  if (protocol === 'grpc' && headers.some(([, value]) => value.includes('%'))) {
    warnings.push('OTEL_EXPORTER_OTLP_HEADERS has a per cent sign, which Envoy cannot send over gRPC: use the protocol http/protobuf');
  }
  const attributes = new Map(readPairs('OTEL_RESOURCE_ATTRIBUTES', read('OTEL_RESOURCE_ATTRIBUTES'), warnings));
  const serviceName = read('OTEL_SERVICE_NAME') ?? attributes.get('service.name') ?? DEFAULT_SERVICE;
  attributes.delete('service.name');
  const queue = Math.max(1, number('OTEL_BSP_MAX_QUEUE_SIZE', read('OTEL_BSP_MAX_QUEUE_SIZE'), BATCH.queue, MAX_QUEUE));
  return {
    settings: {
      protocol,
      endpoint,
      headers,
      tls: { ca: otlp('CERTIFICATE'), key: otlp('CLIENT_KEY'), certificate: otlp('CLIENT_CERTIFICATE') },
      timeoutMs: Math.max(1, number('OTEL_EXPORTER_OTLP_TIMEOUT', otlp('TIMEOUT'), EXPORT_TIMEOUT_MS, MAX_DELAY_MS)),
      serviceName,
      attributes: [...attributes],
      sampler,
      batch: {
        queue,
        batch: Math.max(
          1,
          number('OTEL_BSP_MAX_EXPORT_BATCH_SIZE', read('OTEL_BSP_MAX_EXPORT_BATCH_SIZE'), Math.min(BATCH.batch, queue), queue),
        ),
        delayMs: Math.max(1, number('OTEL_BSP_SCHEDULE_DELAY', read('OTEL_BSP_SCHEDULE_DELAY'), BATCH.delayMs, MAX_DELAY_MS)),
        exportMs: Math.max(1, number('OTEL_BSP_EXPORT_TIMEOUT', read('OTEL_BSP_EXPORT_TIMEOUT'), BATCH.exportMs, MAX_DELAY_MS)),
      },
    },
    warnings,
  };
}

/** The variables that a sidecar process needs of the supervisor's environment, and that no server process may have. */
export function traceEnvironment(env: Environment): Record<string, string> {
  const chosen: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) if (value !== undefined && name.startsWith('OTEL_')) chosen[name] = value;
  return chosen;
}

function readSampler(name: string | undefined, arg: string | undefined, warnings: string[]): TraceSettings['sampler'] {
  switch (name) {
    case undefined:
    case 'parentbased_always_on':
      return { parentBased: true, ratio: 1 };
    case 'parentbased_always_off':
      return { parentBased: true, ratio: 0 };
    case 'parentbased_traceidratio':
      return { parentBased: true, ratio: readRatio(arg, warnings) };
    case 'always_on':
      return { parentBased: false, ratio: 1 };
    case 'always_off':
      return { parentBased: false, ratio: 0 };
    case 'traceidratio':
      return { parentBased: false, ratio: readRatio(arg, warnings) };
    default:
      warnings.push('OTEL_TRACES_SAMPLER names no sampler that is known here: parentbased_always_on is taken');
      return { parentBased: true, ratio: 1 };
  }
}

function readRatio(arg: string | undefined, warnings: string[]): number {
  if (arg === undefined) return 1;
  const ratio = Number(arg);
  if (ratio >= 0 && ratio <= 1) return ratio;
  warnings.push('OTEL_TRACES_SAMPLER_ARG is no number from 0 to 1: 1 is taken');
  return 1;
}

function readProtocol(name: string | undefined, warnings: string[]): TraceSettings['protocol'] {
  if (name === 'grpc' || name === 'http/protobuf') return name;
  if (name !== undefined) warnings.push('OTEL_EXPORTER_OTLP_PROTOCOL knows `grpc` and `http/protobuf` here: http/protobuf is taken');
  return 'http/protobuf';
}

function readEndpoint(
  protocol: TraceSettings['protocol'],
  forTraces: string | undefined,
  forAll: string | undefined,
  insecure: string | undefined,
): URL | undefined {
  const text = forTraces ?? forAll ?? `http://localhost:${DEFAULT_PORTS[protocol]}`;
  // gRPC targets are also written without a scheme.
  const bare = protocol === 'grpc' && !text.includes('://');
  const whole = bare ? `${insecure?.toLowerCase() === 'true' ? 'http' : 'https'}://${text}` : text;
  if (!URL.canParse(whole)) return undefined;
  const url = new URL(whole);
  if (!/^https?:$/.test(url.protocol)) return undefined;
  // Only the endpoint for all signals is completed; the one for traces is what it says.
  if (protocol === 'http/protobuf' && forTraces === undefined) url.pathname = `${url.pathname.replace(/\/$/, '')}/v1/traces`;
  return url;
}

function readHeaders(read: (name: string) => string | undefined, warnings: string[]): [string, string][] {
  const headers = new Map<string, string>();
  for (const name of ['OTEL_EXPORTER_OTLP_HEADERS', 'OTEL_EXPORTER_OTLP_TRACES_HEADERS']) {
    for (const [key, value] of readPairs(name, read(name), warnings)) {
      const lower = key.toLowerCase();
      if (HEADER_NAME.test(lower) && HEADER_VALUE.test(value)) headers.set(lower, value);
      else warnings.push(`${name} has a pair that is no header: it is left out`);
    }
  }
  return [...headers];
}

/** `key=value,key=value`, the values percent-encoded (W3C Baggage without its properties). */
function readPairs(name: string, text: string | undefined, warnings: string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (const part of text?.split(',') ?? []) {
    if (part.trim() === '') continue;
    const at = part.indexOf('=');
    const key = part.slice(0, at).trim();
    try {
      if (at < 1 || key === '') throw new URIError('no key');
      pairs.push([key, decodeURIComponent(part.slice(at + 1).trim())]);
    } catch {
      warnings.push(`${name} has a part that is not key=value: it is left out`);
    }
  }
  return pairs;
}
