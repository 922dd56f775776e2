// Waits for a backend that has just been declared: until it is healthy, or it is clear that it will not be.

import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Perform } from './calls.ts';

const POLL_MS = 500;
/** An image may have to be fetched first. */
const WAIT_MS = 180_000;
/** The same is told again after this time. */
const REPEAT_MS = 10_000;
/** So long a backend may be unhealthy before that is the answer: some servers fail at their first start, because they wait for another one. */
const PATIENCE_MS = 20_000;

/** The part of an adapter that matters here. */
export const adapterPart = z.object({
  name: z.string(),
  image: z.string(),
  health: z.enum(['healthy', 'degraded', 'starting', 'unhealthy', 'stopped']),
  message: z.string(),
  replicas: z.object({ desired: z.number(), ready: z.number(), updated: z.number() }),
  sessions: z.number().nullable(),
  url: z.string(),
  access: z.object({ tenants: z.array(z.string()), roles: z.array(z.string()) }).nullable(),
  revision: z.string(),
});
export type AdapterPart = z.output<typeof adapterPart>;

export interface WaitOptions {
  readonly signal: AbortSignal;
  readonly tell: (text: string) => Promise<void> | void;
  readonly now?: () => number;
  readonly pause?: typeof delay<undefined>;
}

export interface Waited {
  readonly adapter: AdapterPart;
  /** `stopped`: nothing is to run. */
  readonly state: 'healthy' | 'stopped' | 'not healthy';
  readonly seconds: number;
}

/** Rejects when `signal` aborts, or when it cannot be asked. @param tell is told of each other state. */
export async function untilHealthy(
  declared: AdapterPart,
  perform: Perform,
  { signal, tell, now = () => performance.now(), pause = delay }: WaitOptions,
): Promise<Waited> {
  const { name } = declared;
  const began = now();
  let said = '';
  let saidAt = began;
  let unhealthySince: number | undefined;
  for (let adapter = declared; ; adapter = adapterPart.parse(await perform({ method: 'GET', path: ['adapters', name] }))) {
    const { health, message, replicas } = adapter;
    const at = now();
    const seconds = Math.round((at - began) / 1000);
    if (health === 'stopped') return { adapter, state: 'stopped', seconds };
    // What served before goes on meanwhile, and says nothing of what has been declared now.
    if (health === 'healthy' && replicas.updated >= replicas.desired) return { adapter, state: 'healthy', seconds };
    unhealthySince = health === 'unhealthy' ? (unhealthySince ?? at) : undefined;
    if ((unhealthySince !== undefined && at - unhealthySince > PATIENCE_MS) || at - began > WAIT_MS) {
      return { adapter, state: 'not healthy', seconds };
    }
    const text = `${name}: ${message || health}`;
    // Also when nothing is new: clients give up whom they do not hear of.
    if (text !== said || at - saidAt > REPEAT_MS) {
      await tell(text);
      saidAt = at;
    }
    said = text;
    await pause(POLL_MS, undefined, { signal });
  }
}
