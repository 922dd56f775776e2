// Which tools say of themselves that a call may be repeated: read in the background, for backends whose word is trusted.

import type { Logger } from 'pino';
import type { UpstreamSessionId } from '../core/ids.ts';
import type { Backend, Instance } from '../directory/snapshot.ts';
import type { Asked } from './body.ts';
import { resultOf } from './rpc-answer.ts';
import type { CallUpstream } from './upstream.ts';

const LIST_TIMEOUT_MS = 10_000;
const MAX_PAGES = 20;
const REFRESH_MS = 300_000;
const MAX_BACKENDS = 1_000;
const REQUEST_ID = 'mcp-gateway-hints';

interface Hints {
  readonly repeatable: ReadonlySet<string>;
  readonly readAt: number;
}

export interface ToolHints {
  /** True for a `tools/call` of a tool that is known to be repeatable. Never waits: a tool is not repeatable until known. */
  replayable(asked: Asked, backend: Backend, instance: Instance, upstreamId: UpstreamSessionId, authority: string): boolean;
}

export function createToolHints(call: CallUpstream, log: Logger, now: () => number = Date.now): ToolHints {
  const known = new Map<string, Hints>();
  const reading = new Set<string>();

  const read = async (backend: Backend, instance: Instance, upstreamId: UpstreamSessionId, authority: string): Promise<void> => {
    const repeatable = new Set<string>();
    let cursor: string | undefined;
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const list = await readPage(call, { backend, instance, upstreamId, authority, cursor });
      for (const tool of list.tools ?? []) {
        const hints = tool.annotations;
        if (typeof tool.name === 'string' && (hints?.readOnlyHint === true || hints?.idempotentHint === true)) repeatable.add(tool.name);
      }
      cursor = typeof list.nextCursor === 'string' ? list.nextCursor : undefined;
      if (cursor === undefined) break;
    }
    if (known.size >= MAX_BACKENDS) known.clear();
    known.set(backend.name, { repeatable, readAt: now() });
  };

  return {
    replayable(asked, backend, instance, upstreamId, authority) {
      if (!backend.trustToolHints || asked.single?.method !== 'tools/call') return false;
      const hints = known.get(backend.name);
      if ((!hints || now() - hints.readAt > REFRESH_MS) && !reading.has(backend.name)) {
        reading.add(backend.name);
        read(backend, instance, upstreamId, authority)
          .catch((err: unknown) => log.warn({ backend: backend.name, err }, 'tool hints not read'))
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
  readonly backend: Backend;
  readonly instance: Instance;
  readonly upstreamId: UpstreamSessionId;
  readonly authority: string;
  readonly cursor: string | undefined;
}

async function readPage(call: CallUpstream, { backend, instance, upstreamId, authority, cursor }: PageRequest): Promise<ToolPage> {
  const answer = await call({
    method: 'POST',
    instance,
    backend,
    authority,
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream', 'mcp-session-id': upstreamId },
    body: JSON.stringify({ jsonrpc: '2.0', id: REQUEST_ID, method: 'tools/list', ...(cursor === undefined ? {} : { params: { cursor } }) }),
    timeoutMs: LIST_TIMEOUT_MS,
  });
  const page = resultOf(answer, REQUEST_ID);
  if (typeof page !== 'object' || page === null) throw new Error(`tools/list was answered with HTTP ${answer.status} and no result`);
  return page;
}
