// Access log entries on the wire: each becomes a plain record of one finished request.

import type { RequestFacts } from '../gateway/request.ts';
import { AUTHZ_NAMESPACE, type WireMetadata } from './services.ts';

/** envoy.config.core.v3.RequestMethod. */
const METHODS = [undefined, 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] as const;

interface WireEntry {
  readonly common_properties?: {
    readonly metadata?: WireMetadata;
    readonly response_flags?: Readonly<Record<string, boolean>>;
    readonly route_name?: string;
    readonly duration?: { readonly seconds?: number; readonly nanos?: number };
    readonly upstream_remote_address?: { readonly socket_address?: { readonly address?: string; readonly port_value?: number } };
    readonly upstream_request_attempt_count?: number;
    readonly intermediate_log_entry?: boolean;
  };
  readonly request?: { readonly path?: string; readonly request_id?: string; readonly request_method?: number };
  readonly response?: {
    readonly response_code?: { readonly value?: number };
    readonly response_body_bytes?: number;
    readonly response_code_details?: string;
  };
}

export interface WireLogMessage {
  readonly identifier?: { readonly log_name?: string };
  readonly http_logs?: { readonly log_entry?: readonly WireEntry[] };
}

/** A request that has ended, however it ended. */
export interface FinishedRequest {
  readonly requestId: string;
  readonly httpMethod: string | undefined;
  /** As Envoy forwarded it: after a decision this is the path on the instance. */
  readonly path: string;
  /** 0 when the client went before an answer began. */
  readonly status: number;
  readonly durationMs: number;
  readonly attempts: number;
  readonly responseBytes: number;
  readonly upstream: string | undefined;
  /** Names of Envoy's response flags, e.g. `upstream_connection_failure`. */
  readonly flags: readonly string[];
  /** Envoy's response code details, e.g. `via_upstream`, `internal_redirect`. */
  readonly details: string;
  readonly facts: RequestFacts;
  /** What is to be released or settled by the end of this request. */
  readonly lease: string | undefined;
}

export function readEntries(message: WireLogMessage): FinishedRequest[] {
  const finished: FinishedRequest[] = [];
  for (const entry of message.http_logs?.log_entry ?? []) {
    if (!entry.common_properties?.intermediate_log_entry) finished.push(readEntry(entry));
  }
  return finished;
}

function readEntry(entry: WireEntry): FinishedRequest {
  const common = entry.common_properties ?? {};
  const fields = common.metadata?.filter_metadata?.[AUTHZ_NAMESPACE]?.fields;
  const facts = fields?.['facts']?.stringValue;
  const address = common.upstream_remote_address?.socket_address;
  return {
    requestId: entry.request?.request_id ?? '',
    httpMethod: METHODS[entry.request?.request_method ?? 0],
    path: entry.request?.path ?? '',
    status: entry.response?.response_code?.value ?? 0,
    durationMs: (common.duration?.seconds ?? 0) * 1000 + (common.duration?.nanos ?? 0) / 1e6,
    attempts: common.upstream_request_attempt_count ?? 0,
    responseBytes: entry.response?.response_body_bytes ?? 0,
    upstream: address && `${address.address}:${address.port_value}`,
    flags: Object.entries(common.response_flags ?? {}).flatMap(([flag, set]) => (set === true ? [flag] : [])),
    details: entry.response?.response_code_details ?? '',
    facts: readFacts(facts),
    lease: fields?.['lease']?.stringValue,
  };
}

/** Never throws: it runs where a throw would end the process. */
function readFacts(text: string | undefined): RequestFacts {
  if (text === undefined) return {};
  try {
    return JSON.parse(text) as RequestFacts;
  } catch {
    return {};
  }
}
