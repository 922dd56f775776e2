// How commands call the control plane of a gateway: its REST interface, with a token, and failures in one line.

import { get, type IncomingMessage } from 'node:http';
import { get as getSecurely } from 'node:https';
import { answerOf, CallRefused, type ControlCall, type Perform, targetOf } from '../control/calls.ts';
import { type GatewayTarget, localTarget, remoteTarget } from './gateway-target.ts';
import { listenForStop } from './stop-signals.ts';
import { printable } from './table.ts';

/** Above what the gateway itself waits for its store. */
const TIMEOUT_MS = 15_000;

type Query = NonNullable<ControlCall['query']>;

export interface ControlClient {
  readonly perform: Perform;
  /** `path` are the segments of the resource; a `query` without a value is left out. Rejects with one line. */
  readonly get: (path: readonly string[], query?: Query) => Promise<unknown>;
  readonly post: (path: readonly string[], body?: unknown) => Promise<unknown>;
  readonly delete: (path: readonly string[], query?: Query) => Promise<unknown>;
  /** Text, as it comes. Ends when the gateway ends it, or `signal` aborts. Rejects as the others do. */
  readonly read: (path: readonly string[], query: Readonly<Record<string, string>>, signal: AbortSignal) => AsyncGenerator<string>;
}

/** The gateway that MCP_GATEWAY_URL names, or else that of the home. @throws Error with one line that says what to do when there is none. */
export async function connectControl(home: string, env: Readonly<Record<string, string | undefined>>): Promise<ControlClient> {
  const remote = remoteTarget(env, (base, clientId) => {
    const login = import('./device-login.ts').then(({ createDeviceLogin }) =>
      createDeviceLogin({ base, clientId, request: fetch, tell: (text) => process.stderr.write(`${text}\n`) }),
    );
    // Ctrl+C ends the wait for the user, whatever else listens for it.
    return async () => {
      const { stop, release } = listenForStop();
      try {
        return await (await login).token(stop);
      } finally {
        release();
      }
    };
  });
  return createControlClient(remote ?? (await localTarget(home)));
}

export function createControlClient(target: GatewayTarget, request: typeof fetch = fetch): ControlClient {
  const { base } = target;
  const urlOf = (call: Pick<ControlCall, 'path' | 'query'>): string => {
    const { path, query } = targetOf(call);
    return `${base}${path}${query === '' ? '' : `?${query}`}`;
  };
  const headersOf = async () => ({ authorization: `Bearer ${await target.token()}` });

  const explained = (error: unknown): unknown => {
    if (error instanceof CallRefused) {
      const said = error.status === 401 ? target.untaken : printable(error.message);
      return new CallRefused(said, error.status, error.code);
    }
    const { name, cause } = error as Error & { cause?: { code?: unknown } };
    // What went wrong before anything was asked says so itself.
    if (name !== 'TimeoutError' && cause === undefined && !(error instanceof TypeError) && !('code' in (error as Error))) return error;
    const why = name === 'TimeoutError' ? ` within ${TIMEOUT_MS / 1000} s` : '';
    return new Error(`${target.name} does not answer${why}: ${target.silent}`, { cause: error });
  };

  const perform: Perform = async (call) => {
    try {
      const { method, body, revision } = call;
      const headers = {
        ...(await headersOf()),
        ...(body !== undefined && { 'content-type': 'application/json' }),
        ...(revision !== undefined && { 'if-match': `"${revision}"` }),
      };
      const answer = await request(urlOf(call), {
        ...{ method, headers, redirect: 'error', signal: AbortSignal.timeout(TIMEOUT_MS) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      return answerOf(answer.status, await answer.text(), `${target.name} answers ${answer.status}`);
    } catch (error) {
      throw explained(error);
    }
  };

  async function* read(path: readonly string[], query: Readonly<Record<string, string>>, signal: AbortSignal): AsyncGenerator<string> {
    try {
      const headers = await headersOf();
      // Not by fetch, which gives up after five minutes of silence.
      const ask = base.startsWith('https:') ? getSecurely : get;
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        ask(urlOf({ path, query }), { headers, signal }, resolve).on('error', reject);
      });
      answer.setEncoding('utf8');
      if (answer.statusCode !== 200) {
        let body = '';
        for await (const text of answer) body += text;
        answerOf(answer.statusCode ?? 0, body, `${target.name} answers ${answer.statusCode}`);
      }
      for await (const text of answer) yield text as string;
    } catch (error) {
      if (!signal.aborted) throw explained(error);
    }
  }

  return {
    perform,
    get: (path, query) => perform({ method: 'GET', path, query }),
    post: (path, body) => perform({ method: 'POST', path, body }),
    delete: (path, query) => perform({ method: 'DELETE', path, query }),
    read,
  };
}
