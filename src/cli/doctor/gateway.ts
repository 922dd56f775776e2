// The gateway that runs in the home, if there is one: whether it takes traffic, and how its backends are by its own account.

import type { Adapter } from '../../api/adapter-operations.ts';
import { readAnnouncement } from '../../app/announcement.ts';
import type { Settings } from '../../config/settings.ts';
import { formatAddress } from '../../config/settings-parsers.ts';
import { limited } from '../../core/within.ts';
import { createControlClient } from '../control-client.ts';
import { localTarget } from '../gateway-target.ts';
import { type Finding, failure, failureOf, ok, type Title, warning } from './finding.ts';
import { checkPort } from './ports.ts';

export interface GatewayLook {
  readonly findings: readonly Finding[];
  /** Those that take sessions, by their URLs on the listener. */
  readonly serving: readonly { readonly name: string; readonly url: string }[];
}

/** Of the listener, and of the control interface: less than a check may take. */
const ASK_TIMEOUT_MS = 5_000;

type Look = { readonly fetch: typeof fetch; readonly signal: AbortSignal };

/** @throws the signal's reason, or an Error when its note cannot be read. */
export async function lookAtGateway(settings: Settings, { fetch: request, signal }: Look): Promise<GatewayLook> {
  const { home } = settings;
  const announced = await readAnnouncement(home);
  if (announced === undefined) {
    const ports = await Promise.all([checkPort('listen', settings.listen, signal), checkPort('admin', settings.admin, signal)]);
    return { findings: [ok(['gateway'], `none runs in ${home}`), ...ports], serving: [] };
  }
  const listener = listenerUrl(announced.url, settings);
  const ask = limitedFetch(request, signal);
  const [ready, control] = await Promise.all([checkReady(listener, home, ask), adaptersOf(home, announced.admin, ask)]);
  const running = ok(['gateway'], `runs in ${home} with pid ${announced.pid}`);
  return {
    findings: [running, ready, control.finding, ...control.adapters.map(backendFinding)],
    serving: control.adapters
      .filter(({ health }) => health === 'healthy' || health === 'degraded')
      .map(({ name }) => ({ name, url: `${listener}/adapters/${name}/mcp` })),
  };
}

/** What is announced is for clients, and may lead over a proxy, or name no address at all. */
export function listenerUrl(announced: string, { listen, publicUrl }: Pick<Settings, 'listen' | 'publicUrl'>): string {
  const own = publicUrl === announced && listen.port !== 0 ? `http://${formatAddress(listen)}` : announced;
  return own.replace(/^http:\/\/0\.0\.0\.0(?=:|$)/, 'http://127.0.0.1').replace(/^http:\/\/\[::\](?=:|$)/, 'http://[::1]');
}

/** One that hangs is told from the other, which may not. */
function limitedFetch(request: typeof fetch, signal: AbortSignal): typeof fetch {
  return async (url, init) => {
    const limit = limited(signal, ASK_TIMEOUT_MS);
    try {
      return await request(url, { ...init, signal: limit });
    } catch (error) {
      throw limit.aborted ? new Error(`no answer within ${ASK_TIMEOUT_MS / 1000} s`) : error;
    }
  };
}

async function checkReady(listener: string, home: string, request: typeof fetch): Promise<Finding> {
  const title = ['listen'] as const;
  const url = `${listener}/readyz`;
  try {
    const answer = await request(url, { redirect: 'error' });
    await answer.body?.cancel();
    if (answer.status === 200) return ok(title, `${listener} is ready`);
    return failure(title, `${url} answers ${answer.status}`, `see the end of ${home}/logs/gateway.log`);
  } catch (error) {
    const { cause, message } = error as Error & { readonly cause?: { readonly code?: string } };
    return failure(
      title,
      `${url} does not answer (${cause?.code ?? message})`,
      `see the end of ${home}/logs/gateway.log, or restart the gateway`,
    );
  }
}

async function adaptersOf(home: string, admin: string, request: typeof fetch): Promise<{ finding: Finding; adapters: readonly Adapter[] }> {
  const title = ['admin'] as const;
  try {
    const adapters = (await createControlClient(await localTarget(home), request).get(['adapters'])) as readonly Adapter[];
    const backends = adapters.length === 1 ? 'one backend' : `${adapters.length} backends`;
    return { finding: ok(title, `${admin} answers, with ${backends}`), adapters };
  } catch (error) {
    return { finding: failureOf(title, error, 'restart the gateway'), adapters: [] };
  }
}

type Shown = Pick<Adapter, 'name' | 'image' | 'health' | 'message' | 'replicas' | 'instances' | 'source'>;

/** By the gateway's own account, which mostly says what to do as well. */
export function backendFinding(adapter: Shown): Finding {
  const { name, health, message, replicas } = adapter;
  const title: Title = ['backend', name];
  const text = `${health}, ${replicas.ready} of ${replicas.desired} ready${message === '' ? '' : `: ${message}`}`;
  switch (health) {
    case 'healthy':
    case 'stopped':
      return ok(title, text);
    case 'starting':
      return warning(title, text, 'wait for it, and ask again');
    case 'degraded':
      return warning(title, text, adviceFor(adapter));
    case 'unhealthy':
      return failure(title, text, adviceFor(adapter));
  }
}

function adviceFor({ name, image, message, instances, source }: Shown): string {
  // It was never started, or the message names the field to change.
  if (instances.length === 0 || /healthCheck|upstreamAuth/.test(message)) return `correct it in ${source}`;
  if (/^https?:/.test(image)) return `see whether its server is well, or correct its url in ${source}`;
  return `see what it says: "mcp-gateway backends logs ${name}"`;
}
