// Step 5 of a decision: whose session it is, where it lives now, and what has to happen before the request may go there.

import { timingSafeEqual } from 'node:crypto';
import type { SealedSessionId } from '../core/ids.ts';
import { within } from '../core/within.ts';
import type { Instance } from '../directory/snapshot.ts';
import type { Grant } from '../session/session-id.ts';
import type { Binding, SessionChange, SessionNews } from '../session/store.ts';
import type { AuthorizeDependencies } from './authorize.ts';
import { refuseScopes } from './caller.ts';
import { type Case, factsOf } from './case.ts';
import { allReplayable, forward } from './forward.ts';
import { answerNotRecovered } from './not-recovered.ts';
import type { LostRequest } from './recover.ts';
import { bare, refuse } from './refusal.ts';
import type { Decision } from './request.ts';
import { refuseTools } from './tool-policy.ts';

/** How long a session request may wait for the store when the feed is silent. */
const STORE_LIMIT_MS = 50;
/** The few requests that change a session's record wait for it no longer than this. */
const STORE_TIMEOUT_MS = 2_000;

/** A session request whose id has been opened. */
interface Located {
  readonly theCase: Case;
  readonly id: SealedSessionId;
  readonly grant: Grant;
}

interface Sending {
  readonly recovered: boolean;
  readonly dropLastEventId: boolean;
  /** Recovery has had its say: what the instance answers now is the answer. */
  readonly again: boolean;
}

const FIRST_TRY: Sending = { recovered: false, dropLastEventId: false, again: false };

export type SessionStep = (theCase: Case, id: SealedSessionId) => Decision | Promise<Decision>;

export function createSessionStep(dependencies: AuthorizeDependencies): SessionStep {
  const {
    feed,
    store,
    useLog,
    sessionIds,
    tickets,
    recovery,
    admissions,
    publicUrl,
    toolLists,
    toolHints,
    onRevocationOutage,
    log,
    now = Date.now,
  } = dependencies;

  const notFound = (theCase: Case): Decision => refuse('session_not_found', { rpcId: theCase.asked.single?.id, facts: factsOf(theCase) });

  const continueWith = (located: Located, news: SessionNews | undefined): Decision | Promise<Decision> => {
    const { theCase, grant } = located;
    if (news?.ended) return theCase.request.method === 'DELETE' ? bare(200, factsOf(theCase)) : notFound(theCase);
    const refused = refuseTools(theCase) ?? refuseScopes(theCase, publicUrl);
    if (refused) return refused;
    admissions.sessionUsed(theCase, grant.key);
    return admissions.admit(theCase, false, (admitted) => goOn({ ...located, theCase: admitted }, news));
  };

  const goOn = (located: Located, news: SessionNews | undefined): Decision | Promise<Decision> => {
    const { theCase, grant } = located;
    const binding = news?.binding ?? { generation: 0, instance: grant.instance, upstreamId: grant.upstreamId };
    const instance = theCase.backend.instances.find((candidate) => candidate.id === binding.instance);
    // The instance is gone, and with it the session: no need to ask a pod. Some servers would even answer 400 instead of 404.
    if (!instance) return recover(located, undefined);
    if (needsMore(theCase, binding)) return prepare(located, instance, binding);
    return send(located, instance, binding, FIRST_TRY);
  };

  /** The few requests that wait for something before they go on. */
  const prepare = async (located: Located, instance: Instance, binding: Binding): Promise<Decision> => {
    const { theCase, grant } = located;
    const { request, asked } = theCase;
    // A body beyond Envoy's replay buffer cannot be sent twice: find out first whether its session lives.
    const known = asked.complete || (await recovery.alive(lostRequest(located, binding), instance, binding.upstreamId));
    if (!known) return recover(located, binding);
    const change = changeOf(theCase);
    if (change) await worthTrying('change not noted', store.note(grant.key, change));
    if (request.method === 'DELETE') {
      try {
        await within(store.end(grant.key, 'ending'), STORE_TIMEOUT_MS);
      } catch (err) {
        // Without the mark a later request could open the session again that its client has ended.
        log.warn({ err }, 'session not marked as ending');
        return refuse('state_unavailable', { rpcId: asked.single?.id, facts: factsOf(theCase) });
      }
    }
    return send(located, instance, binding, { ...FIRST_TRY, dropLastEventId: await firstStream(located, binding.generation) });
  };

  /** Whether this is the first GET stream since a recovery: what it names in `Last-Event-ID` is an event of the lost instance. */
  const firstStream = async ({ theCase, grant }: Located, generation: number): Promise<boolean> => {
    if (theCase.request.method !== 'GET' || generation === 0) return false;
    return (await worthTrying('stream not claimed', store.claimStream(grant.key))) ?? false;
  };

  /** What only later requests profit from does not fail this one. */
  const worthTrying = async <T>(failure: string, attempt: Promise<T>): Promise<T | undefined> => {
    try {
      return await within(attempt, STORE_TIMEOUT_MS);
    } catch (err) {
      log.warn({ err }, failure);
      return undefined;
    }
  };

  const recover = async (located: Located, tried: Binding | undefined): Promise<Decision> => {
    const { theCase, grant } = located;
    const outcome = await recovery.recover(lostRequest(located, tried));
    if (outcome.kind === 'ended') admissions.sessionEnded(theCase, grant.key);
    if (!('instance' in outcome)) {
      const { single } = theCase.asked;
      return answerNotRecovered(outcome, single?.method, { rpcId: single?.id, facts: factsOf(theCase) });
    }
    const { kind, instance, binding } = outcome;
    const recovered = kind === 'bound';
    return send(located, instance, binding, { recovered, dropLastEventId: recovered, again: true });
  };

  const send = (located: Located, instance: Instance, binding: Binding, how: Sending): Decision | Promise<Decision> => {
    const { theCase, id, grant } = located;
    const { request, asked } = theCase;
    const { upstreamId } = binding;
    if (toolLists.wanted(theCase)) {
      return toolLists.answer(theCase, instance, { id, upstreamId }, how.again ? undefined : () => recover(located, binding));
    }
    return forward({
      theCase,
      instance,
      kind: 'session',
      session: { id, upstreamId },
      replayable: allReplayable(asked.messages) || toolHints.replayable(theCase, instance, upstreamId),
      recovered: how.recovered,
      dropLastEventId: how.dropLastEventId,
      opening: undefined,
      ending: request.method === 'DELETE' ? grant.key : undefined,
      tickets,
      now: now(),
    });
  };

  /** The feed is silent, so a revocation or rebinding may have been missed. */
  const askStore = async (located: Located): Promise<Decision> => {
    const { theCase, grant } = located;
    // What was heard before stays true, whatever the store says or does not say.
    if (feed.revoked(grant.caller, grant.issuedAt)) return notFound(theCase);
    const known = await within(
      Promise.all([store.read(grant.key), store.revokedBefore(grant.caller.toString('base64url'))]),
      STORE_LIMIT_MS,
    ).catch(() => undefined);
    if (!known && onRevocationOutage === 'deny') {
      return refuse('state_unavailable', { rpcId: theCase.asked.single?.id, facts: factsOf(theCase) });
    }
    const [record, before] = known ?? [];
    if ((before !== undefined && grant.issuedAt <= before) || feed.revoked(grant.caller, grant.issuedAt)) return notFound(theCase);
    const news = record ? { key: record.key, binding: record.binding, ended: record.end !== undefined } : feed.find(grant.key);
    return continueWith(located, news);
  };

  return (theCase, id) => {
    const { asked, backend, caller } = theCase;
    if (asked.single?.method === 'initialize') {
      return refuse('session_with_initialize', { rpcId: asked.single.id, facts: factsOf(theCase) });
    }
    const grant = sessionIds.open(id);
    // One answer for all: whoever tries ids learns nothing from the difference between unknown, foreign and expired.
    if (!grant || grant.backend !== backend.name || !timingSafeEqual(grant.caller, caller.hash)) return notFound(theCase);
    if (grant.issuedAt * 1000 + backend.sessions.maxAgeMs <= now()) return notFound(theCase);
    useLog.used(grant.key);
    const located: Located = { theCase, id, grant };
    if (!feed.fresh()) return askStore(located);
    return feed.revoked(grant.caller, grant.issuedAt) ? notFound(theCase) : continueWith(located, feed.find(grant.key));
  };
}

function lostRequest({ theCase, grant }: Located, tried: Binding | undefined): LostRequest {
  const { request, asked, backend, caller } = theCase;
  return {
    method: request.method,
    messages: asked.messages,
    backend,
    grant,
    caller,
    authority: request.authority,
    protocolVersion: request.headers.protocolVersion,
    tried,
  };
}

function needsMore(theCase: Case, binding: Binding): boolean {
  const { request, asked } = theCase;
  if (request.method === 'DELETE' || !asked.complete || changeOf(theCase) !== undefined) return true;
  return request.method === 'GET' && binding.generation > 0;
}

function changeOf({ asked: { single } }: Case): SessionChange | undefined {
  if (single?.method === 'logging/setLevel' && single.level !== undefined) return { kind: 'level', level: single.level };
  if (single?.uri === undefined) return undefined;
  if (single.method === 'resources/subscribe') return { kind: 'subscribe', uri: single.uri };
  if (single.method === 'resources/unsubscribe') return { kind: 'unsubscribe', uri: single.uri };
  return undefined;
}
