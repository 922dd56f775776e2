// One finished request: a line for people and programs, and numbers for the metrics.

import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** Any client may send any method: unknown ones share one label value, so that the number of series is bounded. */
const METHODS: ReadonlySet<string> = new Set([
  'initialize',
  'ping',
  'batch',
  'tools/call',
  'tools/list',
  'prompts/get',
  'prompts/list',
  'resources/list',
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'resources/templates/list',
  'completion/complete',
  'logging/setLevel',
  'server/discover',
  'subscriptions/listen',
  'tasks/get',
  'tasks/list',
  'tasks/result',
  'tasks/cancel',
  'tasks/update',
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
]);

/** Undefined for a method that a client may have made up. */
export function knownMethod(method: string): string | undefined {
  return METHODS.has(method) ? method : undefined;
}

/** A request that has ended. `status` is 0 when the client went before an answer began. */
export interface RequestRecord {
  readonly requestId: string;
  readonly backend: string | undefined;
  readonly httpMethod: string | undefined;
  readonly method: string | undefined;
  readonly tool: string | undefined;
  readonly tenant: string | undefined;
  readonly subject: string | undefined;
  readonly pod: string | undefined;
  readonly status: number;
  readonly reason: string | undefined;
  readonly durationMs: number;
  readonly attempts: number;
  readonly recovered: boolean;
  readonly flags: readonly string[];
}

export type RecordRequests = (records: readonly RequestRecord[]) => void;

/** `lines` writes a structured line for each. */
export function createRequestTelemetry(registry: Registry, lines: (records: readonly RequestRecord[]) => void): RecordRequests {
  const labels = ['backend', 'method', 'status', 'reason'] as const;
  const requests = new Counter({
    name: 'mcp_requests_total',
    help: 'MCP requests that have ended.',
    labelNames: labels,
    registers: [registry],
  });
  const recovered = new Counter({
    name: 'mcp_recovered_requests_total',
    help: 'Requests that were answered although their instance was gone.',
    labelNames: ['backend'],
    registers: [registry],
  });
  const seconds = new Histogram({
    name: 'mcp_request_duration_seconds',
    help: 'From the first byte of a request to the last byte of its answer; event streams count until they close.',
    labelNames: ['backend', 'method'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [registry],
  });

  const count = (record: RequestRecord): void => {
    const backend = record.backend ?? 'none';
    const method = record.method === undefined ? (record.httpMethod ?? 'none') : (knownMethod(record.method) ?? 'other');
    requests.inc({ backend, method, status: String(record.status), reason: record.reason ?? 'ok' });
    if (record.recovered) recovered.inc({ backend });
    if (record.httpMethod !== 'GET') seconds.observe({ backend, method }, record.durationMs / 1000);
  };

  return (records) => {
    for (const record of records) count(record);
    lines(records);
  };
}

export interface SidecarNumbers {
  readonly backends: () => number;
  readonly ready: () => number;
  /** Lines of the audit log that could not be written in time. */
  readonly auditLost: () => number;
}

/** Numbers of this process that are read when somebody looks. */
export function createSidecarGauges(registry: Registry, read: SidecarNumbers): void {
  new Counter({
    name: 'mcp_audit_lines_lost_total',
    help: 'Lines of the audit log that were lost because they could not be written in time.',
    registers: [registry],
    collect() {
      this.reset();
      this.inc(read.auditLost());
    },
  });
  new Gauge({
    name: 'mcp_backends',
    help: 'Backends in the directory.',
    registers: [registry],
    collect() {
      this.set(read.backends());
    },
  });
  new Gauge({
    name: 'mcp_instances_ready',
    help: 'Instances that take new sessions.',
    registers: [registry],
    collect() {
      this.set(read.ready());
    },
  });
}
