// Logging in with a code (RFC 8628): for a gateway elsewhere, where nobody has put a token into the environment.

import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { limited } from '../core/within.ts';
import { type DeviceServer, expectSecure, findDeviceServer, type ReadAnswer } from './device-server.ts';
import { printable } from './table.ts';

const REQUEST_TIMEOUT_MS = 10_000;
const MAX_ANSWER_CHARS = 256 * 1024;
const DEFAULT_INTERVAL_S = 5;
/** Longer, nobody waits. */
const MAX_LIFE_S = 3_600;
/** Such a token would end on its way. */
const MARGIN_MS = 10_000;
const DEFAULT_LIFE_S = 300;
const SCOPE = 'openid offline_access';

export interface DeviceLoginOptions {
  /** Of the gateway, without a slash at its end. */
  readonly base: string;
  /** Of a client that the authorization server lets log in with a code. */
  readonly clientId: string;
  readonly request: typeof fetch;
  /** Shows the user where to log in, and with which code. */
  readonly tell: (text: string) => void;
  /**
   * How long `token` waits for the user before it rejects with what `tell` was told, while the login goes on; it then keeps no process alive.
   * Default: as long as the code is good.
   */
  readonly patienceMs?: number;
  readonly now?: () => number;
  readonly pause?: typeof delay<undefined>;
}

export interface DeviceLogin {
  /** Rejects with one line. `signal` ends a login that this call has begun. */
  token(signal?: AbortSignal): Promise<string>;
}

const deviceAnswer = z.object({
  device_code: z.string(),
  user_code: z.string().max(64),
  verification_uri: z.string(),
  verification_uri_complete: z.string().optional(),
  expires_in: z.number().positive(),
  interval: z.number().min(1).default(DEFAULT_INTERVAL_S),
});
const tokenAnswer = z.object({
  access_token: z.string().min(1),
  // Of another kind, such as DPoP, nothing is known here (RFC 6749, section 7.1).
  token_type: z.string().regex(/^bearer$/i),
  expires_in: z.number().optional(),
  refresh_token: z.string().optional(),
});
const errorAnswer = z.object({ error: z.string() });

interface Tokens {
  readonly access: string;
  readonly until: number;
  readonly refresh: string | undefined;
  /** A refresh token goes to no other one, whatever the gateway names later. */
  readonly server: DeviceServer;
}

interface Login {
  readonly done: Promise<Tokens>;
  /** What the user was told, as soon as that is known. */
  readonly told: Promise<string>;
}

/** Nobody has answered, or it was no answer: worth another try. */
class Unanswered extends Error {}

/** Keeps its tokens in memory, and renews them. Calls at the same time share one login. */
export function createDeviceLogin(options: DeviceLoginOptions): DeviceLogin {
  const { base, clientId, request, tell, patienceMs, now = Date.now, pause = delay } = options;
  let tokens: Tokens | undefined;
  let underWay: Login | undefined;

  const reader =
    (signal: AbortSignal): ReadAnswer =>
    async (url, form) => {
      try {
        const answer = await request(url, {
          ...(form && { method: 'POST', body: new URLSearchParams(form) }),
          ...{ redirect: 'error', headers: { accept: 'application/json' }, signal: limited(signal, REQUEST_TIMEOUT_MS) },
        });
        const text = await answer.text();
        if (answer.status >= 500) throw new Unanswered(`${url} answers ${answer.status}`);
        return { status: answer.status, json: text.length > MAX_ANSWER_CHARS ? undefined : jsonOf(text) };
      } catch (error) {
        if (error instanceof Unanswered) throw error;
        throw new Unanswered(`${url} does not answer`);
      }
    };

  const ask = async (read: ReadAnswer, server: DeviceServer, form: Readonly<Record<string, string>>): Promise<Tokens | string> => {
    const { status, json } = await read(server.tokens, { client_id: clientId, resource: server.resource, ...form });
    if (status !== 200) return errorAnswer.safeParse(json).data?.error ?? `status ${status}`;
    const { success, data } = tokenAnswer.safeParse(json);
    if (!success) throw new Error('the login gave no token that can be used here');
    const lifeMs = (data.expires_in ?? DEFAULT_LIFE_S) * 1000;
    return { access: data.access_token, until: now() + lifeMs - Math.min(MARGIN_MS, lifeMs / 2), refresh: data.refresh_token, server };
  };

  const withCode = async (read: ReadAnswer, told: (text: string) => void, signal: AbortSignal): Promise<Tokens> => {
    const server = await findDeviceServer(base, read);
    const { status, json } = await read(server.device, { client_id: clientId, resource: server.resource, scope: SCOPE });
    if (status !== 200) throw new Error(`the login is refused: ${errorAnswer.safeParse(json).data?.error ?? `status ${status}`}`);
    const { success, data: device } = deviceAnswer.safeParse(json);
    if (!success) throw new Error('the login gave no code');
    const page = device.verification_uri_complete ?? device.verification_uri;
    expectSecure(page);
    const until = now() + Math.min(device.expires_in, MAX_LIFE_S) * 1000;
    told(printable(`log in at ${page} with the code ${device.user_code}`));
    let intervalMs = device.interval * 1000;
    const form = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: device.device_code };
    // RFC 8628, section 3.5: never sooner than the server wants it.
    for (;;) {
      await pause(Math.min(intervalMs, Math.max(until - now(), 0)), undefined, { signal, ref: patienceMs === undefined });
      if (now() >= until) break;
      const answer = await ask(read, server, form).catch((error: unknown) => {
        if (!(error instanceof Unanswered) || signal.aborted) throw error;
        return 'unanswered';
      });
      if (typeof answer !== 'string') return answer;
      if (answer === 'unanswered') intervalMs *= 2;
      else if (answer === 'slow_down') intervalMs += DEFAULT_INTERVAL_S * 1000;
      else if (answer === 'expired_token') break;
      else if (answer !== 'authorization_pending') throw new Error(`the login has failed: ${answer}`);
    }
    throw new Error('nobody logged in while the code was good: try again');
  };

  const renewed = async (read: ReadAnswer): Promise<Tokens | undefined> => {
    if (tokens?.refresh === undefined) return undefined;
    const { refresh, server } = tokens;
    const answer = await ask(read, server, { grant_type: 'refresh_token', refresh_token: refresh });
    if (typeof answer !== 'string') return { ...answer, refresh: answer.refresh ?? refresh };
    tokens = undefined;
    return undefined;
  };

  const begin = (signal: AbortSignal): Login => {
    let announce = (_text: string): void => {};
    const told = new Promise<string>((resolve) => {
      announce = resolve;
    });
    const read = reader(signal);
    const obtain = async (): Promise<Tokens> => {
      tokens =
        (await renewed(read)) ??
        (await withCode(
          read,
          (text) => {
            tell(text);
            announce(text);
          },
          signal,
        ));
      return tokens;
    };
    const done = obtain().finally(() => {
      underWay = undefined;
    });
    // Perhaps nobody waits for it any more.
    done.catch(() => {});
    return { done, told };
  };

  return {
    async token(signal = new AbortController().signal) {
      if (tokens && tokens.until > now()) return tokens.access;
      underWay ??= begin(signal);
      const { done, told } = underWay;
      const ends = patienceMs === undefined ? [done] : [done, told.then((text) => impatience(patienceMs, text))];
      try {
        return (await Promise.race(ends)).access;
      } catch (error) {
        throw new Error(signal.aborted ? 'nobody has logged in: stopped' : printable((error as Error).message));
      }
    },
  };
}

async function impatience(ms: number, text: string): Promise<never> {
  await delay(ms, undefined, { ref: false });
  throw new Error(`first ${text}`);
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
