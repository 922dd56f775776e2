// Calling an instance directly: what recovery and the filtered tool list need of an HTTP client.

import type { Backend, Instance } from '../directory/snapshot.ts';

export interface UpstreamRequest {
  readonly method: 'POST' | 'DELETE';
  readonly instance: Instance;
  readonly backend: Backend;
  /** Host that the client used; a `url:` backend gets its own. */
  readonly authority: string;
  readonly query?: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** With an event stream: stop reading as soon as the text so far satisfies it (an upstream may keep the stream open). */
  readonly until?: (text: Buffer) => boolean;
}

export interface UpstreamAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** Rejects with an UpstreamUnreachable when no answer came. */
export type CallUpstream = (request: UpstreamRequest) => Promise<UpstreamAnswer>;

/** `refused`: no connection was made, so nothing was processed. `broken`: it broke or timed out later. */
export class UpstreamUnreachable extends Error {
  readonly how: 'refused' | 'broken';
  constructor(how: 'refused' | 'broken', cause: unknown) {
    super(`upstream ${how}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'UpstreamUnreachable';
    this.how = how;
  }
}
