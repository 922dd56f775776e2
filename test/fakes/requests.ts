// Requests as the codec hands them to the decision.

import type { GatewayRequest, RequestHeaders } from '../../src/gateway/request.ts';

const NO_HEADERS: RequestHeaders = {
  sessionId: undefined,
  protocolVersion: undefined,
  mcpMethod: undefined,
  mcpName: undefined,
  authorization: undefined,
  origin: undefined,
  accept: undefined,
  contentType: undefined,
  contentEncoding: undefined,
  lastEventId: undefined,
  requestedMethod: undefined,
  forwardedHost: undefined,
  rebound: undefined,
  repeated: false,
};

export type RequestOptions = Partial<Omit<GatewayRequest, 'headers' | 'body' | 'gone'>> & {
  readonly headers?: Partial<RequestHeaders>;
  readonly body?: string | Buffer;
};

export function requestOf({ headers, body = '', signal = new AbortController().signal, ...rest }: RequestOptions = {}): GatewayRequest {
  return {
    id: 'r1',
    method: 'POST',
    path: '/adapters/memory/mcp',
    authority: 'localhost:8080',
    scheme: 'http',
    bodyComplete: true,
    signal,
    ...rest,
    headers: { ...NO_HEADERS, contentType: 'application/json', ...headers },
    body: Buffer.from(body),
    get gone() {
      return signal.aborted;
    },
  };
}
