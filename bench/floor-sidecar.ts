// The floor's sidecar: the gateway's own gRPC edge, as built, with a decision that costs next to nothing.

import { pino } from 'pino';
import type { Forward, GatewayRequest } from '../src/gateway/request.ts';
import { SESSION_SEPARATOR } from './mcp-calls.ts';
import type { Pod } from './variant.ts';

/** What the parent says, as JSON in the first argument. */
export interface FloorSidecarOptions {
  readonly socket: string;
  readonly pods: readonly Pod[];
  /** URL of the built `envoy/policy-server.js`: the very code that the gateway runs, not the same source compiled in another way. */
  readonly policyServer: string;
}

const { socket, pods, policyServer } = JSON.parse(process.argv[2] as string) as FloorSidecarOptions;
const { startPolicyServer } = (await import(policyServer)) as typeof import('../src/envoy/policy-server.ts');

const NO_FACTS = {};
const decisionFor = (way: 'session' | 'initialize', { port }: Pod): Forward => ({
  kind: 'forward',
  way,
  pass: 1,
  tls: false,
  upstream: `127.0.0.1:${port}`,
  path: '/mcp',
  authority: undefined,
  set: [],
  remove: [],
  sessionId: undefined,
  corsOrigin: undefined,
  rpcId: undefined,
  facts: NO_FACTS,
  rateLimit: undefined,
  leased: undefined,
  opening: undefined,
  ending: undefined,
});
const ofSession = new Map(pods.map((pod) => [pod.pod, decisionFor('session', pod)]));
const ofInitialize = pods.map((pod) => decisionFor('initialize', pod));
let turn = 0;

const authorize = ({ headers: { sessionId } }: GatewayRequest): Forward => {
  if (sessionId !== undefined) return ofSession.get(sessionId.slice(0, sessionId.indexOf(SESSION_SEPARATOR))) as Forward;
  turn = (turn + 1) % ofInitialize.length;
  return ofInitialize[turn] as Forward;
};

const server = await startPolicyServer({
  socket,
  authorize,
  sealAnswer: async () => ({ kind: 'keep' }),
  onFinished: () => {},
  serving: () => true,
  log: pino({ level: 'silent' }),
});
process.on('SIGTERM', () => void server.close().then(() => process.exit(0)));
