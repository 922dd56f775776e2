// Step 6 of a decision: rules on tools, enforced on calls and on lists, so that a hidden tool looks like one that does not exist.

import type { SealedSessionId, UpstreamSessionId } from '../core/ids.ts';
import { filterToolsList } from '../core/list-filter.ts';
import { mapSseData, withoutEventIds } from '../core/sse.ts';
import { type CompiledToolRules, compileToolRules, toolAllowed } from '../core/tool-rules.ts';
import type { Backend, Instance, ToolRules } from '../directory/snapshot.ts';
import { type Case, factsOf } from './case.ts';
import { identityHeaders } from './identity-headers.ts';
import { refuse } from './refusal.ts';
import type { Answer, Decision, RequestFacts } from './request.ts';
import { isEventStream } from './rpc-answer.ts';
import { type CallUpstream, type UpstreamAnswer, UpstreamUnreachable } from './upstream.ts';

const LIST_TIMEOUT_MS = 30_000;
/** Answer headers that describe the connection or the body as it was before the filter. */
const HOP_HEADERS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'mcp-session-id',
  'date',
]);

/** Rules of a snapshot that is no longer used go with it. */
const compiled = new WeakMap<ToolRules, CompiledToolRules>();

/** The rules of the backend and of the caller's tenant: a tool must be allowed by both. */
export interface Ruled {
  readonly backend: Pick<Backend, 'tools'>;
  readonly caller: { readonly policy: { readonly tools: ToolRules | undefined } | undefined };
}

export const hasToolRules = ({ backend, caller }: Ruled): boolean => backend.tools !== undefined || caller.policy?.tools !== undefined;

function toolVisible({ backend, caller }: Ruled, name: string): boolean {
  const tenant = caller.policy?.tools;
  return (!backend.tools || allowed(backend.tools, name)) && (!tenant || allowed(tenant, name));
}

function allowed(rules: ToolRules, name: string): boolean {
  let ready = compiled.get(rules);
  if (!ready) {
    ready = compileToolRules(rules);
    compiled.set(rules, ready);
  }
  return toolAllowed(ready, name);
}

/** A refusal when a call is not allowed; a batch is refused as a whole. */
export function refuseTools(theCase: Case): Answer | undefined {
  const { asked } = theCase;
  if (!hasToolRules(theCase)) return undefined;
  if (asked.batch && asked.messages.some((message) => message.method === 'tools/list')) {
    return refuse('invalid_request', { data: 'tools/list inside a batch cannot be filtered: send it alone', facts: factsOf(theCase) });
  }
  for (const message of asked.messages) {
    if (message.method !== 'tools/call') continue;
    // A call without a readable name is no call that a rule can allow.
    if (message.name !== undefined && toolVisible(theCase, message.name)) continue;
    if (asked.batch) return refuse('invalid_request', { data: 'a call in the batch is not allowed', facts: factsOf(theCase) });
    return refuse('tool_not_allowed', { rpcId: message.id, message: `Unknown tool: ${message.name ?? ''}`, facts: factsOf(theCase) });
  }
  return undefined;
}

/** The session in whose name a list is read. */
export interface ListSession {
  readonly id: SealedSessionId;
  readonly upstreamId: UpstreamSessionId;
}

export interface ToolLists {
  /** Whether the answer has to be filtered: then it is read and given here instead of streaming through Envoy. */
  wanted(theCase: Case): boolean;
  /** `elsewhere`: what to do when the instance cannot be reached or does not know the session; undefined when that was done already. */
  answer(
    theCase: Case,
    instance: Instance,
    session: ListSession | undefined,
    elsewhere: (() => Decision | Promise<Decision>) | undefined,
  ): Promise<Decision>;
}

export function createToolLists(call: CallUpstream): ToolLists {
  return {
    wanted: (theCase) => theCase.asked.single?.method === 'tools/list' && hasToolRules(theCase),

    async answer(theCase, instance, session, elsewhere) {
      const { request, shaped, backend, caller, asked } = theCase;
      const facts = factsOf(theCase, instance.id);
      const rpcId = asked.single?.id;
      let upstream: UpstreamAnswer;
      try {
        upstream = await call({
          method: 'POST',
          instance,
          backend,
          authority: request.authority,
          query: shaped.query,
          headers: { ...passedHeaders(theCase), ...Object.fromEntries(identityHeaders(caller)), ...sessionHeader(session) },
          body: request.body,
          timeoutMs: LIST_TIMEOUT_MS,
          signal: request.signal,
        });
      } catch (error) {
        if (!(error instanceof UpstreamUnreachable)) throw error;
        // A list may be asked for twice: whatever broke, a lost session is opened again, and the list read there.
        return elsewhere?.() ?? refuse('list_unavailable', { rpcId, facts });
      }
      if (upstream.status === 404 && session && elsewhere) return elsewhere();
      return filtered(upstream, theCase, session, facts);
    },
  };
}

function filtered(upstream: UpstreamAnswer, theCase: Case, session: ListSession | undefined, facts: RequestFacts): Answer {
  const { shaped, asked } = theCase;
  const filter = (body: Buffer): Buffer | undefined => {
    const result = filterToolsList(body, (name) => toolVisible(theCase, name), { privateCache: shaped.modern });
    return 'error' in result ? undefined : result.body;
  };
  const body = isFiltered(upstream)
    ? isEventStream(upstream)
      ? // A server that replays events from an id would give the list as it was before the filter.
        mapSseData(withoutEventIds(upstream.body), (data, type) => (type === 'message' ? filter(data) : data))
      : filter(upstream.body)
    : upstream.body;
  // What could not be understood could hold a hidden tool.
  if (body === undefined) return refuse('list_unavailable', { rpcId: asked.single?.id, facts });
  const headers: (readonly [string, string])[] = [];
  for (const [name, value] of Object.entries(upstream.headers)) {
    // Envoy takes ours out of what it forwards; here a server may have sent them back as well.
    if (value === undefined || HOP_HEADERS.has(name) || name.startsWith('x-mcp-')) continue;
    for (const one of Array.isArray(value) ? value : [value]) headers.push([name, one]);
  }
  if (session && upstream.headers['mcp-session-id'] !== undefined) headers.push(['mcp-session-id', session.id]);
  return { kind: 'answer', status: upstream.status, headers, body, facts };
}

/** An error answer lists nothing. */
function isFiltered({ status, body }: UpstreamAnswer): boolean {
  return status >= 200 && status <= 299 && body.length > 0;
}

function passedHeaders({ request: { headers } }: Case): Record<string, string> {
  const passed: Record<string, string> = {
    'content-type': headers.contentType ?? 'application/json',
    accept: headers.accept ?? 'application/json, text/event-stream',
  };
  if (headers.protocolVersion !== undefined) passed['mcp-protocol-version'] = headers.protocolVersion;
  if (headers.mcpMethod !== undefined) passed['mcp-method'] = headers.mcpMethod;
  if (headers.mcpName !== undefined) passed['mcp-name'] = headers.mcpName;
  if (headers.origin !== undefined) passed['origin'] = headers.origin;
  return passed;
}

function sessionHeader(session: ListSession | undefined): Record<string, string> {
  return session?.upstreamId ? { 'mcp-session-id': session.upstreamId } : {};
}
