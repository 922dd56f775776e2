// What a finished request leaves behind: numbers with a bounded number of labels.

import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { createRequestTelemetry, createSidecarGauges, type RequestRecord } from './requests.ts';

const record = (over: Partial<RequestRecord> = {}): RequestRecord => ({
  requestId: 'r1',
  backend: 'memory',
  httpMethod: 'POST',
  method: 'tools/call',
  tool: 'echo',
  tenant: 'default',
  subject: 'local',
  pod: 'i1',
  status: 200,
  reason: undefined,
  durationMs: 12,
  attempts: 1,
  recovered: false,
  flags: [],
  ...over,
});

function world() {
  const registry = new Registry();
  const lines: RequestRecord[] = [];
  const telemetry = createRequestTelemetry(registry, (records) => void lines.push(...records));
  return { registry, lines, tell: (...records: RequestRecord[]) => telemetry(records) };
}

test('requests are counted by backend, method, status and reason, and told line by line', async () => {
  const { registry, lines, tell } = world();
  tell(record());
  tell(record());
  tell(record({ status: 404, reason: 'session_not_found', recovered: true }));
  const text = await registry.metrics();
  expect(text).toContain('mcp_requests_total{backend="memory",method="tools/call",status="200",reason="ok"} 2');
  expect(text).toContain('mcp_requests_total{backend="memory",method="tools/call",status="404",reason="session_not_found"} 1');
  expect(text).toContain('mcp_recovered_requests_total{backend="memory"} 1');
  expect(text).toContain('mcp_request_duration_seconds_sum{backend="memory",method="tools/call"} 0.036');
  expect(lines).toHaveLength(3);
});

test('clients cannot make series: unknown methods share one, tools and callers are no labels', async () => {
  const { registry, tell } = world();
  for (let n = 0; n < 500; n += 1) tell(record({ method: `x/${n}`, tool: `t${n}`, subject: `s${n}`, requestId: `r${n}`, pod: `p${n}` }));
  const text = await registry.metrics();
  expect(text.split('\n').filter((line) => line.startsWith('mcp_requests_total{'))).toEqual([
    'mcp_requests_total{backend="memory",method="other",status="200",reason="ok"} 500',
  ]);
});

test('GET streams are counted, their length is no duration', async () => {
  const { registry, tell } = world();
  tell(record({ httpMethod: 'GET', method: undefined, durationMs: 3_600_000 }));
  tell(record({ httpMethod: undefined, method: undefined, backend: undefined, status: 0 }));
  const text = await registry.metrics();
  expect(text).toContain('mcp_requests_total{backend="memory",method="GET",status="200",reason="ok"} 1');
  expect(text).toContain('mcp_requests_total{backend="none",method="none",status="0",reason="ok"} 1');
  expect(text).not.toContain('mcp_request_duration_seconds_count{backend="memory"');
});

test('gauges are read when somebody looks', async () => {
  const registry = new Registry();
  let ready = 1;
  createSidecarGauges(registry, { backends: () => 2, ready: () => ready, auditLost: () => 3 });
  ready = 7;
  for (let look = 0; look < 2; look += 1) {
    const text = await registry.metrics();
    expect(text).toContain('mcp_instances_ready 7');
    expect(text).toContain('mcp_audit_lines_lost_total 3');
  }
});
