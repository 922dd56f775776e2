// What the span of a decision is called and says, by the semantic conventions of OpenTelemetry for MCP.

import { type ReasonCode, reasonOf, reasons } from '../core/reasons.ts';
import type { RpcFields } from '../core/rpc-peek.ts';
import { knownMethod } from './requests.ts';
import { parseTraceParent, type TraceParent } from './trace-context.ts';

/** What clients choose themselves is cut. */
const MAX_CHARS = 128;

/** A request whose decision is traced. */
export interface CheckTrace {
  /** Of the call's metadata: Envoy's span for it. */
  readonly traceparent: string | undefined;
  readonly tracestate: string | undefined;
  /** Milliseconds since 1970, with their fractions. */
  readonly startedAt: number;
  /** The same moment by the process's own clock. */
  readonly begunAt: number;
  /** The request's own `traceparent` header, set when the request is read. */
  header: string | undefined;
}

/** A decision, with the facts that the access log tells of it. */
export interface CheckOutcome {
  readonly requestId: string;
  /** The second pass of a recovered request. */
  readonly rebound: boolean;
  /** Undefined when the request is let through. */
  readonly status: number | undefined;
  readonly facts: {
    readonly backend?: string | undefined;
    readonly method?: string | undefined;
    readonly tool?: string | undefined;
    readonly tenant?: string | undefined;
    readonly instance?: string | undefined;
    readonly reason?: string | undefined;
    readonly recovered?: boolean | undefined;
  };
  /** The single message of the body, as far as it is known. */
  readonly asked: RpcFields | undefined;
  /** Of the header. */
  readonly protocolVersion: string | undefined;
  /** Key of the session. */
  readonly session: string | undefined;
}

export interface CheckSpan {
  readonly name: string;
  readonly parent: TraceParent | undefined;
  readonly link: TraceParent | undefined;
  readonly attributes: Record<string, string | number | boolean>;
  /** Public message of a refusal. */
  readonly error: string | undefined;
}

/**
 * The parent is Envoy's span, and the span that the message names in `_meta` is linked: one HTTP request is inside the other. When no
 * `traceparent` header comes but the message names a span, that one is the parent, as the conventions have it, and Envoy's span, which
 * had to begin a trace of its own before the body came, is linked. Envoy records nothing of the second pass of a recovered request
 * (it decides on sampling in the first one only); its header then holds the attempt that led to the recovery, which is recorded.
 */
export function checkSpan(trace: CheckTrace, outcome: CheckOutcome): CheckSpan {
  const envoy = parseTraceParent(outcome.rebound ? (trace.header ?? trace.traceparent) : trace.traceparent);
  const message = parseTraceParent(outcome.asked?.traceparent);
  const adopted = trace.header === undefined && message !== undefined;
  const { reason } = outcome.facts;
  return {
    name: nameOf(outcome),
    parent: adopted ? message : (envoy ?? message),
    link: adopted ? envoy : envoy && message,
    attributes: attributesOf(outcome),
    error: reason === undefined ? undefined : isReason(reason) ? reasonOf(reason).message : '',
  };
}

/** Few names for many requests: a method that a client made up is not among them. */
function nameOf({ asked, facts: { method, tool } }: CheckOutcome): string {
  const known = method === undefined ? undefined : knownMethod(method);
  if (known === undefined) return 'mcp request';
  const target = known === 'prompts/get' ? cut(asked?.name) : tool;
  return target === undefined ? known : `${known} ${target}`;
}

function attributesOf({ requestId, status, facts, asked, protocolVersion, session }: CheckOutcome): CheckSpan['attributes'] {
  const { method, tool, reason } = facts;
  const attributes: CheckSpan['attributes'] = { 'network.protocol.name': 'http', 'network.transport': 'tcp' };
  const put = (key: string, value: string | number | boolean | undefined): void => {
    if (value !== undefined) attributes[key] = value;
  };
  if (method !== 'batch') put('mcp.method.name', method);
  put('gen_ai.tool.name', tool);
  if (method === 'tools/call') put('gen_ai.operation.name', 'execute_tool');
  if (method === 'prompts/get') put('gen_ai.prompt.name', cut(asked?.name));
  // A resource's URI may hold what only its readers should see, so it is left out; so are the subject and, as always, the sealed id.
  put('jsonrpc.request.id', asked?.idValue === undefined ? undefined : cut(String(asked.idValue)));
  put('mcp.protocol.version', cut(asked?.protocolVersion ?? protocolVersion));
  put('mcp.session.id', session);
  put('mcp_gateway.request.id', requestId);
  put('mcp_gateway.backend', facts.backend);
  put('mcp_gateway.instance', facts.instance);
  put('mcp_gateway.tenant', facts.tenant);
  put('mcp_gateway.recovered', facts.recovered);
  put('http.response.status_code', status);
  put('error.type', reason);
  // Told only where the answer is that JSON-RPC error: in-band refusals of tool calls are results.
  if (reason !== undefined && isReason(reason) && reasonOf(reason).status === status) {
    const { rpcCode } = reasonOf(reason);
    put('rpc.response.status_code', rpcCode === undefined ? undefined : String(rpcCode));
  }
  return attributes;
}

function isReason(text: string): text is ReasonCode {
  return Object.hasOwn(reasons, text);
}

function cut(text: string | undefined): string | undefined {
  return text === undefined || text.length <= MAX_CHARS ? text : text.slice(0, MAX_CHARS);
}
