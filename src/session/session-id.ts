// The session id that clients see: how a grant is written into it and read back. Wire format: docs/session-id.md.

import { createBoundedCache } from '../core/bounded-cache.ts';
import type { BackendName, InstanceId, SealedSessionId, SessionKey, TenantId, UpstreamSessionId } from '../core/ids.ts';
import type { Sealer } from './seal.ts';

/** What was decided when the session began. */
export interface Grant {
  readonly key: SessionKey;
  readonly backend: BackendName;
  readonly instance: InstanceId;
  readonly upstreamId: UpstreamSessionId;
  /** SHA-256 over issuer and subject of the caller: 32 bytes. */
  readonly caller: Buffer;
  readonly tenant: TenantId;
  /** Seconds since 1970. */
  readonly issuedAt: number;
}

const CALLER_BYTES = 32;
const KEY_BYTES = 16;
const FIXED_BYTES = 4 + CALLER_BYTES + KEY_BYTES;

/** Longer upstream ids are refused: with the rest they must fit the header limits of every client and proxy. */
export const MAX_UPSTREAM_ID_CHARS = 2048;
/** Basic transport rules of every revision: "The session ID MUST only contain visible ASCII characters". */
const VISIBLE_ASCII = /^[\x21-\x7e]*$/;

/** Why a session of this id cannot be had; undefined when it can. The empty id is that of a server that keeps no session. */
export function upstreamIdFault(id: string): string | undefined {
  // What a header cannot carry unchanged back to the server would make a session that never works.
  if (!VISIBLE_ASCII.test(id)) return 'the server gave a session id that is not visible ASCII';
  return id.length > MAX_UPSTREAM_ID_CHARS ? `the server's session id has ${id.length} characters` : undefined;
}

/** @throws Error when a name is longer than 255 bytes: names are bounded long before. */
export function sealSessionId(sealer: Sealer, grant: Grant): SealedSessionId {
  const names = [grant.backend, grant.instance, grant.tenant].map((name) => Buffer.from(name, 'utf8'));
  const upstream = Buffer.from(grant.upstreamId, 'latin1');
  const plain = Buffer.alloc(FIXED_BYTES + names.reduce((sum, name) => sum + 1 + name.length, 0) + upstream.length);
  plain.writeUInt32BE(grant.issuedAt, 0);
  grant.caller.copy(plain, 4);
  Buffer.from(grant.key, 'base64url').copy(plain, 4 + CALLER_BYTES);
  let at = FIXED_BYTES;
  for (const name of names) {
    if (name.length > 255) throw new Error('session id: a name is longer than 255 bytes');
    plain[at] = name.length;
    at += 1 + name.copy(plain, at + 1);
  }
  upstream.copy(plain, at);
  return sealer.seal('session', plain) as SealedSessionId;
}

/** Undefined for anything but an id that `sealSessionId` made with a key of this ring. Neither expiry nor caller is checked here. */
export function openSessionId(sealer: Sealer, id: string): Grant | undefined {
  const plain = sealer.open('session', id);
  if (!plain || plain.length < FIXED_BYTES + 3) return undefined;
  let at = FIXED_BYTES;
  const name = (): string => {
    const length = plain[at] ?? 0;
    const text = plain.toString('utf8', at + 1, at + 1 + length);
    at += 1 + length;
    return text;
  };
  const backend = name() as BackendName;
  const instance = name() as InstanceId;
  const tenant = name() as TenantId;
  return {
    issuedAt: plain.readUInt32BE(0),
    caller: plain.subarray(4, 4 + CALLER_BYTES),
    key: plain.toString('base64url', 4 + CALLER_BYTES, FIXED_BYTES) as SessionKey,
    backend,
    instance,
    tenant,
    upstreamId: plain.toString('latin1', at) as UpstreamSessionId,
  };
}

/** Opened ids are remembered: a session's requests all carry the same one. */
const MAX_OPENED = 20_000;
/** Longer ids (of servers with very long ids of their own) are opened each time: the memory stays below 30 MB. */
const MAX_KEPT_CHARS = 1_024;

export interface SessionIds {
  /** As `openSessionId`. */
  open(id: string): Grant | undefined;
  /** The keys have changed: an id whose key is retired must not open any more. */
  forget(): void;
}

export function createSessionIds(sealer: Sealer): SessionIds {
  const opened = createBoundedCache<string, Grant>(MAX_OPENED);
  return {
    open(id) {
      const known = opened.get(id);
      if (known) return known;
      const grant = openSessionId(sealer, id);
      if (grant && id.length <= MAX_KEPT_CHARS) opened.set(id, grant);
      return grant;
    },
    forget: opened.clear,
  };
}

/** A new random session key. One bit is given away: a key that began with "-" would be an option to `mcp-gateway sessions end`. */
export function newSessionKey(random: (bytes: number) => Buffer): SessionKey {
  const bytes = random(KEY_BYTES);
  bytes[0] = (bytes[0] ?? 0) & 0x7f;
  return bytes.toString('base64url') as SessionKey;
}
