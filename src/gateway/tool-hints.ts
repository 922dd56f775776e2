// Which tools say of themselves that a call may be repeated: read in the background, for backends whose word is trusted.

import type { Logger } from 'pino';
import type { UpstreamSessionId } from '../core/ids.ts';
import { PROTOCOL_VERSION_KEY } from '../core/rpc-peek.ts';
import type { Instance } from '../directory/snapshot.ts';
import type { Case } from './case.ts';
import { identityHeaders } from './identity-headers.ts';
import { resultOf } from './rpc-answer.ts';
import { type CallUpstream, UpstreamUnreachable } from './upstream.ts';

const LIST_TIMEOUT_MS = 10_000;
const MAX_PAGES = 20;
const REFRESH_MS = 300_000;
/** After a failure. */
const RETRY_MS = 30_000;
/** After one that may be the instance's alone. */
const RETRY_SOON_MS = 1_000;
const MAX_BACKENDS = 1_000;
const REQUEST_ID = 'mcp-gateway-hints';

interface Hints {
  readonly repeatable: ReadonlySet<string>;
  readonly readAt: number;
}

export interface ToolHints {
  /**
   * True for a `tools/call` of a tool that is known to be repeatable. Never waits: a tool is not repeatable until known.
   * `upstreamId`: the session to read the list in, if there is one.
   */
  replayable(theCase: Case, instance: Instance, upstreamId: UpstreamSessionId | undefined): boolean;
}

export function createToolHints(call: CallUpstream, log: Logger, now: () => number = Date.now): ToolHints {
  const known = new Map<string, Hints>();
  const reading = new Set<string>();

  const read = async (theCase: Case, instance: Instance, upstreamId: UpstreamSessionId | undefined): Promise<void> => {
    const repeatable = new Set<string>();
    let cursor: string | undefined;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const list = await readPage(call, theCase, { instance, upstreamId, cursor });
      for (const tool of list.tools ?? []) {
        const hints = tool.annotations;
        if (typeof tool.name === 'string' && (hints?.readOnlyHint === true || hints?.idempotentHint === true)) repeatable.add(tool.name);
      }
      cursor = typeof list.nextCursor === 'string' ? list.nextCursor : undefined;
      if (cursor === undefined) break;
    }
    if (known.size >= MAX_BACKENDS) known.clear();
    known.set(theCase.backend.name, { repeatable, readAt: now() });
  };

  return {
    replayable(theCase, instance, upstreamId) {
      const { backend, asked } = theCase;
      if (!backend.trustToolHints || asked.single?.method !== 'tools/call') return false;
      const hints = known.get(backend.name);
      if ((!hints || now() - hints.readAt > REFRESH_MS) && !reading.has(backend.name)) {
        reading.add(backend.name);
        read(theCase, instance, upstreamId)
          .catch((err: unknown) => {
            log.warn({ backend: backend.name, err }, 'tool hints not read');
            // Not with every call: a server that refuses the list would get twice the requests. One that has died is soon replaced.
            const retryMs = err instanceof UpstreamUnreachable ? RETRY_SOON_MS : RETRY_MS;
            known.set(backend.name, { repeatable: hints?.repeatable ?? new Set(), readAt: now() - REFRESH_MS + retryMs });
          })
          .finally(() => reading.delete(backend.name));
      }
      return asked.single.name !== undefined && (hints?.repeatable.has(asked.single.name) ?? false);
    },
  };
}

interface ToolPage {
  readonly tools?: readonly {
    readonly name?: unknown;
    readonly annotations?: { readonly readOnlyHint?: unknown; readonly idempotentHint?: unknown };
  }[];
  readonly nextCursor?: unknown;
}

interface PageRequest {
  readonly instance: Instance;
  readonly upstreamId: UpstreamSessionId | undefined;
  readonly cursor: string | undefined;
}

async function readPage(call: CallUpstream, { backend, request, shaped, caller }: Case, page: PageRequest): Promise<ToolPage> {
  const { instance, upstreamId, cursor } = page;
  const { protocolVersion } = request.headers;
  const modern = shaped.modern && protocolVersion !== undefined;
  const answer = await call({
    method: 'POST',
    instance,
    backend,
    authority: request.authority,
    headers: {
      'content-type': 'application/json',
      accept: 'application/json, text/event-stream',
      ...Object.fromEntries(identityHeaders(caller)),
      ...(protocolVersion === undefined ? {} : { 'mcp-protocol-version': protocolVersion }),
      ...(modern ? { 'mcp-method': 'tools/list' } : {}),
      ...(upstreamId ? { 'mcp-session-id': upstreamId } : {}),
    },
    body: JSON.stringify({
      jsonrpc: '2.0',
      id: REQUEST_ID,
      method: 'tools/list',
      params: { ...(cursor === undefined ? {} : { cursor }), ...(modern ? { _meta: modernMeta(protocolVersion) } : {}) },
    }),
    timeoutMs: LIST_TIMEOUT_MS,
  });
  const list = resultOf(answer, REQUEST_ID);
  if (typeof list !== 'object' || list === null) throw new Error(`tools/list was answered with HTTP ${answer.status} and no result`);
  return list;
}

/** What every modern request says of its client (2026-07-28). */
function modernMeta(protocolVersion: string): Record<string, unknown> {
  return {
    [PROTOCOL_VERSION_KEY]: protocolVersion,
    'io.modelcontextprotocol/clientInfo': { name: 'mcp-gateway', version: '0' },
    'io.modelcontextprotocol/clientCapabilities': {},
  };
}
