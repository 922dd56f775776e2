// Asking the controller whether this pod may go: each of its replicas in turn, until one can say.

import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { request } from 'node:http';
import type { AgentSettings } from './agent-settings.ts';

/** A replica that takes longer cannot say: the next one is asked. */
const ANSWER_TIMEOUT_MS = 1500;
const MAX_ANSWER_BYTES = 4096;
/** More replicas than anybody runs; a name server's answer must not make a round longer. */
const MAX_ADDRESSES = 8;
const MAX_TOKEN_BYTES = 65_536;

/** What a replica said about the pod, or why none could say anything. */
export type DrainAnswer = { readonly done: boolean; readonly sessions: number; readonly calls: number } | { readonly problem: string };

/** All addresses of a name; replaceable for tests, because a machine has only one name for itself. */
export type Resolve = (host: string) => Promise<readonly string[]>;

const resolveAll: Resolve = async (host) => (await lookup(host, { all: true })).map(({ address }) => address);

/**
 * Asks once. Every status other than 200 means that this replica cannot say (it has just started, or does not accept the token). The
 * token is read anew each time, because the kubelet replaces it. Never rejects.
 */
export function createControllerQuestion(
  { controller, tokenFile, podUid }: Pick<AgentSettings, 'controller' | 'tokenFile' | 'podUid'>,
  resolve: Resolve = resolveAll,
): (signal: AbortSignal) => Promise<DrainAnswer> {
  const { host, port } = controller;
  const authority = `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return async (signal) => {
    try {
      const token = await readToken(tokenFile);
      const addresses = (await resolve(host)).slice(0, MAX_ADDRESSES);
      const problems: string[] = [];
      for (const address of addresses) {
        signal.throwIfAborted();
        try {
          return await ask({ address, port, authority, path: `/internal/drain/${podUid}`, token, signal });
        } catch (error) {
          problems.push(`${address}: ${(error as Error).message}`);
        }
      }
      return { problem: problems.join('; ') || `${host} has no address` };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      return { problem: code === undefined ? message : `${message} (${code})` };
    }
  };
}

async function readToken(file: string): Promise<string> {
  const token = (await readFile(file, 'utf8')).trim();
  if (token === '' || token.length > MAX_TOKEN_BYTES || !/^[\x21-\x7e]+$/.test(token)) {
    throw new Error(`${file} does not hold a token`);
  }
  return token;
}

function ask(input: {
  address: string;
  port: number;
  authority: string;
  path: string;
  token: string;
  signal: AbortSignal;
}): Promise<DrainAnswer> {
  const { address, port, authority, path, token, signal } = input;
  const headers = { host: authority, authorization: `Bearer ${token}`, accept: 'application/json', connection: 'close' };
  return new Promise((resolve, reject) => {
    const outgoing = request({ host: address, port, path, headers, agent: false, signal }, (incoming) => {
      let body = '';
      incoming.setEncoding('utf8');
      incoming.on('data', (chunk: string) => {
        body += chunk;
        if (body.length > MAX_ANSWER_BYTES) {
          outgoing.destroy(new Error('answered too much'));
        }
      });
      incoming.on('error', reject);
      incoming.on('end', () => {
        const answer = incoming.statusCode === 200 ? readAnswer(body) : undefined;
        if (answer === undefined) {
          reject(new Error(incoming.statusCode === 200 ? 'answered something else' : `answered ${incoming.statusCode}`));
        } else {
          resolve(answer);
        }
      });
    });
    const timer = setTimeout(() => outgoing.destroy(new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`)), ANSWER_TIMEOUT_MS);
    outgoing.on('error', (error: NodeJS.ErrnoException) => reject(new Error(error.code ?? error.message)));
    outgoing.on('close', () => {
      clearTimeout(timer);
      reject(new Error('connection closed'));
    });
    outgoing.end();
  });
}

function readAnswer(body: string): DrainAnswer | undefined {
  try {
    const { done, sessions, calls } = JSON.parse(body) as { done?: unknown; sessions?: unknown; calls?: unknown };
    return typeof done === 'boolean' ? { done, sessions: Number(sessions ?? 0), calls: Number(calls ?? 0) } : undefined;
  } catch {
    return undefined;
  }
}
