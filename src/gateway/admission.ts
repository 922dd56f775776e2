// Step 6b of a decision: the limits of the caller's tenant, asked once per request, and what is given back when nothing came of it.

import type { SessionKey, TenantId } from '../core/ids.ts';
import type { Claim, Limits, SlotUse, Verdict } from '../quota/limits.ts';
import { type Case, factsOf } from './case.ts';
import { claimOf } from './claim.ts';
import { rateLimitHeaders } from './rate-limit-headers.ts';
import { bare, type CapacityCode, refuseCapacity } from './refusal.ts';
import type { Answer, Decision } from './request.ts';

/** How often used sessions are reported, so that they keep their slots. */
const REPORT_MS = 5_000;
/** More sessions than this in one interval are reported at once. */
const MAX_COLLECTED = 10_000;

/** What a request was admitted with. */
export interface Admission {
  readonly tenant: TenantId;
  readonly rateLimit: readonly (readonly [name: string, value: string])[] | undefined;
  /** It holds a place among the tenant's requests under way. */
  readonly leased: boolean;
  /** A slot among the tenant's sessions is reserved for what it opens. */
  readonly slot: boolean;
}

export interface Admissions {
  /** Asks the limits, then goes on with `go`; when that answers here instead of forwarding, what was lent is given back. */
  admit(theCase: Case, opens: boolean, go: (admitted: Case) => Decision | Promise<Decision>): Decision | Promise<Decision>;
  /** A session is in use: it keeps its slot. Cheap enough for every request. */
  sessionUsed(theCase: Case, session: SessionKey): void;
  close(): void;
}

/** `isOver`: the session is known to have ended, so that it must not take its slot again because of what was asked just before. */
export function createAdmissions(limits: Limits, isOver: (session: SessionKey) => boolean = () => false): Admissions {
  let used = new Map<SessionKey, SlotUse>();
  let timer: NodeJS.Timeout | undefined;
  const report = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const open = [...used.values()].filter(({ session }) => !isOver(session));
    if (open.length > 0) limits.keepSlots(open);
    used = new Map();
  };

  const giveBack = ({ admission, request }: Case): void => {
    if (admission?.leased) limits.release(admission.tenant, request.id);
    if (admission?.slot) limits.releaseSlot(admission.tenant, request.id);
  };

  /** A forwarded request holds what it was lent until the access log reports its end. */
  const settled = (theCase: Case, decision: Decision): Decision => {
    if (decision.kind === 'answer') giveBack(theCase);
    return decision;
  };

  const proceed = (
    theCase: Case,
    claim: Claim,
    verdict: Verdict,
    go: (admitted: Case) => Decision | Promise<Decision>,
  ): Decision | Promise<Decision> => {
    if (verdict.kind !== 'admitted') return refused(theCase, verdict);
    const admission: Admission = {
      tenant: claim.tenant,
      rateLimit: rateLimitHeaders(verdict.windows),
      leased: claim.concurrent !== undefined,
      slot: claim.sessions !== undefined,
    };
    const admitted: Case = { ...theCase, admission };
    try {
      const decision = go(admitted);
      if (!(decision instanceof Promise)) return settled(admitted, decision);
      return decision.then(
        (known) => settled(admitted, known),
        (error: unknown) => {
          giveBack(admitted);
          throw error;
        },
      );
    } catch (error) {
      giveBack(admitted);
      throw error;
    }
  };

  const afterwards = async (
    theCase: Case,
    claim: Claim,
    waiting: Promise<Verdict>,
    go: (admitted: Case) => Decision | Promise<Decision>,
  ): Promise<Decision> => {
    const verdict = await waiting;
    // Nobody will report the end of a request whose client has gone meanwhile: Envoy never heard of its lease.
    if (!theCase.request.signal.aborted) return proceed(theCase, claim, verdict, go);
    return proceed(theCase, claim, verdict, (admitted) => bare(499, { ...factsOf(admitted), reason: 'client_gone' }));
  };

  return {
    admit(theCase, opens, go) {
      const claim = claimOf(theCase, opens);
      if (!claim) return go(theCase);
      const verdict = limits.admit(claim);
      return verdict instanceof Promise ? afterwards(theCase, claim, verdict, go) : proceed(theCase, claim, verdict, go);
    },
    sessionUsed({ caller: { policy }, backend, request }, session) {
      if (policy?.limits.sessions === undefined || request.method === 'DELETE') return;
      used.set(session, { tenant: policy.name, session, idleMs: backend.sessions.idleTimeoutMs });
      if (used.size >= MAX_COLLECTED) report();
      else timer ??= setTimeout(report, REPORT_MS);
    },
    close: report,
  };
}

const CODES = { quota: 'quota_exceeded', concurrency: 'too_many_requests', sessions: 'too_many_sessions' } as const satisfies Record<
  string,
  CapacityCode
>;

function refused(theCase: Case, verdict: Exclude<Verdict, { kind: 'admitted' }>): Answer {
  const { single } = theCase.asked;
  const options = { rpcId: single?.id, facts: factsOf(theCase), modern: theCase.shaped.modern };
  if (verdict.kind === 'unavailable') return refuseCapacity('limits_unavailable', single?.method, options);
  const { why, windows, retryAfterMs } = verdict;
  return refuseCapacity(CODES[why], single?.method, { ...options, retryAfterMs, headers: rateLimitHeaders(windows) ?? [] });
}
