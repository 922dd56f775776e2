// Tickets: what pass 1 of a request tells recovery (A), and what recovery tells pass 2 (B). Only this gateway can write either.

import type { BackendName, InstanceId, SealedSessionId, TenantId, UpstreamSessionId } from '../core/ids.ts';
import type { Sealer } from './seal.ts';

/** Envoy's redirect happens within the request; 90 s cover the longest parking and a slow initialize. */
export const TICKET_LIFETIME_MS = 90_000;

/** What kind of request it is: `session` is pinned, the others may go to any instance. */
export type RequestKind = 'session' | 'initialize' | 'stateless';

/** Who asked, as pass 1 found out. */
export interface TicketCaller {
  readonly issuer: string;
  readonly subject: string;
  readonly tenant: TenantId;
  readonly roles: readonly string[];
}

/** Set on the request in pass 1; pods see it, so it must be worthless to them: it opens for purpose A only. */
export interface TicketA {
  readonly requestId: string;
  readonly method: string;
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly kind: RequestKind;
  readonly backend: BackendName;
  readonly caller: TicketCaller;
  /** Client-facing session id, for `session`. */
  readonly sessionId: SealedSessionId | undefined;
  /** The instance that pass 1 chose: recovery's own view of the directory may be older than the one that chose. */
  readonly tried: InstanceId;
  /** Whether pass 1 charged quotas for this request, so that pass 2 does not. */
  readonly charged: boolean;
  /** For error replies and the log line of pass 2, which does not read the body again. */
  readonly rpcId: string | number | undefined;
  readonly facts: Readonly<Record<string, string | boolean | undefined>>;
}

/** Copied by Envoy's redirect from recovery's answer to pass 2, which decides from it alone. */
export interface TicketB extends TicketA {
  readonly instance: InstanceId;
  readonly address: string;
  readonly upstreamId: UpstreamSessionId | undefined;
}

/** Where they travel. Clients cannot send them: Envoy strips `x-mcp-*` from every request before anything else. */
export const TICKET_A_HEADER = 'x-mcp-ticket';
export const TICKET_B_HEADER = 'x-mcp-rebound';

export const sealTicketA = (sealer: Sealer, ticket: TicketA, now: number): string => seal(sealer, 'ticket-a', ticket, now);
export const sealTicketB = (sealer: Sealer, ticket: TicketB, now: number): string => seal(sealer, 'ticket-b', ticket, now);

/** Undefined when it is not a ticket A of ours, or expired. */
export function openTicketA(sealer: Sealer, text: string, now: number): TicketA | undefined {
  return open(sealer, 'ticket-a', text, now) as TicketA | undefined;
}

/** Undefined when it is not a ticket B of ours, or expired. A pod that sends back the ticket A that it saw gains nothing. */
export function openTicketB(sealer: Sealer, text: string, now: number): TicketB | undefined {
  return open(sealer, 'ticket-b', text, now) as TicketB | undefined;
}

function seal(sealer: Sealer, purpose: 'ticket-a' | 'ticket-b', ticket: TicketA | TicketB, now: number): string {
  return sealer.seal(purpose, Buffer.from(JSON.stringify([now + TICKET_LIFETIME_MS, ticket])));
}

function open(sealer: Sealer, purpose: 'ticket-a' | 'ticket-b', text: string, now: number): unknown {
  const plain = sealer.open(purpose, text);
  if (!plain) return undefined;
  const [expires, ticket] = JSON.parse(plain.toString()) as [number, unknown];
  return expires >= now ? ticket : undefined;
}
