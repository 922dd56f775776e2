// Who asks the control plane for something, and what that allows.

import type { BackendResource } from '../config/resources.ts';
import type { CallerName } from './sessions.ts';

/** `admin`: everything. `operator`: backends and sessions. `viewer`: may look. Undefined: only what is the caller's own, or open to its roles. */
export type Rank = 'admin' | 'operator' | 'viewer' | undefined;

export interface Actor extends CallerName {
  readonly rank: Rank;
  readonly tenant: string;
  /** As the token says them. */
  readonly roles: readonly string[];
}

/** As resources name their creator. */
export const creatorOf = ({ issuer, subject }: CallerName): string => `${issuer} ${subject}`;

export const nameOf = ({ issuer, subject }: CallerName): CallerName => ({ issuer, subject });

type Owned = Pick<BackendResource, 'creator' | 'spec'>;

const owns = (actor: Actor, { creator }: Owned): boolean => creator !== undefined && creator === creatorOf(actor);

/** Whether the actor may know of a backend: whoever may use it may. */
export function mayRead(actor: Actor, backend: Owned): boolean {
  if (actor.rank !== undefined || owns(actor, backend)) return true;
  const { access } = backend.spec;
  if (!access) return false;
  return access.tenants.includes('*') || access.tenants.includes(actor.tenant) || access.roles.some((role) => actor.roles.includes(role));
}

/** Whether the actor may change a backend, restart it, and read what it writes: logs may hold anything. */
export const mayWrite = (actor: Actor, backend: Owned): boolean =>
  actor.rank === 'admin' || actor.rank === 'operator' || owns(actor, backend);

/** Whether the actor is shown how a backend is run, and not only that it is there: arguments and addresses are for those who look after it. */
export const maySeeInside = (actor: Actor, backend: Owned): boolean => actor.rank !== undefined || owns(actor, backend);

/** Registering a backend runs code: only callers with a role for it may, whatever the image. */
export const mayRegister = ({ rank }: Actor): boolean => rank === 'admin' || rank === 'operator';

export const mayReadTenants = ({ rank }: Actor): boolean => rank !== undefined;
export const mayWriteTenants = ({ rank }: Actor): boolean => rank === 'admin';
export const mayReadSessions = ({ rank }: Actor): boolean => rank !== undefined;
export const mayEndSessions = ({ rank }: Actor): boolean => rank === 'admin' || rank === 'operator';
/** How every backend is run, whoever owns it. */
export const maySeeAll = ({ rank }: Actor): boolean => rank !== undefined;
