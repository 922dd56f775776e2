// Step 6b of a decision: the limits of the caller's tenant, asked once per request, and what is given back when nothing came of it.

import type { SessionKey, TenantId } from '../core/ids.ts';
import type { Claim, Limits, SlotUse, Verdict } from '../quota/limits.ts';
import { type Case, factsOf } from './case.ts';
import { claimOf } from './claim.ts';
import { type RateLimitFields, rateLimitHeaders } from './rate-limit-headers.ts';
import { bare, type CapacityCode, refuseCapacity } from './refusal.ts';
import type { Answer, Decision } from './request.ts';

/** How often used sessions are reported, so that they keep their slots. */
const REPORT_MS = 5_000;
/** More sessions than this in one interval are reported at once. */
const MAX_COLLECTED = 10_000;

/** What a request was admitted with. */
export interface Admission {
  readonly tenant: TenantId;
  readonly rateLimit: RateLimitFields | undefined;
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
  /** A session has ended by a decision alone: no server was asked, so no access log entry will say so. */
  sessionEnded(theCase: Case, session: SessionKey): void;
  close(): void;
}

export interface AdmissionsOptions {
  /** The session is known to have ended, so that it must not take its slot again because of what was asked just before. */
  readonly isOver?: (session: SessionKey) => boolean;
  readonly now?: () => number;
}

export function createAdmissions(limits: Limits, { isOver = () => false, now = Date.now }: AdmissionsOptions = {}): Admissions {
  let used = new Map<SessionKey, SlotUse & { readonly at: number }>();
  let timer: NodeJS.Timeout | undefined;
  // Two turns after its time: after a stall of this process timers come first, and what was said meanwhile of ended sessions is not read yet.
  const report = (): void => {
    clearTimeout(timer);
    timer = undefined;
    const time = now();
    const open: SlotUse[] = [];
    for (const { tenant, session, idleMs, at } of used.values()) {
      // Idle since its last use, not since this report of it: a short slot may have lapsed meanwhile, and must not come back.
      const left = at + idleMs - time;
      if (left > 0 && !isOver(session)) open.push({ tenant, session, idleMs: left });
    }
    if (open.length > 0) limits.keepSlots(open);
    used = new Map();
  };

  const giveBack = ({ admission, request }: Case): void => {
    if (admission?.leased) limits.release(admission.tenant, request.id);
    if (admission?.slot) limits.releaseSlot(admission.tenant, request.id);
  };

  /** A forwarded request holds what it was lent until the access log reports its end; an answer ends here, and says where the quotas stand. */
  const settled = (theCase: Case, decision: Decision): Decision => {
    if (decision.kind === 'forward') return decision;
    giveBack(theCase);
    const { rateLimit } = theCase.admission ?? {};
    return rateLimit ? { ...decision, headers: [...decision.headers, ...rateLimit] } : decision;
  };

  /** Envoy never hears of a decision whose client has gone meanwhile, so nobody will report the end of the request. */
  const settledLate = (theCase: Case, decision: Decision): Decision => {
    if (!theCase.request.gone) return settled(theCase, decision);
    giveBack(theCase);
    return clientGone(theCase);
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
        (known) => settledLate(admitted, known),
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
    return proceed(theCase, claim, verdict, theCase.request.gone ? clientGone : go);
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
      used.set(session, { tenant: policy.name, session, idleMs: backend.sessions.idleTimeoutMs, at: now() });
      if (used.size >= MAX_COLLECTED) report();
      else timer ??= setTimeout(() => setImmediate(() => setImmediate(report)), REPORT_MS);
    },
    sessionEnded({ caller: { policy } }, session) {
      if (policy?.limits.sessions !== undefined) limits.releaseSlot(policy.name, session);
    },
    close: report,
  };
}

const clientGone = (theCase: Case): Answer => bare(499, { ...factsOf(theCase), reason: 'client_gone' });

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
