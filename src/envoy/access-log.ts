// Access log entries on the wire: each becomes a plain record of one finished request.

import { createBoundedCache } from '../core/bounded-cache.ts';
import type { RequestFacts } from '../gateway/request.ts';
import { ProtoReader } from './proto-reader.ts';
import { AUTHZ_NAMESPACE } from './services.ts';

/** envoy.config.core.v3.RequestMethod. */
const METHODS = [undefined, 'GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] as const;

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
  readonly lease: Lease | undefined;
  /** The request goes on: a report of a long one. */
  readonly interim: boolean;
}

/**
 * `ending`: key of the session whose DELETE it is. `leased`: tenant whose place among its requests under way it holds. `opens`: tenant among
 * whose sessions it has a slot reserved, in case that no session comes of it.
 */
export interface Lease {
  readonly ending: string | undefined;
  readonly leased: string | undefined;
  readonly opens: string | undefined;
}

/** One message of the log stream; only the first one of a stream says which logger it is. */
export interface LogMessage {
  readonly logName: string | undefined;
  readonly finished: readonly FinishedRequest[];
}

type Draft = { -readonly [Field in keyof FinishedRequest]: FinishedRequest[Field] } & { flags: string[] };

/** Field numbers of the messages in proto/envoy; a test holds what is read here against proto-loader. */
const FLAGS: ReadonlyMap<number, string> = new Map([
  [2, 'no_healthy_upstream'],
  [3, 'upstream_request_timeout'],
  [5, 'upstream_remote_reset'],
  [6, 'upstream_connection_failure'],
  [7, 'upstream_connection_termination'],
  [8, 'upstream_overflow'],
  [9, 'no_route_found'],
  [15, 'downstream_connection_termination'],
  [16, 'upstream_retry_limit_exceeded'],
  [19, 'downstream_protocol_error'],
]);

/** Most requests of a session leave the same facts: parsing them once is enough. */
const parsedFacts = createBoundedCache<string, RequestFacts>(4_096);

/**
 * StreamAccessLogsMessage, read by hand: an entry has about sixty fields, of which eleven are wanted.
 * @throws RangeError for bytes that are no protobuf message.
 */
export function readLogMessage(bytes: Buffer): LogMessage {
  let logName: string | undefined;
  const finished: FinishedRequest[] = [];
  new ProtoReader(bytes).fields(bytes.length, (field, message) => {
    if (field === 1) {
      message.fields(message.nested(), (part, identifier) => {
        if (part === 2) logName = identifier.text();
      });
    } else if (field === 2) {
      message.fields(message.nested(), (part, entries) => {
        if (part !== 1) return;
        finished.push(readEntry(entries));
      });
    }
  });
  return { logName, finished };
}

function readEntry(reader: ProtoReader): FinishedRequest {
  const draft: Draft = {
    requestId: '',
    httpMethod: undefined,
    path: '',
    status: 0,
    durationMs: 0,
    attempts: 0,
    responseBytes: 0,
    upstream: undefined,
    flags: [],
    details: '',
    facts: {},
    lease: undefined,
    interim: false,
  };
  reader.fields(reader.nested(), (field, entry) => {
    if (field === 1) {
      entry.fields(entry.nested(), (part) => {
        if (part === 27) draft.interim = entry.varint() === 1;
        else readCommon(part, entry, draft);
      });
    }
    if (field === 3) entry.fields(entry.nested(), (part) => readRequest(part, entry, draft));
    else if (field === 4) entry.fields(entry.nested(), (part) => readResponse(part, entry, draft));
  });
  return draft;
}

function readCommon(field: number, reader: ProtoReader, draft: Draft): void {
  if (field === 13) draft.upstream = readAddress(reader);
  else if (field === 16) {
    reader.fields(reader.nested(), (flag) => {
      const name = FLAGS.get(flag);
      if (name !== undefined && reader.varint() === 1) draft.flags.push(name);
    });
  } else if (field === 17) reader.fields(reader.nested(), (part) => part === 1 && readMetadata(reader, draft));
  else if (field === 23) {
    reader.fields(reader.nested(), (part) => {
      if (part === 1) draft.durationMs += reader.varint() * 1000;
      else if (part === 2) draft.durationMs += reader.varint() / 1e6;
    });
  } else if (field === 24) draft.attempts = reader.varint();
}

function readRequest(field: number, reader: ProtoReader, draft: Draft): void {
  if (field === 1) draft.httpMethod = METHODS[reader.varint()];
  else if (field === 5) draft.path = reader.text();
  else if (field === 9) draft.requestId = reader.text();
}

function readResponse(field: number, reader: ProtoReader, draft: Draft): void {
  if (field === 1) {
    reader.fields(reader.nested(), (part) => {
      if (part === 1) draft.status = reader.varint();
    });
  } else if (field === 3) draft.responseBytes = reader.varint();
  else if (field === 6) draft.details = reader.text();
}

/** `ip:port`; undefined for a unix socket. */
function readAddress(reader: ProtoReader): string | undefined {
  let host = '';
  let port = 0;
  reader.fields(reader.nested(), (field) => {
    if (field !== 1) return;
    reader.fields(reader.nested(), (part) => {
      if (part === 2) host = reader.text();
      else if (part === 3) port = reader.varint();
    });
  });
  return host === '' ? undefined : `${host}:${port}`;
}

/** One entry of the map of metadata; only what ext_authz left is looked at. */
function readMetadata(reader: ProtoReader, draft: Draft): void {
  let ours = false;
  reader.fields(reader.nested(), (field) => {
    if (field === 1) ours = reader.text() === AUTHZ_NAMESPACE;
    else if (field === 2 && ours) reader.fields(reader.nested(), (part) => part === 1 && readMetadataField(reader, draft));
  });
}

function readMetadataField(reader: ProtoReader, draft: Draft): void {
  let name = '';
  let value: string | undefined;
  reader.fields(reader.nested(), (field) => {
    if (field === 1) name = reader.text();
    else if (field === 2 && (name === 'facts' || name === 'lease')) {
      reader.fields(reader.nested(), (part) => {
        if (part === 3) value = reader.text();
      });
    }
  });
  if (name === 'facts') draft.facts = factsOf(value);
  else if (name === 'lease' && value !== undefined) draft.lease = readLease(value);
}

/** As `leaseText` of check-response.ts writes it. */
function readLease(text: string): Lease {
  const part = (pattern: RegExp): string | undefined => pattern.exec(text)?.[1];
  return { ending: part(/(?:^| )end=(\S+)/), leased: part(/(?:^| )run=(\S+)/), opens: part(/(?:^| )open=(\S+)/) };
}

/** Never throws: it runs where a throw would end the stream. */
function factsOf(text: string | undefined): RequestFacts {
  if (text === undefined) return {};
  const known = parsedFacts.get(text);
  if (known) return known;
  try {
    const facts = JSON.parse(text) as RequestFacts;
    parsedFacts.set(text, facts);
    return facts;
  } catch {
    return {};
  }
}
