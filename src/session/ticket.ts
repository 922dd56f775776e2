// Tickets: what pass 1 of a request tells recovery (A), and what recovery tells pass 2 (B). Only this gateway can write either.

import { createBoundedCache } from '../core/bounded-cache.ts';
import type { BackendName, InstanceId, SealedSessionId, TenantId, UpstreamSessionId } from '../core/ids.ts';
import type { Sealer } from './seal.ts';

/** Envoy's redirect happens within the request; 90 s cover the longest parking and a slow initialize. */
export const TICKET_LIFETIME_MS = 90_000;
/** A ticket A is used again for so long: what is left of its life covers a request that begins at the end of it. */
const REUSE_MS = 30_000;
const MAX_CACHED = 20_000;

/** What kind of request it is: `session` is pinned, the others may go to any instance. */
export type RequestKind = 'session' | 'initialize' | 'stateless';

/** Who asked, as pass 1 found out. */
export interface TicketCaller {
  readonly issuer: string;
  readonly subject: string;
  readonly tenant: TenantId;
  readonly roles: readonly string[];
}

/**
 * Set on the request in pass 1; pods see it, so it must be worthless to them: it opens for purpose A only, and only on the socket that
 * Envoy's retry reaches. What it says is the same for all requests of a session to one instance, so that it need not be sealed for each:
 * request id, method, path and body are those of the request that carries it.
 */
export interface TicketA {
  readonly kind: RequestKind;
  readonly backend: BackendName;
  readonly caller: TicketCaller;
  /** Client-facing session id, for `session`. */
  readonly sessionId: SealedSessionId | undefined;
  /** The instance that pass 1 chose: recovery's own view of the directory may be older than the one that chose. */
  readonly tried: InstanceId;
  readonly authority: string;
  readonly scheme: string;
  /** The header that pass 1 put an upstream's secret in: pass 2 finds it on the request. */
  readonly secretHeader?: string | undefined;
}

/** Copied by Envoy's redirect from recovery's answer to pass 2, which decides from it alone: good for one request. */
export interface TicketB extends TicketA {
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  readonly instance: InstanceId;
  readonly address: string;
  readonly upstreamId: UpstreamSessionId | undefined;
  /** False when the session lives where it was, and the request is sent there once more. */
  readonly moved: boolean;
  /** Whether pass 1 asked the limits of the tenant: what was lent then is still lent. */
  readonly charged: boolean;
  /** Where the quotas of the caller stand, for the answer. */
  readonly rateLimit: readonly (readonly [name: string, value: string])[] | undefined;
  /** For error replies and the log line of pass 2, which does not read the body again. */
  readonly rpcId: string | number | undefined;
  readonly facts: Readonly<Record<string, string | boolean | undefined>>;
}

/** Where they travel. Clients cannot send them: Envoy strips `x-mcp-*` from every request before anything else. */
export const TICKET_A_HEADER = 'x-mcp-ticket';
export const TICKET_B_HEADER = 'x-mcp-rebound';

/** A sealed ticket A: the same object for all requests that it serves. */
export interface SealedTicket {
  readonly text: string;
}

/** Seals tickets A, each for many requests. */
export interface TicketWriter {
  ticketFor(ticket: TicketA, now: number): SealedTicket;
}

interface Written extends SealedTicket {
  readonly ticket: TicketA;
  readonly reuseUntil: number;
}

export function createTicketWriter(sealer: Sealer): TicketWriter {
  const written = createBoundedCache<string, Written>(MAX_CACHED);
  return {
    ticketFor(ticket, now) {
      const key = ticket.sessionId ?? `${ticket.kind} ${ticket.tried} ${ticket.caller.subject}`;
      const known = written.get(key);
      if (known && now < known.reuseUntil && saysTheSame(known.ticket, ticket)) return known;
      const sealed = { ticket, text: sealTicketA(sealer, ticket, now), reuseUntil: now + REUSE_MS };
      written.set(key, sealed);
      return sealed;
    },
  };
}

/** Callers are compared by identity: one verified token is one object. */
function saysTheSame(a: TicketA, b: TicketA): boolean {
  return (
    a.caller === b.caller &&
    a.tried === b.tried &&
    a.authority === b.authority &&
    a.scheme === b.scheme &&
    a.kind === b.kind &&
    a.backend === b.backend &&
    a.sessionId === b.sessionId &&
    a.secretHeader === b.secretHeader
  );
}

/** The session id goes in as the bytes that it stands for: a ticket is a header of every request. */
export function sealTicketA(sealer: Sealer, ticket: TicketA, now: number): string {
  const { issuer, subject, tenant, roles } = ticket.caller;
  const { kind, backend, tried, authority, scheme, secretHeader } = ticket;
  const said: unknown[] = [now + TICKET_LIFETIME_MS, kind, backend, issuer, subject, tenant, roles, tried, authority, scheme];
  if (secretHeader !== undefined) said.push(secretHeader);
  const head = Buffer.from(JSON.stringify(said));
  const length = Buffer.alloc(2);
  length.writeUInt16BE(head.length);
  return sealer.seal('ticket-a', Buffer.concat([length, head, Buffer.from(ticket.sessionId ?? '', 'base64url')]));
}

/** Undefined when it is not a ticket A of ours, or expired. */
export function openTicketA(sealer: Sealer, text: string, now: number): TicketA | undefined {
  const plain = sealer.open('ticket-a', text);
  if (!plain) return undefined;
  const end = 2 + plain.readUInt16BE(0);
  const said = JSON.parse(plain.toString('utf8', 2, end)) as [
    ...[number, RequestKind, BackendName, string, string, TenantId, string[], InstanceId, string, string, string | undefined],
  ];
  const [expires, kind, backend, issuer, subject, tenant, roles, tried, authority, scheme, secretHeader] = said;
  if (expires < now) return undefined;
  const sessionId = plain.length > end ? (plain.toString('base64url', end) as SealedSessionId) : undefined;
  return { kind, backend, caller: { issuer, subject, tenant, roles }, sessionId, tried, authority, scheme, secretHeader };
}

export function sealTicketB(sealer: Sealer, ticket: TicketB, now: number): string {
  return sealer.seal('ticket-b', Buffer.from(JSON.stringify([now + TICKET_LIFETIME_MS, ticket])));
}

/** Undefined when it is not a ticket B of ours, or expired. A pod that sends back the ticket A that it saw gains nothing. */
export function openTicketB(sealer: Sealer, text: string, now: number): TicketB | undefined {
  const plain = sealer.open('ticket-b', text);
  if (!plain) return undefined;
  const [expires, ticket] = JSON.parse(plain.toString()) as [number, TicketB];
  return expires >= now ? ticket : undefined;
}
