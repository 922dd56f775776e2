// Envoy's tracer as it is rendered for what OTEL_* variables say: the real Envoy accepts it.

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { renderBootstrap } from '../../src/envoy/bootstrap.ts';
import { readTraceSettings } from '../../src/telemetry/trace-settings.ts';
import { envoyBinary } from '../setup/tools.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'envoy-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

function render(env: Readonly<Record<string, string>>): string {
  return renderBootstrap({
    listen: { host: '127.0.0.1', port: 0 },
    hosts: ['localhost'],
    adminSocket: join(folder, 'admin.sock'),
    control: join(folder, 'control.sock'),
    sidecars: [{ grpc: join(folder, '0.sock'), http: join(folder, '0-http.sock') }],
    tracing: readTraceSettings(env).settings,
  });
}

const HEADERS = { OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Basic%20YTpi,x-key=50%25' };
const ATTRIBUTES = { OTEL_SERVICE_NAME: 'gw', OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=prod' };

test.each<[Readonly<Record<string, string>>]>([
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://localhost:4318', ...HEADERS, ...ATTRIBUTES }],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://[::1]:4317', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', ...HEADERS, ...ATTRIBUTES }],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://collector.example.com', OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc', OTEL_TRACES_SAMPLER: 'always_on' }],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://10.0.0.1/x', OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.25' }],
  [{ OTEL_TRACES_EXPORTER: 'otlp', OTEL_TRACES_SAMPLER: 'parentbased_traceidratio', OTEL_TRACES_SAMPLER_ARG: '0.0001' }],
])('%j', async (env) => {
  const file = join(folder, 'envoy.json');
  writeFileSync(file, render(env));
  const args = ['--mode', 'validate', '-c', file, '--log-level', 'warning', '--disable-hot-restart'];
  const { stdout, stderr } = await promisify(execFile)(envoyBinary(), args);
  expect(stdout).toContain('OK');
  // An exporter that cannot be made is a warning to Envoy.
  expect(stderr).not.toContain('tracing');
});

test('without a collector nothing is added', () => {
  expect(render({ OTEL_SERVICE_NAME: 'gw' })).not.toMatch(/otel|tracing/i);
});
