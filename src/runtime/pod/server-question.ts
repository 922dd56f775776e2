// How the pod's server is, asked in MCP as the gateway would: for the kubelet, which speaks only HTTP.

import { connect } from 'node:net';
import type { Probe, ProbeResult } from '../local/probe.ts';
import type { AgentSettings } from './agent-settings.ts';

const LOOPBACK = '127.0.0.1';
const CONNECT_TIMEOUT_MS = 500;
const LOOPBACK_ONLY = 'the server listens on 127.0.0.1 only, where nobody else reaches it: let it listen on 0.0.0.0';

/**
 * Each question opens and ends a session in the server: those that come together share one. Nothing of it is loaded before the first.
 * Never rejects.
 */
export function createServerQuestion({ host, port, path }: AgentSettings['server'], signal: AbortSignal): () => Promise<ProbeResult> {
  let probe: Probe | undefined;
  let shared: Promise<ProbeResult> | undefined;

  async function question(): Promise<ProbeResult> {
    if (probe === undefined) {
      const { createProbe } = await import('../local/probe.ts');
      probe = createProbe();
    }
    const result = await probe({ healthCheck: { type: 'mcp' }, path }, { host, port, remote: undefined }, signal);
    if (result.ok || host === LOOPBACK || result.reason !== 'ECONNREFUSED' || !(await listens(port))) {
      return result;
    }
    return { ok: false, reason: `${result.reason}: ${LOOPBACK_ONLY}` };
  }

  return () => {
    shared ??= question().finally(() => {
      shared = undefined;
    });
    return shared;
  };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: LOOPBACK, port, timeout: CONNECT_TIMEOUT_MS });
    const end = (answer: boolean): void => {
      resolve(answer);
      socket.destroy();
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
    socket.once('timeout', () => end(false));
  });
}
