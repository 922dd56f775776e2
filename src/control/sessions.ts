// Sessions as administrators see and end them: the use cases behind the admin API and the command line.

import type { BackendName, InstanceId, SessionKey, TenantId } from '../core/ids.ts';
import { createPrincipal } from '../identity/principal.ts';
import { MAX_LISTED, NO_INSTANCE, type SessionStore, type SessionSummary } from '../session/store.ts';
import type { AuditEntry } from '../telemetry/audit-line.ts';
import { type Actor, mayEndSessions, mayReadSessions } from './actor.ts';
import { audited } from './audited.ts';
import type { Freeing } from './freeing.ts';
import { ControlRefusal } from './refusal.ts';
import { askStore } from './store-unavailable.ts';

/** Of `MAX_LISTED` sessions each; what is beyond it stays in the list until it is too old. */
const MAX_PAGES = 1_000;

/** Whatever else is asked for is no session; it never reaches the store. */
const KEY = /^[\w-]{1,64}$/;

/** Whoever a token is for: all that a session is bound to. */
export interface CallerName {
  readonly issuer: string;
  readonly subject: string;
}

/** One open session. Nothing in it is of use to a client: the key is the gateway's own name, and the server's id is not told. */
export interface ListedSession {
  readonly key: SessionKey;
  readonly backend: BackendName;
  readonly tenant: TenantId;
  readonly issuer: string;
  readonly subject: string;
  /** Null when it is on none, because nobody used it: its next request opens it again. */
  readonly instance: InstanceId | null;
  /** How often it was opened again on another instance. */
  readonly generation: number;
  /** ISO 8601, like the other times. */
  readonly createdAt: string;
  /** Exact to half a minute. */
  readonly lastUsed: string;
  readonly expiresAt: string;
}

export interface SessionList {
  /** The one that was used last first. */
  readonly sessions: readonly ListedSession[];
  /** There may be more than the limit let in. */
  readonly more: boolean;
}

/** Sessions that are all of what is named. */
export interface SessionFilter {
  readonly backend?: string | undefined;
  readonly issuer?: string | undefined;
  readonly subject?: string | undefined;
  readonly tenant?: string | undefined;
  /** 1 to `MAX_LISTED`. */
  readonly limit: number;
  /** The key of the last one that has been seen; only the first `MAX_LISTED` can be reached. */
  readonly after?: string | undefined;
}

/** All of them reject with `StoreUnavailable` when the store cannot be reached, and with ControlRefusal for whoever may not. */
export interface SessionControl {
  list(filter: SessionFilter, actor: Actor): Promise<SessionList>;
  /** Every gateway refuses the session from now on. */
  end(key: string, actor: Actor): Promise<void>;
  /** Every gateway refuses all that the caller has begun until now, whether it is listed or not. Resolves with how many were open. */
  endAllOf(caller: CallerName, actor: Actor): Promise<number>;
  /** For a backend that has been removed: one of the same name that comes later has nothing to do with its sessions. */
  endAllOn(backend: string): Promise<void>;
}

export interface SessionControlDependencies {
  readonly store: Pick<SessionStore, 'list' | 'read' | 'end' | 'revokeCaller'>;
  readonly freeing: Pick<Freeing, 'free'>;
  readonly audit: (entry: AuditEntry) => void;
}

export function createSessionControl({ store, freeing, audit }: SessionControlDependencies): SessionControl {
  const end = async (key: SessionKey): Promise<void> => {
    const record = KEY.test(key) ? await askStore(store.read(key)) : undefined;
    if (!record || record.end === 'ended' || record.end === 'revoked') {
      throw new ControlRefusal('missing', `there is no open session ${key}`);
    }
    await askStore(store.end(key, 'revoked'));
    freeing.free([record]);
  };

  const endAllOf = async ({ issuer, subject }: CallerName): Promise<number> => {
    const who = { issuer, subject };
    // Only to free what they hold: not knowing them must not keep them from being refused.
    const open = await askStore(store.list({ ...who, limit: MAX_LISTED })).catch(() => []);
    const ended = await askStore(store.revokeCaller(hashOf(who), who));
    freeing.free(open);
    return ended;
  };

  const endAllOn = async (backend: BackendName): Promise<void> => {
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const open = await askStore(store.list({ backend, limit: MAX_LISTED }));
      await askStore(Promise.all(open.map(({ key }) => store.end(key, 'revoked'))));
      freeing.free(open);
      if (open.length < MAX_LISTED) return;
    }
  };

  return {
    endAllOn: (backend) => endAllOn(backend as BackendName),
    async list({ backend, issuer, subject, tenant, limit, after }, actor) {
      if (!mayReadSessions(actor))
        throw new ControlRefusal('forbidden', 'sessions are shown to viewers, operators and administrators only');
      const query = { backend: backend as BackendName | undefined, tenant: tenant as TenantId | undefined, issuer, subject };
      const all = await askStore(store.list({ ...query, limit: after === undefined ? limit + 1 : MAX_LISTED }));
      const seen = after === undefined ? 0 : all.findIndex(({ key }) => key === after) + 1;
      if (after !== undefined && seen === 0) throw new ControlRefusal('invalid', 'after: there is no such session any more: begin anew');
      const found = all.slice(seen);
      return { sessions: found.slice(0, limit).map(listed), more: found.length > limit || all.length === MAX_LISTED };
    },
    end: (key, actor) =>
      audited(audit, { action: 'session.end', target: key, session: key, actor }, async () => {
        mayEnd(actor);
        await end(key as SessionKey);
      }),
    endAllOf: (caller, actor) =>
      audited(audit, { action: 'caller.revoke', target: `${caller.issuer} ${caller.subject}`, actor }, async () => {
        mayEnd(actor);
        return endAllOf(caller);
      }),
  };
}

function mayEnd(actor: Actor): void {
  if (!mayEndSessions(actor)) throw new ControlRefusal('forbidden', 'sessions are ended by operators and administrators only');
}

/** As session ids are bound to it; tenant, roles and scopes are no part of that. */
function hashOf(caller: CallerName): string {
  return createPrincipal({ ...caller, tenant: '' as TenantId, roles: [], scopes: [] }).hash.toString('base64url');
}

/** Field by field: what a summary gains later is not shown by itself. */
function listed({
  key,
  backend,
  tenant,
  issuer,
  subject,
  instance,
  generation,
  createdAt,
  lastUsed,
  expiresAt,
}: SessionSummary): ListedSession {
  return {
    key,
    backend,
    tenant,
    issuer,
    subject,
    instance: instance === NO_INSTANCE ? null : instance,
    generation,
    createdAt: new Date(createdAt).toISOString(),
    lastUsed: new Date(lastUsed).toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
  };
}
