// A health question in MCP itself, in the era that the server speaks, which leaves no session behind.

import { type ProbeAnswer, type ProbeTarget, probeRequest } from './http-probe.ts';
import type { ProbeResult } from './probe.ts';

const LEGACY_VERSION = '2025-11-25';
const MODERN_VERSION = '2026-07-28';
const REQUEST_ID = 'mcp-gateway-probe';
const CLIENT = { name: 'mcp-gateway-probe', version: '1' };
const POST_HEADERS = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };

/** The answer found in a body; `undefined` while it has not arrived. */
interface RpcAnswer {
  readonly failed: string | undefined;
}

/**
 * Legacy first: `initialize`, then DELETE of the session it made. When the server refuses that, `server/discover`; what worked is asked
 * first the next time. (Asking a legacy server `server/discover` first would leave a half-open session in some of them.)
 */
export function createMcpProbe(): (path: string, target: ProbeTarget, signal: AbortSignal) => Promise<ProbeResult> {
  let modern = false;
  return async (path, target, signal) => {
    const first = await (modern ? discover : initialize)(path, target, signal);
    if (first.ok) {
      return first;
    }
    const second = await (modern ? initialize : discover)(path, target, signal);
    if (second.ok) {
      modern = !modern;
      return second;
    }
    return first;
  };
}

async function initialize(path: string, target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
  const params = { protocolVersion: LEGACY_VERSION, capabilities: {}, clientInfo: CLIENT };
  const body = JSON.stringify({ jsonrpc: '2.0', id: REQUEST_ID, method: 'initialize', params });
  const answer = await probeRequest(target, { method: 'POST', path, headers: POST_HEADERS, body, enough: hasAnswer }, signal);
  const session = answer.headers['mcp-session-id'];
  if (typeof session === 'string') {
    const headers = { 'mcp-session-id': session, 'mcp-protocol-version': LEGACY_VERSION };
    await probeRequest(target, { method: 'DELETE', path, headers }, signal).catch(() => undefined);
  }
  return judge('initialize', answer, target);
}

async function discover(path: string, target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': MODERN_VERSION,
    'io.modelcontextprotocol/clientInfo': CLIENT,
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const body = JSON.stringify({ jsonrpc: '2.0', id: REQUEST_ID, method: 'server/discover', params: { _meta } });
  const headers = { ...POST_HEADERS, 'mcp-protocol-version': MODERN_VERSION, 'mcp-method': 'server/discover' };
  return judge('server/discover', await probeRequest(target, { method: 'POST', path, headers, body, enough: hasAnswer }, signal), target);
}

function judge(method: string, { status, body }: ProbeAnswer, { remote }: ProbeTarget): ProbeResult {
  if (status < 200 || status >= 300) {
    return { ok: false, reason: `${method} answered ${status}` };
  }
  const answer = findAnswer(body);
  if (answer === undefined) {
    return { ok: false, reason: `${method} answered ${status} without a JSON-RPC response` };
  }
  if (answer.failed === undefined) {
    return { ok: true };
  }
  // A server that was given a secret may quote it in its error.
  const quote = remote?.auth === undefined ? `: ${answer.failed}` : '';
  return { ok: false, reason: `${method} answered with an error${quote}` };
}

function hasAnswer(body: string): boolean {
  return findAnswer(body) !== undefined;
}

/** The response to our request in a JSON body or in the events of a stream that have arrived completely. */
function findAnswer(body: string): RpcAnswer | undefined {
  const events = body.replaceAll('\r\n', '\n').split('\n\n').slice(0, -1);
  const data = events.map((event) =>
    event
      .split('\n')
      .filter((line) => line.startsWith('data:'))
      .map((line) => line.slice('data:'.length))
      .join('\n'),
  );
  for (const text of [body, ...data]) {
    try {
      const message = JSON.parse(text) as { id?: unknown; result?: unknown; error?: { message?: unknown } } | null;
      if (message !== null && message.id === REQUEST_ID) {
        return { failed: message.result === undefined ? String(message.error?.message ?? 'no result').slice(0, 200) : undefined };
      }
    } catch {
      // Not (yet) JSON: the next candidate, or the next chunk.
    }
  }
  return undefined;
}
