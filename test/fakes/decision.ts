// Everything that a decision needs, with the real parts where they are pure, and fakes for recovery and the instances.

import { pino } from 'pino';
import { createBalancer } from '../../src/directory/balancer.ts';
import type { Backend, TenantPolicy } from '../../src/directory/snapshot.ts';
import { createAdmissions } from '../../src/gateway/admission.ts';
import { type Authorize, type AuthorizeDependencies, createAuthorize } from '../../src/gateway/authorize.ts';
import { createLocalIdentify } from '../../src/gateway/caller.ts';
import { createParking } from '../../src/gateway/parking.ts';
import type { LostRequest, RecoverOutcome } from '../../src/gateway/recover.ts';
import type { Decision, Forward } from '../../src/gateway/request.ts';
import { loopbackHosts } from '../../src/gateway/shape.ts';
import { createToolHints } from '../../src/gateway/tool-hints.ts';
import { createToolLists } from '../../src/gateway/tool-policy.ts';
import type { CallUpstream, UpstreamAnswer, UpstreamRequest } from '../../src/gateway/upstream.ts';
import { localCaller } from '../../src/identity/principal.ts';
import type { Limits } from '../../src/quota/limits.ts';
import { createMemoryStore } from '../../src/session/memory-store.ts';
import { createSessionIds, sealSessionId } from '../../src/session/session-id.ts';
import { createTicketWriter } from '../../src/session/ticket.ts';
import { backendOf, directoryOf } from './backends.ts';
import { notedLimits } from './limits.ts';
import { grantOf, recordOf, testSealer } from './sessions.ts';

export const NOW = 2_000_000_000_000;

export interface DecisionOptions {
  readonly backends?: readonly Backend[];
  readonly call?: (request: UpstreamRequest) => Partial<UpstreamAnswer> | Error;
  readonly recover?: (request: LostRequest) => RecoverOutcome;
  readonly alive?: boolean;
  readonly tenants?: readonly TenantPolicy[];
  readonly limits?: Limits;
  readonly over?: Partial<AuthorizeDependencies>;
}

export function decisionWorld({
  backends = [backendOf()],
  tenants = [],
  limits = notedLimits(),
  call,
  recover,
  alive = true,
  over = {},
}: DecisionOptions = {}) {
  const directory = directoryOf(...backends);
  directory.putTenants(tenants);
  const sealer = testSealer();
  const store = createMemoryStore({ now: () => NOW, initial: [recordOf()] });
  const called: UpstreamRequest[] = [];
  const recovered: LostRequest[] = [];
  const used: string[] = [];
  const log = pino({ level: 'silent' });
  const upstream: CallUpstream = async (request) => {
    called.push(request);
    const answer = call?.(request) ?? {};
    if (answer instanceof Error) throw answer;
    return { status: 200, headers: { 'content-type': 'application/json' }, body: Buffer.alloc(0), ...answer };
  };
  const feed = new Map(store.news().map((news) => [news.key, news]));
  store.onNews((news) => feed.set(news.key, news));
  const dependencies: AuthorizeDependencies = {
    directory,
    balancer: createBalancer(() => NOW),
    parking: createParking(directory),
    recovery: {
      alive: async () => alive,
      recover: async (request) => {
        recovered.push(request);
        return recover?.(request) ?? { kind: 'not-found' };
      },
    },
    sealer,
    sessionIds: createSessionIds(sealer),
    tickets: createTicketWriter(sealer),
    store,
    feed: { find: (key) => feed.get(key), revoked: () => false, fresh: () => true },
    useLog: { used: (key) => used.push(key), close() {} },
    toolLists: createToolLists(upstream),
    toolHints: createToolHints(upstream, log, () => NOW),
    edge: { hosts: loopbackHosts([]), origins: new Set(), loopbackOrigins: true, trustForwardedHost: false },
    onRevocationOutage: 'deny',
    publicUrl: { publicUrl: undefined, trustForwardedHost: false, ownPort: () => 8080, namedPorts: new Set() },
    identify: createLocalIdentify(),
    admissions: createAdmissions(limits),
    audit: undefined,
    log,
    now: () => NOW,
    ...over,
  };
  const authorize: Authorize = createAuthorize(dependencies);
  /** The id of the session that is in the store, on instance i1. */
  const sessionId = (grant: Parameters<typeof grantOf>[0] = {}): string =>
    sealSessionId(sealer, grantOf({ caller: localCaller.hash, issuedAt: NOW / 1000 - 10, ...grant }));
  return { authorize, directory, sealer, store, sessionId, called, recovered, used };
}

/** A decision in a few words: `forward session i1`, or status and reason. */
export function summary(decision: Decision): string {
  if (decision.kind === 'forward') return `${decision.way}-${decision.pass} ${decision.upstream}`;
  return `${decision.status} ${decision.facts.reason ?? ''}`.trim();
}

export function asForward(decision: Decision): Forward {
  if (decision.kind !== 'forward') throw new Error(`not forwarded: ${summary(decision)}`);
  return decision;
}

export function rpcOf(decision: Decision): unknown {
  if (decision.kind !== 'answer') throw new Error(`forwarded: ${summary(decision)}`);
  return JSON.parse(decision.body.toString());
}
