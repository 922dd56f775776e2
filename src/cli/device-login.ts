// Logging in with a code (RFC 8628): for a gateway elsewhere, where nobody has put a token into the environment.

import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';

const REQUEST_TIMEOUT_MS = 10_000;
const DEFAULT_INTERVAL_S = 5;
const MAX_INTERVAL_S = 60;
/** Such a token would end on its way. */
const MARGIN_MS = 10_000;
const DEFAULT_LIFE_S = 300;

export interface DeviceLoginOptions {
  /** Of the gateway, without a slash at its end. */
  readonly base: string;
  /** Of a client that the authorization server lets log in with a code. */
  readonly clientId: string;
  readonly request: typeof fetch;
  /** Shows the user where to log in, and with which code. */
  readonly tell: (text: string) => void;
  /** How long `token` waits for the user before it rejects with what `tell` was told. Default: as long as the code is good. */
  readonly patienceMs?: number;
}

export interface DeviceLogin {
  /** Rejects with one line. */
  token(): Promise<string>;
}

const resourceMetadata = z.object({ resource: z.string(), authorization_servers: z.array(z.url()).min(1) });
const serverMetadata = z.object({ issuer: z.string(), device_authorization_endpoint: z.url(), token_endpoint: z.url() });
const deviceAnswer = z.object({
  device_code: z.string(),
  user_code: z.string().max(64),
  verification_uri: z.url(),
  verification_uri_complete: z.url().optional(),
  expires_in: z.number().positive(),
  interval: z.number().positive().default(DEFAULT_INTERVAL_S),
});
const tokenAnswer = z.object({ access_token: z.string(), expires_in: z.number().optional(), refresh_token: z.string().optional() });
const errorAnswer = z.object({ error: z.string() });

interface Server {
  readonly resource: string;
  readonly device: string;
  readonly tokens: string;
}

interface Tokens {
  readonly access: string;
  readonly until: number;
  readonly refresh: string | undefined;
}

/** Keeps its tokens in memory, and renews them. */
export function createDeviceLogin({ base, clientId, request, tell, patienceMs }: DeviceLoginOptions): DeviceLogin {
  let tokens: Tokens | undefined;
  let underWay: { readonly done: Promise<Tokens>; text: string } | undefined;

  const read = async (url: string, form?: Readonly<Record<string, string>>): Promise<{ status: number; json: unknown }> => {
    const answer = await request(url, {
      ...(form && { method: 'POST', body: new URLSearchParams(form) }),
      ...{ redirect: 'error', headers: { accept: 'application/json' }, signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS) },
    });
    return { status: answer.status, json: (await answer.json().catch(() => undefined)) as unknown };
  };

  const find = async (): Promise<Server> => {
    const { resource, authorization_servers: servers } = parsed(
      resourceMetadata,
      (await read(`${base}/.well-known/oauth-protected-resource`)).json,
      `${base} does not say where to log in`,
    );
    const [issuer = ''] = servers;
    for (const url of metadataUrls(issuer)) {
      const { status, json } = await read(url);
      if (status !== 200) continue;
      const found = parsed(serverMetadata, json, `${issuer} has no login with a code: set MCP_GATEWAY_TOKEN`);
      // A document of another issuer may be somebody else's.
      if (found.issuer !== issuer) throw new Error(`${url} is of another issuer, ${found.issuer}`);
      return { resource, device: found.device_authorization_endpoint, tokens: found.token_endpoint };
    }
    throw new Error(`${issuer} does not say how to log in`);
  };

  const ask = async (server: Server, form: Readonly<Record<string, string>>): Promise<Tokens | string> => {
    const { status, json } = await read(server.tokens, { client_id: clientId, resource: server.resource, ...form });
    if (status !== 200) return errorAnswer.safeParse(json).data?.error ?? `status ${status}`;
    const given = parsed(tokenAnswer, json, 'the login gave no token');
    return {
      access: given.access_token,
      until: Date.now() + (given.expires_in ?? DEFAULT_LIFE_S) * 1000 - MARGIN_MS,
      refresh: given.refresh_token,
    };
  };

  const login = async (server: Server, told: (text: string) => void): Promise<Tokens> => {
    const scope = 'openid offline_access';
    const { status, json } = await read(server.device, { client_id: clientId, resource: server.resource, scope });
    if (status !== 200) throw new Error(`the login is refused: ${errorAnswer.safeParse(json).data?.error ?? `status ${status}`}`);
    const device = parsed(deviceAnswer, json, 'the login gave no code');
    told(`log in at ${device.verification_uri_complete ?? device.verification_uri} with the code ${device.user_code}`);
    const until = Date.now() + device.expires_in * 1000;
    for (let pause = device.interval; Date.now() < until; ) {
      await delay(Math.min(pause, MAX_INTERVAL_S) * 1000);
      const answer = await ask(server, { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: device.device_code });
      if (typeof answer !== 'string') return answer;
      // RFC 8628, section 3.5.
      if (answer === 'slow_down') pause += DEFAULT_INTERVAL_S;
      else if (answer !== 'authorization_pending') throw new Error(`the login has failed: ${answer}`);
    }
    throw new Error('nobody logged in while the code was good: try again');
  };

  const begin = (server: Server) => {
    let announce = (_text: string): void => {};
    const announced = new Promise<string>((resolve) => {
      announce = resolve;
    });
    const done = login(server, announce);
    done.catch(() => {});
    return { announced, done };
  };

  return {
    async token() {
      if (tokens && tokens.until > Date.now()) return tokens.access;
      const server = await find();
      if (tokens?.refresh !== undefined) {
        const renewed = await ask(server, { grant_type: 'refresh_token', refresh_token: tokens.refresh });
        if (typeof renewed !== 'string') {
          tokens = { ...renewed, refresh: renewed.refresh ?? tokens.refresh };
          return tokens.access;
        }
      }
      if (!underWay) {
        const { announced, done } = begin(server);
        const text = await Promise.race([announced, done.then(() => '')]);
        tell(text);
        underWay = { done, text };
        const over = (): void => {
          underWay = undefined;
        };
        done.then(over, over);
      }
      const { done, text } = underWay;
      tokens = await (patienceMs === undefined ? done : Promise.race([done, impatience(patienceMs, text)]));
      return tokens.access;
    },
  };
}

async function impatience(ms: number, text: string): Promise<never> {
  await delay(ms, undefined, { ref: false });
  throw new Error(`first ${text}`);
}

/** OpenID Connect Discovery, section 4; RFC 8414, section 3. */
function metadataUrls(issuer: string): string[] {
  const { origin, pathname } = new URL(issuer);
  const path = pathname.replace(/\/$/, '');
  return [`${origin}${path}/.well-known/openid-configuration`, `${origin}/.well-known/oauth-authorization-server${path}`];
}

function parsed<Value>(schema: z.ZodType<Value>, json: unknown, otherwise: string): Value {
  const { success, data } = schema.safeParse(json);
  if (!success) throw new Error(otherwise);
  return data;
}
