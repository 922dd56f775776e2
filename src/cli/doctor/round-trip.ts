// A real MCP conversation with a backend through the listener, in the era that its server speaks: is it as well as it says?

import { type Finding, failure, ok, type Title, warning } from './finding.ts';
import { callMcp, endSession, type McpAnswer, type McpCall } from './mcp-call.ts';

const LEGACY_VERSION = '2025-11-25';
const MODERN_VERSION = '2026-07-28';
const CLIENT = { name: 'mcp-gateway-doctor', version: '1' };
/** For the DELETE, also when the time for the rest is over. */
const END_TIMEOUT_MS = 3_000;
/** What a server may answer that knows no `initialize`. */
const NO_LEGACY: ReadonlySet<number> = new Set([200, 400, 404, 405, 406, 415]);

export interface Backend {
  readonly name: string;
  /** Of its MCP endpoint on the listener. */
  readonly url: string;
}

/** @throws the signal's reason, or an Error when nobody answers. */
export async function checkRoundTrip(
  { name, url }: Backend,
  token: string | undefined,
  call: Pick<McpCall, 'fetch' | 'signal'>,
): Promise<Finding> {
  const title: Title = ['mcp', name];
  const began = performance.now();
  const to: McpCall = { ...call, url, headers: token === undefined ? {} : { authorization: `Bearer ${token}` } };
  const done = (steps: string): Finding => ok(title, `${steps}, in ${Math.max(1, Math.round(performance.now() - began))} ms`);

  const opened = await callMcp('initialize', { protocolVersion: LEGACY_VERSION, capabilities: {}, clientInfo: CLIENT }, to);
  if (opened.result !== undefined) return legacy(opened, { title, to, name, done });
  if (NO_LEGACY.has(opened.status)) {
    const finding = await modern({ title, to, name, done });
    if (finding !== undefined) return finding;
  }
  return refusal('initialize', opened, { title, name, token });
}

interface Trip {
  readonly title: Title;
  readonly to: McpCall;
  readonly name: string;
  readonly done: (steps: string) => Finding;
}

async function legacy(opened: McpAnswer, { title, to, name, done }: Trip): Promise<Finding> {
  const { session, result } = opened;
  const version = typeof result?.['protocolVersion'] === 'string' ? result['protocolVersion'] : LEGACY_VERSION;
  const headers = { ...to.headers, 'mcp-protocol-version': version, ...(session === undefined ? {} : { 'mcp-session-id': session }) };
  const within: McpCall = { ...to, headers };
  let ended: number | undefined;
  let finding: Finding;
  try {
    await callMcp('notifications/initialized', undefined, within);
    const method = hasTools(result) ? 'tools/list' : 'ping';
    const answer = await callMcp(method, undefined, within);
    if (answer.result === undefined) finding = refusal(method, answer, { title, name, token: undefined });
    else finding = done(`initialize, ${method}${counted(answer)}${session === undefined ? '' : ', DELETE'} (${version})`);
  } finally {
    // Nobody else would end it before it has been idle for long.
    if (session !== undefined) {
      ended = await endSession({ ...within, signal: AbortSignal.timeout(END_TIMEOUT_MS) }).catch(() => 0);
    }
  }
  if (finding.state !== 'ok' || ended === undefined || (ended >= 200 && ended < 300) || ended === 405) return finding;
  const how = ended === 0 ? 'was not answered' : `was answered with ${ended}`;
  return warning(title, `${finding.message}; but the DELETE of its session ${how}`, seeLogs(name));
}

/** Undefined: the server does not speak this era either. */
async function modern({ title, to, name, done }: Trip): Promise<Finding | undefined> {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': MODERN_VERSION,
    'io.modelcontextprotocol/clientInfo': CLIENT,
    'io.modelcontextprotocol/clientCapabilities': {},
  };
  const ask = (method: string) =>
    callMcp(method, { _meta }, { ...to, headers: { ...to.headers, 'mcp-protocol-version': MODERN_VERSION, 'mcp-method': method } });
  const discovered = await ask('server/discover');
  if (discovered.result === undefined) return undefined;
  if (!hasTools(discovered.result)) return done(`server/discover (${MODERN_VERSION})`);
  const listed = await ask('tools/list');
  if (listed.result === undefined) return refusal('tools/list', listed, { title, name, token: undefined });
  return done(`server/discover, tools/list${counted(listed)} (${MODERN_VERSION})`);
}

function hasTools(result: McpAnswer['result']): boolean {
  const capabilities = result?.['capabilities'];
  return typeof capabilities === 'object' && capabilities !== null && 'tools' in capabilities;
}

function counted({ result }: McpAnswer): string {
  const tools = result?.['tools'];
  return Array.isArray(tools) ? ` with ${tools.length}${'nextCursor' in (result ?? {}) ? ' and more' : ''}` : '';
}

interface Asked {
  readonly title: Title;
  readonly name: string;
  readonly token: string | undefined;
}

function refusal(method: string, { status, error, result }: McpAnswer, { title, name, token }: Asked): Finding {
  const what = error ?? (result === undefined && status === 200 ? 'without a JSON-RPC answer' : undefined);
  const message = `${method} is answered with ${status}${what === undefined ? '' : `: ${what}`}`;
  if (status === 401 && token === undefined) {
    return warning(title, message, 'the gateway asks for a token: give its settings with --config, and a token with --token-file');
  }
  if (status === 401) return failure(title, message, 'look for "token refused" in the log of the gateway: it says why');
  if (status === 403) return warning(title, message, `see access of the backend: "mcp-gateway backends get ${name}"`);
  if (status === 429) return warning(title, message, 'see "mcp-gateway tenants list" for limits and quotas');
  return failure(title, message, seeLogs(name));
}

function seeLogs(name: string): string {
  return `see what the server says: "mcp-gateway backends logs ${name}"`;
}
