// What is remembered of an `initialize` from the decision until its answer comes by.

import type { RpcMessage } from '../core/rpc-peek.ts';
import type { Backend } from '../directory/snapshot.ts';
import type { TicketCaller } from '../session/ticket.ts';
import type { GatewayRequest, Opening } from './request.ts';

/** Larger params are not kept: the session works, but cannot be opened again. Real clients send a few hundred bytes. */
const MAX_PARAMS_BYTES = 16_384;

export function openingOf(
  request: GatewayRequest,
  message: RpcMessage | undefined,
  backend: Backend,
  instance: string,
  caller: TicketCaller,
  slot?: string,
): Opening | undefined {
  if (message?.method !== 'initialize' || message.type !== 'request') return undefined;
  const [start, end] = message.paramsRange ?? [0, 0];
  return {
    backend: backend.name,
    instance,
    issuer: caller.issuer,
    subject: caller.subject,
    tenant: caller.tenant,
    params: end - start > MAX_PARAMS_BYTES ? '' : request.body.toString('utf8', start, end),
    slot,
    stateless: backend.affinity === 'none',
  };
}
