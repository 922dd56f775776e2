// What a gateway's pod tells the controller: which sessions are in use, and whose requests wait for a start.

import { lookup } from 'node:dns/promises';
import { readFile } from 'node:fs/promises';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { limited } from '../core/within.ts';
import type { GatewayUse } from '../runtime/k8s/controller/use-board.ts';

const TIMEOUT_MS = 4_000;
const FIRST_WAIT_MS = 200;
const LONGEST_WAIT_MS = 5_000;
/** No request waits longer for an instance. */
const WANTED_MS = 50_000;
/** A failure that lasts is said once in so long. */
const SAY_AGAIN_MS = 30_000;

export interface ControllerLink {
  /** Tells every controller, so that each knows when it becomes the leader. Never rejects. */
  report(use: GatewayUse): Promise<void>;
  /** Asks for an instance until one controller has taken it, or nobody waits any more. Returns at once. */
  wake(backend: string): void;
  close(): Promise<void>;
}

export interface ControllerLinkOptions {
  readonly url: string;
  readonly tokenFile: string;
  readonly log: Logger;
  readonly resolve?: (hostname: string) => Promise<readonly string[]>;
}

export function createControllerLink({ url, tokenFile, log, resolve = addressesOf }: ControllerLinkOptions): ControllerLink {
  const closing = new AbortController();
  const target = new URL(url);
  const hostname = target.hostname.replace(/^\[|\]$/g, '');
  const waking = new Map<string, Promise<void>>();
  let saidAt = Number.NEGATIVE_INFINITY;
  const complain = (err: unknown): void => {
    if (performance.now() - saidAt < SAY_AGAIN_MS || closing.signal.aborted) return;
    saidAt = performance.now();
    log.warn({ err }, 'the controller cannot be told');
  };

  const post = async (address: string, path: string, token: string, body: object, signal: AbortSignal): Promise<void> => {
    const text = Buffer.from(JSON.stringify(body));
    const options = {
      ...{ host: address, port: target.port || (target.protocol === 'https:' ? 443 : 80), path, method: 'POST', signal, agent: false },
      ...(isIP(hostname) ? {} : { servername: hostname }),
      headers: {
        ...{ host: target.host, authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        'content-length': String(text.length),
      },
    };
    await new Promise<void>((done, fail) => {
      const outgoing = (target.protocol === 'https:' ? httpsRequest : httpRequest)(options, (answer) => {
        answer.resume().on('error', fail);
        const { statusCode = 0 } = answer;
        if (statusCode < 300) answer.on('end', done);
        else fail(new Error(`the controller answers ${statusCode} to ${path}`));
      });
      outgoing.on('error', fail).end(text);
    });
  };

  /** Each address is told for itself: one that hangs must not keep the others from it. */
  const tellAll = async (path: string, body: object): Promise<PromiseSettledResult<void>[]> => {
    const signal = limited(closing.signal, TIMEOUT_MS);
    // Read each time: the kubelet replaces it before it expires.
    const token = (await readFile(tokenFile, 'utf8')).trim();
    return Promise.allSettled((await resolve(hostname)).map((address) => post(address, path, token, body, signal)));
  };

  const keepWaking = async (backend: string): Promise<void> => {
    const signal = limited(closing.signal, WANTED_MS);
    for (let wait = FIRST_WAIT_MS; !signal.aborted; wait = Math.min(LONGEST_WAIT_MS, wait * 2)) {
      try {
        const outcomes = await tellAll('/internal/wake', { backend });
        if (outcomes.some(({ status }) => status === 'fulfilled')) return;
        for (const outcome of outcomes) if (outcome.status === 'rejected') complain(outcome.reason);
      } catch (err) {
        complain(err);
      }
      await delay(wait, undefined, { signal }).catch(() => {});
    }
  };

  return {
    async report(use) {
      try {
        for (const outcome of await tellAll('/internal/sessions', use)) if (outcome.status === 'rejected') complain(outcome.reason);
      } catch (err) {
        complain(err);
      }
    },
    wake(backend) {
      if (waking.has(backend)) return;
      waking.set(
        backend,
        keepWaking(backend).finally(() => waking.delete(backend)),
      );
    },
    async close() {
      closing.abort(new Error('closed'));
      await Promise.all(waking.values());
    },
  };
}

async function addressesOf(hostname: string): Promise<readonly string[]> {
  if (isIP(hostname)) return [hostname];
  return (await lookup(hostname, { all: true })).map(({ address }) => address);
}
