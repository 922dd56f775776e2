// Where Envoy's own retry brings a request whose instance failed it: find out why, and send it round again or answer it.

import type { IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import type { UpstreamSessionId } from '../core/ids.ts';
import { peek } from '../core/rpc-peek.ts';
import { queryOf } from '../core/url-query.ts';
import { limited } from '../core/within.ts';
import type { Balancer } from '../directory/balancer.ts';
import type { Directory } from '../directory/directory.ts';
import type { Instance } from '../directory/snapshot.ts';
import { type Asked, NOTHING_ASKED } from '../gateway/body.ts';
import { namesOf } from '../gateway/case.ts';
import { mayHoldLease } from '../gateway/claim.ts';
import { replyId } from '../gateway/forward.ts';
import { answerNotRecovered } from '../gateway/not-recovered.ts';
import { type Parking, parkedAs } from '../gateway/parking.ts';
import type { Recovery } from '../gateway/recover.ts';
import { refuse, refuseCapacity } from '../gateway/refusal.ts';
import type { Answer } from '../gateway/request.ts';
import type { Standing } from '../gateway/standing.ts';
import type { Sealer } from '../session/seal.ts';
import { openSessionId } from '../session/session-id.ts';
import { openTicketA, sealTicketB, TICKET_A_HEADER, TICKET_B_HEADER, type TicketA } from '../session/ticket.ts';

export interface RecoveryEndpointDependencies {
  readonly recovery: Recovery;
  readonly directory: Directory;
  readonly balancer: Balancer;
  readonly parking: Parking;
  readonly sealer: Sealer;
  readonly standing: Standing;
  readonly log: Logger;
  readonly now?: () => number;
}

/** How long the directory may take to learn that an instance is gone. */
const NEWS_WAIT_MS = 250;

export type AnswerRetry = (request: IncomingMessage, body: Buffer, signal: AbortSignal) => Promise<Answer>;

/** Envoy strips `x-mcp-*` from clients, so a ticket A here was set in pass 1; it is sealed all the same. */
export const isRetry = (request: IncomingMessage): boolean => request.headers[TICKET_A_HEADER] !== undefined;

export function createRecoveryEndpoint(dependencies: RecoveryEndpointDependencies): AnswerRetry {
  const { recovery, directory, balancer, parking, sealer, standing, log, now = Date.now } = dependencies;

  /** Envoy follows this itself, and only this: see `allow_listed_routes` in envoy/envoy.yaml. */
  const sendRound = async (
    { ticket, request, asked }: Retry,
    instance: Instance,
    { upstreamId, moved }: { readonly upstreamId: UpstreamSessionId | undefined; readonly moved: boolean },
  ): Promise<Answer> => {
    // Pass 1 has rewritten the path to the server's own, but the query is the client's.
    const path = `/adapters/${ticket.backend}/mcp${queryOf(request.url ?? '')}`;
    const { messages, batch, single } = asked;
    const rebound = sealTicketB(
      sealer,
      {
        ...ticket,
        requestId: String(request.headers['x-request-id']),
        method: request.method ?? '',
        path,
        instance: instance.id,
        address: instance.address,
        upstreamId,
        moved,
        charged: request.method === 'POST' && mayHoldLease(messages),
        rateLimit: request.method === 'POST' ? await standing(ticket, asked) : undefined,
        rpcId: replyId(single?.idValue),
        facts: {
          ...namesOf(batch, single),
          backend: ticket.backend,
          tenant: ticket.caller.tenant,
          subject: ticket.caller.subject,
        },
      },
      now(),
    );
    const headers = [['location', `${ticket.scheme}://${ticket.authority}${path}`] as const, [TICKET_B_HEADER, rebound] as const];
    return { kind: 'answer', status: 307, headers, body: '', facts: {} };
  };

  const retrySession = async (retry: Retry): Promise<Answer> => {
    const { ticket, request, asked } = retry;
    const { messages, single } = asked;
    const grant = ticket.sessionId && openSessionId(sealer, ticket.sessionId);
    const backend = directory.snapshot().backends.get(ticket.backend);
    const rpcId = single?.id;
    if (!grant || !backend) return refuse('session_not_found', { rpcId });
    const upstreamId = (request.headers['mcp-session-id'] ?? '') as UpstreamSessionId;
    const outcome = await recovery.recover({
      method: request.method ?? '',
      messages,
      backend,
      grant,
      caller: ticket.caller,
      authority: ticket.authority,
      protocolVersion: request.headers['mcp-protocol-version'] as string | undefined,
      tried: { instance: ticket.tried, upstreamId },
    });
    if ('instance' in outcome) {
      const { kind, instance, binding } = outcome;
      return sendRound(retry, instance, { upstreamId: binding.upstreamId, moved: kind === 'bound' });
    }
    return answerNotRecovered(outcome, messages[0]?.method, { rpcId });
  };

  /** No session yet: any other instance will do. */
  const retryElsewhere = async (retry: Retry, signal: AbortSignal): Promise<Answer> => {
    const { ticket, asked } = retry;
    const { messages, single } = asked;
    const options = { rpcId: single?.id, modern: messages[0]?.protocolVersion !== undefined };
    balancer.suspect(ticket.tried);
    const known = directory.snapshot().backends.get(ticket.backend);
    if (!known) return refuse('unknown_backend', options);
    // A process that has just died may still be listed for a moment; a live one may have reset a connection, so not for long.
    const soon = limited(signal, NEWS_WAIT_MS);
    await directory.waitFor(ticket.backend, ({ id, state }) => state === 'ready' && id !== ticket.tried, soon).catch(() => {});
    const backend = await parking.wait(ticket.backend, known.startTimeoutMs, parkedAs(ticket.caller), signal);
    if (typeof backend === 'string') return refuseCapacity(backend, messages[0]?.method, options);
    const instance = balancer.pick(backend, ticket.kind === 'initialize', ticket.tried);
    return instance
      ? sendRound(retry, instance, { upstreamId: undefined, moved: true })
      : refuseCapacity('no_instance', messages[0]?.method, options);
  };

  return async (request, body, signal) => {
    const ticket = openTicketA(sealer, String(request.headers[TICKET_A_HEADER] ?? ''), now());
    if (!ticket) {
      log.warn({ requestId: request.headers['x-request-id'] }, 'retry without a valid ticket');
      return refuse('internal_error');
    }
    const retry: Retry = { ticket, request, asked: askedBy(body) };
    return ticket.kind === 'session' ? retrySession(retry) : retryElsewhere(retry, signal);
  };
}

/** A request that Envoy has brought here, with what pass 1 said of it. */
interface Retry {
  readonly ticket: TicketA;
  readonly request: IncomingMessage;
  readonly asked: Asked;
}

/** Pass 1 has found it to be in order. */
function askedBy(body: Buffer): Asked {
  const seen = peek(body, { complete: true });
  if (seen.kind === 'single') return { ...NOTHING_ASKED, messages: [seen.message], single: seen.message };
  return seen.kind === 'batch' ? { ...NOTHING_ASKED, messages: seen.messages, batch: true } : NOTHING_ASKED;
}
