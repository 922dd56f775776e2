// News as they stand in Redis and travel over its channel: lines of text, because scripts and processes write them alike.

import type { InstanceId, SessionKey, UpstreamSessionId } from '../core/ids.ts';
import type { Revocation, SessionEnd, SessionNews } from './store.ts';

/** News of a session with what it takes to put two of them into order. */
export interface ToldNews extends SessionNews {
  /** Counts the changes of one session. */
  readonly version: number;
  readonly end: SessionEnd | undefined;
  readonly expiresAt: number;
}

/** The upstream id comes last: it is the server's own, and may hold anything. */
export function formatNews({ key, version, expiresAt, binding, end }: ToldNews): string {
  return [key, version, expiresAt, binding.generation, end ?? '', binding.instance, binding.upstreamId].join('\n');
}

/** Undefined for what another version of this program may have written. */
export function parseNews(text: string): ToldNews | undefined {
  const [key, version, expiresAt, generation, end, instance, ...upstreamId] = text.split('\n');
  if (!key || instance === undefined || !Number.isSafeInteger(Number(version)) || !Number.isSafeInteger(Number(generation)))
    return undefined;
  return {
    key: key as SessionKey,
    version: Number(version),
    expiresAt: Number(expiresAt),
    binding: { generation: Number(generation), instance: instance as InstanceId, upstreamId: upstreamId.join('\n') as UpstreamSessionId },
    ended: end !== '',
    end: end === '' ? undefined : (end as SessionEnd),
    ...(end === 'revoked' ? { revoked: true } : {}),
  };
}

/** A message of the channel: `s` and news of a session, or `c`, a caller and the second up to which it is revoked. */
export type Message = { readonly kind: 's'; readonly news: ToldNews } | { readonly kind: 'c'; readonly revocation: Revocation };

export function parseMessage(text: string): Message | undefined {
  const rest = text.slice(2);
  if (text.startsWith('s\n')) {
    const news = parseNews(rest);
    return news && { kind: 's', news };
  }
  const [caller, before] = rest.split('\n');
  if (!text.startsWith('c\n') || !caller || !Number.isFinite(Number(before))) return undefined;
  return { kind: 'c', revocation: { caller, before: Number(before) } };
}
