// The OTEL_* variables as their specification has them: what turns traces on, where they go, and what is wrong with a value.

import { describe, expect, test } from 'vitest';
import { readTraceSettings, type TraceSettings, traceEnvironment } from './trace-settings.ts';

type Env = Readonly<Record<string, string>>;

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };
const settings = (env: Env): TraceSettings => {
  const { settings: found, warnings } = readTraceSettings(env);
  if (!found) throw new Error(`off: ${warnings.join()}`);
  expect(warnings).toEqual([]);
  return found;
};

describe('on and off', () => {
  test.each<[Env]>([[ENDPOINT], [{ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://c/x' }], [{ OTEL_TRACES_EXPORTER: 'otlp' }]])(
    '%j: on',
    (env) => {
      expect(settings(env)).toBeDefined();
    },
  );

  test.each<[Env]>([
    [{}],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }],
    [{ OTEL_SERVICE_NAME: 'x', OTEL_EXPORTER_OTLP_HEADERS: 'a=b' }],
    [{ ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' }],
    [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }],
    [{ ...ENDPOINT, OTEL_TRACES_SAMPLER: 'always_off' }],
    [{ ...ENDPOINT, OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' }],
  ])('%j: off', (env) => {
    expect(readTraceSettings(env)).toEqual({ settings: undefined, warnings: [] });
  });

  test.each<[Env, string]>([
    [{ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'zipkin' }, 'OTEL_TRACES_EXPORTER'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318' }, 'OTEL_EXPORTER_OTLP_ENDPOINT'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'ftp://collector' }, 'OTEL_EXPORTER_OTLP_ENDPOINT'],
  ])('%j: off, and said', (env, variable) => {
    const found = readTraceSettings(env);
    expect(found.settings).toBeUndefined();
    expect(found.warnings.join()).toContain(variable);
  });
});

describe('where they go', () => {
  test.each<[Env, string, string]>([
    [ENDPOINT, 'http/protobuf', 'http://collector:4318/v1/traces'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c/otlp/' }, 'http/protobuf', 'https://c/otlp/v1/traces'],
    [{ ...ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://t:1/mine' }, 'http/protobuf', 'http://t:1/mine'],
    [{ OTEL_TRACES_EXPORTER: 'otlp' }, 'http/protobuf', 'http://localhost:4318/v1/traces'],
    [{ OTEL_TRACES_EXPORTER: 'otlp', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'grpc', 'http://localhost:4317/'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://[::1]:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'grpc', 'http://[::1]:4317/'],
    [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'c:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }, 'grpc', 'https://c:4317/'],
    [
      { OTEL_EXPORTER_OTLP_ENDPOINT: 'c:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_INSECURE: 'true' },
      'grpc',
      'http://c:4317/',
    ],
    [
      { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf' },
      'http/protobuf',
      'http://collector:4318/v1/traces',
    ],
  ])('%j: %s to %s', (env, protocol, endpoint) => {
    const found = settings(env);
    expect([found.protocol, found.endpoint.href]).toEqual([protocol, endpoint]);
  });

  test('a protocol that is not spoken', () => {
    const { settings: found, warnings } = readTraceSettings({ ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json' });
    expect(found?.protocol).toBe('http/protobuf');
    expect(warnings).toHaveLength(1);
  });

  test('headers: decoded, those for traces before those for all, and no value in a warning', () => {
    const { settings: found, warnings } = readTraceSettings({
      ...ENDPOINT,
      OTEL_EXPORTER_OTLP_HEADERS: 'X-Key=a%20b%3D, both=all,bad name=SECRET,broken=%SECRET,SECRET,feed=SECRET%0A',
      OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'both=traces',
    });
    expect(found?.headers).toEqual([
      ['x-key', 'a b='],
      ['both', 'traces'],
    ]);
    expect(warnings).toHaveLength(4);
    expect(warnings.join()).not.toContain('SECRET');
  });

  test('a header that Envoy cannot send over gRPC is said', () => {
    const env = { ...ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS: 'x-key=50%25' };
    expect(settings(env).headers).toEqual([['x-key', '50%']]);
    expect(readTraceSettings({ ...env, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }).warnings).toHaveLength(1);
  });

  test('certificates', () => {
    expect(settings(ENDPOINT).tls).toEqual({ ca: undefined, key: undefined, certificate: undefined });
    const env = {
      OTEL_EXPORTER_OTLP_CERTIFICATE: '/ca',
      OTEL_EXPORTER_OTLP_CLIENT_KEY: '/key',
      OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE: '/crt',
    };
    expect(settings({ ...ENDPOINT, ...env }).tls).toEqual({ ca: '/ca', key: '/key', certificate: '/crt' });
  });
});

describe('who says it', () => {
  test('the name of the service, and what else is said of it', () => {
    expect(settings(ENDPOINT)).toMatchObject({ serviceName: 'mcp-gateway', attributes: [] });
    const env = { ...ENDPOINT, OTEL_RESOURCE_ATTRIBUTES: 'service.name=from-attributes,deployment.environment=a%2Cb' };
    expect(settings(env)).toMatchObject({ serviceName: 'from-attributes', attributes: [['deployment.environment', 'a,b']] });
    expect(settings({ ...env, OTEL_SERVICE_NAME: 'mine' }).serviceName).toBe('mine');
  });
});

describe('how many', () => {
  test.each([
    [undefined, undefined, true, 1],
    ['parentbased_always_on', undefined, true, 1],
    ['parentbased_always_off', undefined, true, 0],
    ['parentbased_traceidratio', '0.25', true, 0.25],
    ['always_on', '0.1', false, 1],
    ['traceidratio', '0.1', false, 0.1],
    ['traceidratio', undefined, false, 1],
  ])('%s %s', (name, arg, parentBased, ratio) => {
    const env = { ...ENDPOINT, ...(name && { OTEL_TRACES_SAMPLER: name }), ...(arg && { OTEL_TRACES_SAMPLER_ARG: arg }) };
    expect(settings(env).sampler).toEqual({ parentBased, ratio });
  });

  test.each([
    ['jaeger_remote', undefined],
    ['traceidratio', '1.5'],
    ['traceidratio', 'x'],
  ])('%s %s is said to be wrong', (name, arg) => {
    const { settings: found, warnings } = readTraceSettings({
      ...ENDPOINT,
      OTEL_TRACES_SAMPLER: name,
      ...(arg && { OTEL_TRACES_SAMPLER_ARG: arg }),
    });
    expect(found?.sampler.ratio).toBe(1);
    expect(warnings).toHaveLength(1);
  });

  test('the queue is bounded, whatever is asked for', () => {
    expect(settings(ENDPOINT)).toMatchObject({ timeoutMs: 10_000, batch: { queue: 2_048, batch: 512, delayMs: 5_000, exportMs: 30_000 } });
    const env = {
      OTEL_BSP_MAX_QUEUE_SIZE: '999999999',
      OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '100',
      OTEL_BSP_SCHEDULE_DELAY: '200',
      OTEL_EXPORTER_OTLP_TIMEOUT: '5',
    };
    expect(settings({ ...ENDPOINT, ...env })).toMatchObject({ timeoutMs: 5, batch: { queue: 65_536, batch: 100, delayMs: 200 } });
    expect(settings({ ...ENDPOINT, OTEL_BSP_MAX_QUEUE_SIZE: '10' }).batch).toMatchObject({ queue: 10, batch: 10 });
    expect(readTraceSettings({ ...ENDPOINT, OTEL_BSP_SCHEDULE_DELAY: '-1' }).warnings).toHaveLength(1);
  });
});

test('sidecars get the variables of OpenTelemetry, and nothing else by this way', () => {
  expect(traceEnvironment({ ...ENDPOINT, OTEL_X: 'y', HOME: '/h', MCP_OTEL_X: '1', OTEL_UNSET: undefined })).toEqual({
    ...ENDPOINT,
    OTEL_X: 'y',
  });
});
