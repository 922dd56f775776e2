// The session store's contract: the records that recovery needs, one interface for memory, supervisor link and (later) Redis.

import type { BackendName, InstanceId, SessionKey, TenantId, UpstreamSessionId } from '../core/ids.ts';

/** Where a session lives now. Generation 0 is the binding sealed into the id; each recovery adds one. */
export interface Binding {
  readonly generation: number;
  readonly instance: InstanceId;
  readonly upstreamId: UpstreamSessionId;
}

/**
 * `ending`: a DELETE is on its way and its outcome not known; recovery treats it as ended, so that a session that its client
 * gave up is never opened again. `ended`: a tombstone, kept until the id expires.
 */
export type SessionEnd = 'ending' | 'ended';

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

/** All operations reject when the store cannot be reached; a missing record is not an error. */
export interface SessionStore {
  create(record: SessionRecord): Promise<void>;
  read(key: SessionKey): Promise<SessionRecord | undefined>;
  note(key: SessionKey, change: SessionChange): Promise<void>;
  /** Replaces the binding if its generation is still `from`; answers with the binding in force afterwards. Undefined: ended. */
  rebind(key: SessionKey, from: number, to: Omit<Binding, 'generation'>): Promise<Binding | undefined>;
  /** `undefined` takes back an `ending` (the DELETE was refused); an `ended` session never comes back. */
  end(key: SessionKey, end: SessionEnd | undefined): Promise<void>;
  /** True for the first GET stream since the session's last recovery. */
  claimStream(key: SessionKey): Promise<boolean>;
  /** These sessions have been used since the last call. Never waits and never fails: it only keeps sessions from being idle. */
  used(keys: readonly SessionKey[]): void;
  /** Waits for the session's lock; the answer releases it. At most one holder among all sidecars; released when the holder dies. */
  lock(key: SessionKey, signal: AbortSignal): Promise<() => void>;
}

/** The instance of a session whose upstream session was ended for idleness: its next request opens it again. */
export const NO_INSTANCE = '' as InstanceId;

/** What the store tells every sidecar about a session whose sealed id is no longer the whole truth. */
export interface SessionNews {
  readonly key: SessionKey;
  readonly binding: Binding;
  readonly ended: boolean;
}

/** The sidecar's local copy of that news: what a request may look at without waiting. */
export interface SessionFeed {
  find(key: SessionKey): SessionNews | undefined;
  /** False when nothing was heard from the store for more than a second: then a session request has to ask the store. */
  fresh(): boolean;
}

/** A session holds at most this many remembered subscriptions: the oldest is forgotten first. */
export const MAX_SUBSCRIPTIONS = 256;
/** A longer level or URI is passed on but not remembered: a record is kept in memory and written whole with each change. */
export const MAX_NOTED_CHARS = 2_048;
