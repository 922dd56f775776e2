// Is this server well? A GET of its health path, a real MCP exchange, or – for remote servers – any sensible answer at all.

import type { HealthCheck } from '../../config/backend-spec.ts';
import { type ProbeTarget, probeRequest } from './http-probe.ts';
import { createMcpProbe } from './mcp-probe.ts';

/** Where a process is asked when its declaration says nothing. */
export const DEFAULT_HEALTH_PATH = '/healthz';

/** `reason` says what is wrong, for people; `hint` what to change when the question itself looks wrong. */
export type ProbeResult = { readonly ok: true } | { readonly ok: false; readonly reason: string; readonly hint?: string };

/** What is asked. `path` is the MCP endpoint. */
export interface ProbeSettings {
  readonly healthCheck: HealthCheck | undefined;
  readonly path: string;
}

export type Probe = (settings: ProbeSettings, target: ProbeTarget, signal: AbortSignal) => Promise<ProbeResult>;

const SECRET_HINT = 'the server does not accept the value of upstreamAuth: is it current, and does it need a prefix such as "Bearer "?';

/** A probe for one instance: it remembers which era of MCP the server speaks. Never rejects. */
export function createProbe(): Probe {
  const mcp = createMcpProbe();
  return async (settings, target, signal) => {
    try {
      if (settings.healthCheck?.type === 'mcp') {
        return await mcp(settings.path, target, signal);
      }
      if (target.remote !== undefined && settings.healthCheck === undefined) {
        return await answers(settings.path, target, signal);
      }
      return await healthy(settings, target, signal);
    } catch (error) {
      return { ok: false, reason: (error as Error).message };
    }
  };
}

async function healthy(settings: ProbeSettings, target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
  const path = settings.healthCheck?.path ?? DEFAULT_HEALTH_PATH;
  const { status } = await probeRequest(target, { method: 'GET', path }, signal);
  if (status >= 200 && status < 300) {
    return { ok: true };
  }
  const reason = `GET ${path} answered ${status}`;
  if (refusesSecret(status, target)) {
    return { ok: false, reason, hint: SECRET_HINT };
  }
  const hint =
    'name the path that this server has with healthCheck: { path: … }, or let it be asked in MCP with healthCheck: { type: mcp }';
  return status === 404 || status === 405 ? { ok: false, reason, hint } : { ok: false, reason };
}

/** Remote servers have no agreed health path: their endpoint must answer something that is not its own failure (405, 406, 400, 401 … are fine). */
async function answers(path: string, target: ProbeTarget, signal: AbortSignal): Promise<ProbeResult> {
  // `Accept: application/json` alone: a GET that asks for an event stream could open one.
  const { status } = await probeRequest(target, { method: 'GET', path, headers: { accept: 'application/json' } }, signal);
  const reason = `GET ${path} answered ${status}`;
  if (refusesSecret(status, target)) {
    return { ok: false, reason, hint: SECRET_HINT };
  }
  return status < 500 ? { ok: true } : { ok: false, reason };
}

/** A 401 to our own secret: clients that got it would think that the gateway asks them to log in. */
function refusesSecret(status: number, { remote }: ProbeTarget): boolean {
  return status === 401 && remote?.auth !== undefined;
}
