// Access log entries through real protobuf bytes.

import { expect, test } from 'vitest';
import { readLogMessage } from './access-log.ts';
import { loadServices } from './services.ts';

const method = loadServices().accessLog['StreamAccessLogs'];
const decode = (message: object) => readLogMessage(method?.requestSerialize(message) as Buffer);
const readEntries = ({ finished }: ReturnType<typeof decode>) => finished;

const struct = (fields: Record<string, string>) => ({
  fields: Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, { stringValue: value }])),
});

const entry = (facts: object | undefined, more: object = {}) => ({
  common_properties: {
    duration: { seconds: 1, nanos: 500_000 },
    upstream_remote_address: { socket_address: { address: '127.0.0.1', port_value: 9 } },
    upstream_request_attempt_count: 2,
    response_flags: { upstream_connection_failure: true },
    metadata: {
      filter_metadata: {
        'envoy.filters.http.ext_authz': struct({ ...(facts ? { facts: JSON.stringify(facts) } : {}), lease: 'end=k run=red open=blue' }),
        other: struct({ facts: '{"backend":"forged"}' }),
      },
    },
    ...more,
  },
  request: { path: '/mcp', request_id: 'r1', request_method: 3 },
  response: { response_code: { value: 200 }, response_body_bytes: 12, response_code_details: 'via_upstream' },
});

test('an entry says how its request ended', () => {
  const message = decode({
    identifier: { log_name: 'requests' },
    http_logs: { log_entry: [entry({ backend: 'memory', method: 'ping' })] },
  });
  expect(message.logName).toBe('requests');
  expect(readEntries(message)).toEqual([
    {
      requestId: 'r1',
      httpMethod: 'POST',
      path: '/mcp',
      status: 200,
      durationMs: 1000.5,
      attempts: 2,
      responseBytes: 12,
      upstream: '127.0.0.1:9',
      flags: ['upstream_connection_failure'],
      details: 'via_upstream',
      facts: { backend: 'memory', method: 'ping' },
      lease: { ending: 'k', leased: 'red', opens: 'blue' },
      interim: false,
    },
  ]);
});

test('a request without a decision, or whose client went before an answer, is an entry too', () => {
  const [first] = readEntries(decode({ http_logs: { log_entry: [{}] } }));
  expect(first).toMatchObject({ requestId: '', status: 0, durationMs: 0, attempts: 0, facts: {}, flags: [] });
  expect(first?.upstream).toBeUndefined();
  expect(first?.lease).toBeUndefined();
  expect(readEntries(decode({}))).toEqual([]);
});

test('entries of requests that go on say so', () => {
  const message = decode({ http_logs: { log_entry: [entry({}, { intermediate_log_entry: true }), entry({})] } });
  expect(readEntries(message).map(({ interim }) => interim)).toEqual([true, false]);
});

test('facts that are no JSON do not end the process', () => {
  const broken = entry(undefined);
  broken.common_properties.metadata.filter_metadata['envoy.filters.http.ext_authz'] = struct({ facts: '{"backend":' });
  expect(readEntries(decode({ http_logs: { log_entry: [broken] } }))[0]?.facts).toEqual({});
});
