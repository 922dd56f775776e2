// The answer to a request whose session is lost and was not opened again.

import type { NotRecovered } from './recover.ts';
import { bare, type RefusalOptions, refuse, refuseCapacity } from './refusal.ts';
import type { Answer } from './request.ts';

/** `method`: what the client asked for. */
export function answerNotRecovered(
  outcome: NotRecovered,
  method: string | undefined,
  { rpcId, facts = {} }: Pick<RefusalOptions, 'rpcId' | 'facts'>,
): Answer {
  switch (outcome.kind) {
    case 'dropped':
      return bare(202, { ...facts, recovered: true });
    case 'ended':
      return bare(200, facts);
    case 'not-found':
      return refuse('session_not_found', { rpcId, facts });
    case 'unavailable':
      return refuseCapacity(outcome.code, method, { rpcId, facts, modern: false });
    default:
      return outcome satisfies never;
  }
}
