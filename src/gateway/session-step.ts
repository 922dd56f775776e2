// Step 5 of a decision: whose session it is, where it lives now, and what has to happen before the request may go there.

import { timingSafeEqual } from 'node:crypto';
import type { SealedSessionId } from '../core/ids.ts';
import type { Instance } from '../directory/snapshot.ts';
import { type Grant, openSessionId } from '../session/session-id.ts';
import type { Binding, SessionChange, SessionNews } from '../session/store.ts';
import type { AuthorizeDependencies, Case } from './authorize.ts';
import { allReplayable, forward, ticketCaller } from './forward.ts';
import type { LostRequest, NotRecovered } from './recover.ts';
import { bare, refuse, refuseCapacity } from './refusal.ts';
import type { Decision } from './request.ts';

/** How long a session request may wait for the store when the feed is silent. */
const STORE_LIMIT_MS = 50;

/** A session request whose id has been opened. */
interface Located extends Case {
  readonly id: SealedSessionId;
  readonly grant: Grant;
}

export type SessionStep = (theCase: Case, id: SealedSessionId) => Decision | Promise<Decision>;

export function createSessionStep(dependencies: AuthorizeDependencies): SessionStep {
  const { feed, store, useLog, sealer, recovery, toolLists, toolHints, onRevocationOutage, now = Date.now } = dependencies;

  const notFound = ({ asked, facts }: Case): Decision => refuse('session_not_found', { rpcId: asked.single?.id, facts });

  const continueWith = (located: Located, news: SessionNews | undefined): Decision | Promise<Decision> => {
    if (news?.ended) return located.request.method === 'DELETE' ? bare(200, located.facts) : notFound(located);
    const binding = news?.binding ?? { generation: 0, instance: located.grant.instance, upstreamId: located.grant.upstreamId };
    const instance = located.backend.instances.find((candidate) => candidate.id === binding.instance);
    // The instance is gone, and with it the session: no need to ask a pod. Some servers would even answer 400 instead of 404.
    if (!instance) return recover(located, undefined);
    if (needsMore(located, binding)) return prepare(located, instance, binding);
    return send(located, instance, binding, { recovered: false, dropLastEventId: false });
  };

  /** The few requests that wait for something before they go on. */
  const prepare = async (located: Located, instance: Instance, binding: Binding): Promise<Decision> => {
    const { request, asked, grant } = located;
    // A body beyond Envoy's replay buffer cannot be sent twice: find out first whether its session lives.
    if (!asked.complete && !(await recovery.alive(lostRequest(located, binding), instance, binding.upstreamId)))
      return recover(located, binding);
    const change = changeOf(located);
    if (change) await store.note(grant.key, change);
    if (request.method === 'DELETE') await store.end(grant.key, 'ending');
    const dropLastEventId = request.headers.lastEventId !== undefined && (await store.claimStream(grant.key));
    return send(located, instance, binding, { recovered: false, dropLastEventId });
  };

  const recover = async (located: Located, tried: Binding | undefined): Promise<Decision> => {
    const outcome = await recovery.recover(lostRequest(located, tried));
    if (!('instance' in outcome)) return answerOf(outcome, located);
    return send(located, outcome.instance, outcome.binding, { recovered: outcome.kind === 'bound', dropLastEventId: true });
  };

  const send = (
    located: Located,
    instance: Instance,
    binding: Binding,
    { recovered, dropLastEventId }: { readonly recovered: boolean; readonly dropLastEventId: boolean },
  ): Decision | Promise<Decision> => {
    const { request, shaped, backend, caller, asked, id } = located;
    const session = { id, upstreamId: binding.upstreamId };
    if (toolLists.wanted(asked, backend))
      return toolLists.answer(located, instance, { ...session, recover: () => recover(located, binding) });
    const replayable =
      allReplayable(asked.messages) || toolHints.replayable(asked, backend, instance, binding.upstreamId, request.authority);
    return forward(
      {
        request,
        backend,
        query: shaped.query,
        instance,
        caller,
        kind: 'session',
        session,
        replayable,
        rpcId: asked.single?.idValue,
        facts: { ...located.facts, instance: instance.id, ...(recovered ? { recovered } : {}) },
        charged: false,
        dropLastEventId,
        ...(request.method === 'DELETE' ? { ending: located.grant.key } : {}),
      },
      sealer,
      now(),
    );
  };

  /** The feed is silent, so a revocation or rebinding may have been missed. */
  const askStore = async (located: Located): Promise<Decision> => {
    try {
      const record = await Promise.race([store.read(located.grant.key), rejectAfter(STORE_LIMIT_MS)]);
      return continueWith(located, record && { key: record.key, binding: record.binding, ended: record.end !== undefined });
    } catch {
      if (onRevocationOutage === 'allow') return continueWith(located, feed.find(located.grant.key));
      return refuse('state_unavailable', { rpcId: located.asked.single?.id, facts: located.facts });
    }
  };

  return (theCase, id) => {
    const { asked, backend, caller } = theCase;
    if (asked.single?.method === 'initialize') return refuse('session_with_initialize', { rpcId: asked.single.id, facts: theCase.facts });
    const grant = openSessionId(sealer, id);
    // One answer for all: whoever tries ids learns nothing from the difference between unknown, foreign and expired.
    if (!grant || grant.backend !== backend.name || !timingSafeEqual(grant.caller, caller.hash)) return notFound(theCase);
    if (grant.issuedAt * 1000 + backend.sessions.maxAgeMs <= now()) return notFound(theCase);
    useLog.used(grant.key);
    const located: Located = { ...theCase, id, grant };
    return feed.fresh() ? continueWith(located, feed.find(grant.key)) : askStore(located);
  };
}

function lostRequest({ request, asked, backend, grant, caller }: Located, tried: Binding | undefined): LostRequest {
  return {
    method: request.method,
    messages: asked.messages,
    backend,
    grant,
    caller: ticketCaller(caller),
    authority: request.authority,
    tried,
  };
}

function answerOf(outcome: NotRecovered, { asked, facts }: Case): Decision {
  switch (outcome.kind) {
    case 'dropped':
      return bare(202, { ...facts, recovered: true });
    case 'ended':
      return bare(200, facts);
    case 'not-found':
      return refuse('session_not_found', { rpcId: asked.single?.id, facts });
    case 'unavailable':
      return refuseCapacity(outcome.code, asked.single?.method, { rpcId: asked.single?.id, facts });
    default:
      return outcome satisfies never;
  }
}

function needsMore(located: Located, binding: Binding): boolean {
  const { request, asked } = located;
  if (request.method === 'DELETE' || !asked.complete || changeOf(located) !== undefined) return true;
  return request.headers.lastEventId !== undefined && binding.generation > 0;
}

function changeOf({ asked: { single } }: Located): SessionChange | undefined {
  if (single?.method === 'logging/setLevel' && single.level !== undefined) return { kind: 'level', level: single.level };
  if (single?.uri === undefined) return undefined;
  if (single.method === 'resources/subscribe') return { kind: 'subscribe', uri: single.uri };
  if (single.method === 'resources/unsubscribe') return { kind: 'unsubscribe', uri: single.uri };
  return undefined;
}

function rejectAfter(ms: number): Promise<never> {
  return new Promise((_, reject) => setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms).unref());
}
