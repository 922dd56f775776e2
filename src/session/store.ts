// The session store's contract: the records that recovery needs, one interface for memory, supervisor link and Redis.

import type { BackendName, InstanceId, SessionKey, TenantId, UpstreamSessionId } from '../core/ids.ts';

/** Where a session lives now. Generation 0 is the binding sealed into the id; each recovery adds one. */
export interface Binding {
  readonly generation: number;
  readonly instance: InstanceId;
  readonly upstreamId: UpstreamSessionId;
}

/**
 * `ending`: a DELETE is on its way and its outcome not known; recovery treats it as ended, so that a session that its client
 * gave up is never opened again. `ended`: a tombstone, kept until the id expires. `revoked`: a tombstone of an administrator, which
 * the session's server does not know of: that it is not forgotten is what keeps the session closed.
 */
export type SessionEnd = 'ending' | 'ended' | 'revoked';

/** Everything needed to open a session again on another instance. Times in milliseconds since 1970. */
export interface SessionRecord {
  readonly key: SessionKey;
  readonly backend: BackendName;
  readonly issuer: string;
  readonly subject: string;
  readonly tenant: TenantId;
  readonly createdAt: number;
  /** The record is forgotten then: the id has expired. */
  readonly expiresAt: number;
  /** Raw JSON of the client's own `initialize` params. */
  readonly initialize: string;
  readonly level: string | undefined;
  readonly subscriptions: readonly string[];
  readonly binding: Binding;
  readonly end: SessionEnd | undefined;
  /** Generation for which a GET stream has been opened since the recovery: decides whose `Last-Event-ID` a client sends. */
  readonly streamGeneration: number;
}

/** A change that a client made to its session and that a new instance has to be told. */
export type SessionChange =
  | { readonly kind: 'level'; readonly level: string }
  | { readonly kind: 'subscribe'; readonly uri: string }
  | { readonly kind: 'unsubscribe'; readonly uri: string };

/** One open session as administrators see it. Times in milliseconds since 1970. */
export interface SessionSummary {
  readonly key: SessionKey;
  readonly backend: BackendName;
  readonly issuer: string;
  readonly subject: string;
  readonly tenant: TenantId;
  /** `NO_INSTANCE` when its upstream session was ended for idleness. */
  readonly instance: InstanceId;
  readonly createdAt: number;
  /** Exact to the interval in which uses are reported: 5 s, on Redis 35 s. */
  readonly lastUsed: number;
  readonly expiresAt: number;
  readonly generation: number;
}

/** Which open sessions to list: those that are all of what is named. */
export interface SessionQuery {
  readonly backend?: BackendName | undefined;
  readonly issuer?: string | undefined;
  readonly subject?: string | undefined;
  readonly tenant?: TenantId | undefined;
  /** At most `MAX_LISTED`. */
  readonly limit: number;
}

/** All sessions of one caller that began up to a moment are refused, also those of which the store has no record. */
export interface Revocation {
  /** SHA-256 over issuer and subject, base64url: what a session id is bound to. */
  readonly caller: string;
  /** Seconds since 1970, like `issuedAt` of a grant: sessions issued then or earlier are revoked. */
  readonly before: number;
}

/** All operations reject when the store cannot be reached; a missing record is not an error. */
export interface SessionStore {
  /** The key is new: a record is written once and then changed by the operations below. */
  create(record: SessionRecord): Promise<void>;
  read(key: SessionKey): Promise<SessionRecord | undefined>;
  note(key: SessionKey, change: SessionChange): Promise<void>;
  /** Replaces the binding if its generation is still `from`; answers with the binding in force afterwards. Undefined: ended. */
  rebind(key: SessionKey, from: number, to: Omit<Binding, 'generation'>): Promise<Binding | undefined>;
  /** `undefined` takes back an `ending` (the DELETE was refused); an `ended` or `revoked` session never comes back. */
  end(key: SessionKey, end: SessionEnd | undefined): Promise<void>;
  /** True for the first GET stream since the session's last recovery. */
  claimStream(key: SessionKey): Promise<boolean>;
  /** These sessions have been used since the last call. Never waits and never fails: it only keeps sessions from being idle. */
  used(keys: readonly SessionKey[]): void;
  /** Waits for the session's lock; the answer releases it. At most one holder among all sidecars; released when the holder dies. */
  lock(key: SessionKey, signal: AbortSignal): Promise<() => void>;
  /** Open sessions, the one that was used last first. */
  list(query: SessionQuery): Promise<readonly SessionSummary[]>;
  /**
   * Ends every open session of a caller and refuses all that it has begun until now. Resolves with the number of those that were open.
   * @param caller as in `Revocation`; `who` is the same caller in the words of the records.
   */
  revokeCaller(caller: string, who: { readonly issuer: string; readonly subject: string }): Promise<number>;
  /** For when the feed is not fresh: `before` of the caller's revocation, if there is one. */
  revokedBefore(caller: string): Promise<number | undefined>;
}

/** The instance of a session whose upstream session was ended for idleness: its next request opens it again. */
export const NO_INSTANCE = '' as InstanceId;

/** What the store tells every sidecar about a session whose sealed id is no longer the whole truth. */
export interface SessionNews {
  readonly key: SessionKey;
  readonly binding: Binding;
  readonly ended: boolean;
  /** Ended by an administrator. Such news are forgotten last: see `SessionEnd`. */
  readonly revoked?: true;
}

/** The sidecar's local copy of that news: what a request may look at without waiting. */
export interface SessionFeed {
  find(key: SessionKey): SessionNews | undefined;
  /** Whether all sessions that this caller began at that time (seconds since 1970) or earlier are revoked. Cheap enough for every request. */
  revoked(caller: Buffer | string, issuedAt: number): boolean;
  /** False when nothing was heard from the store for more than a second: then a session request has to ask the store. */
  fresh(): boolean;
}

/** Sessions in one answer of `list`. */
export const MAX_LISTED = 1_000;
/** A session holds at most this many remembered subscriptions: the oldest is forgotten first. */
export const MAX_SUBSCRIPTIONS = 256;
/** And so many bytes of them (UTF-8): a caller may open thousands of sessions and fill each. More than the longest single URI. */
export const MAX_SUBSCRIPTIONS_BYTES = 16_384;
/** A longer level or URI is passed on but not remembered: a record is kept in memory and written whole with each change. */
export const MAX_NOTED_CHARS = 2_048;
/** A DELETE whose outcome nobody reported (its sidecar died) counts as done after this time: its client has given the session up. */
export const ENDING_TTL_MS = 60_000;
/** The longest `maxAge` of a backend: no id that a revocation is about is older when it is forgotten. */
export const REVOCATION_KEPT_MS = 30 * 24 * 3_600_000;
/** Revoked callers, and revoked sessions, that are remembered; beyond it the oldest is forgotten. */
export const MAX_REVOKED = 100_000;
