// A request as the decision sees it, and the decision: plain values that know neither gRPC nor Envoy.

import type { RequestKind } from '../session/ticket.ts';
import type { CheckTrace } from '../telemetry/check-span.ts';
import type { RateLimitFields } from './rate-limit-headers.ts';

/** The headers that a decision may look at; undefined when absent. Every other header of the client stays unseen. */
export interface RequestHeaders {
  readonly sessionId: string | undefined;
  readonly protocolVersion: string | undefined;
  readonly mcpMethod: string | undefined;
  readonly mcpName: string | undefined;
  readonly authorization: string | undefined;
  readonly origin: string | undefined;
  readonly accept: string | undefined;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly lastEventId: string | undefined;
  readonly requestedMethod: string | undefined;
  readonly forwardedHost: string | undefined;
  /** Ticket B, set by the gateway's own redirect. */
  readonly rebound: string | undefined;
  /** A header that must be unique came twice, or came empty. */
  readonly repeated: boolean;
}

export interface GatewayRequest {
  /** Envoy's `x-request-id`: the same in all passes of a request. */
  readonly id: string;
  readonly method: string;
  /** Path with query, as the client sent it (normalised by Envoy). */
  readonly path: string;
  readonly authority: string;
  readonly scheme: string;
  readonly headers: RequestHeaders;
  readonly body: Buffer;
  /** False when `body` is only the beginning. */
  readonly bodyComplete: boolean;
  /** Fires when the client has gone. */
  readonly signal: AbortSignal;
  /** Whether the client has gone. Costs nothing to look at, where a signal costs more than the rest of most decisions. */
  readonly gone: boolean;
  /** Only there when the decision is traced. */
  readonly trace?: CheckTrace | undefined;
}

/** What the access log entry of this request will say. */
export type RequestFacts = {
  readonly backend?: string | undefined;
  readonly method?: string | undefined;
  readonly tool?: string | undefined;
  readonly tenant?: string | undefined;
  readonly subject?: string | undefined;
  readonly instance?: string | undefined;
  readonly reason?: string | undefined;
  readonly recovered?: boolean | undefined;
};

/** Let the request through to `upstream`. */
export interface Forward {
  readonly kind: 'forward';
  /** With `pass` and `tls`: the route of envoy/envoy.yaml that the request takes from here. */
  readonly way: RequestKind;
  /** 2 after a recovery: no retry sends it round again. */
  readonly pass: 1 | 2;
  readonly tls: boolean;
  /** `ip:port`. */
  readonly upstream: string;
  readonly path: string;
  readonly authority: string | undefined;
  /** Request headers to overwrite. */
  readonly set: readonly (readonly [name: string, value: string])[];
  /** Request headers to remove. */
  readonly remove: readonly string[];
  /** The client's own session id, which replaces the one that the upstream puts on its answer. */
  readonly sessionId: string | undefined;
  /** The browser origin that may read the answer. */
  readonly corsOrigin: string | undefined;
  /** For Envoy's own error replies: the JSON-RPC id of the request. */
  readonly rpcId: string | number | undefined;
  readonly facts: RequestFacts;
  /** What the answer says of the caller's quotas. */
  readonly rateLimit: RateLimitFields | undefined;
  /** Tenant whose lease on a request under way ends with this one: the access log reports it. */
  readonly leased: string | undefined;
  /** What sealing needs when the answer to `initialize` comes by. */
  readonly opening: Opening | undefined;
  /** Session whose DELETE this is: the access log reports its outcome. */
  readonly ending: string | undefined;
}

/** Everything that `sealAnswer` needs to know of an `initialize`: it may run in another process than the decision. */
export interface Opening {
  readonly backend: string;
  readonly instance: string;
  readonly issuer: string;
  readonly subject: string;
  readonly tenant: string;
  /** Raw JSON of the client's `params`; empty when they are too large to be kept. */
  readonly params: string;
  /** Request id under which a slot among the tenant's sessions is reserved. */
  readonly slot: string | undefined;
  readonly stateless: boolean;
}

/** Answer the client without asking any upstream. */
export interface Answer {
  readonly kind: 'answer';
  readonly status: number;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | Buffer;
  readonly facts: RequestFacts;
}

export type Decision = Forward | Answer;
