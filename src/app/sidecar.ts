// One sidecar process: all wiring between Envoy's sockets, the decision, and the state that it shares with others.

import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { createMessageConnection, type MessageConnection, SocketMessageReader, SocketMessageWriter } from 'vscode-jsonrpc/node';
import type { IssuerSpec } from '../config/issuer-spec.ts';
import type { BackendName } from '../core/ids.ts';
import { createBalancer } from '../directory/balancer.ts';
import { createDirectory, type Directory } from '../directory/directory.ts';
import { followDirectory } from '../directory/directory-link.ts';
import { createEdgeProof, openEdgeSecrets } from '../envoy/edge-proof.ts';
import { startPolicyServer } from '../envoy/policy-server.ts';
import { createAdmissions } from '../gateway/admission.ts';
import { createAuthorize } from '../gateway/authorize.ts';
import { createParking } from '../gateway/parking.ts';
import type { PublicUrlRules } from '../gateway/public-url.ts';
import { createRecovery } from '../gateway/recover.ts';
import { createReopener } from '../gateway/reopen.ts';
import { createSealAnswer } from '../gateway/seal-answer.ts';
import { type EdgeRules, loopbackHosts } from '../gateway/shape.ts';
import { createStanding } from '../gateway/standing.ts';
import { createToolHints } from '../gateway/tool-hints.ts';
import { createToolLists } from '../gateway/tool-policy.ts';
import type { TlsFiles } from '../http/mutual-tls.ts';
import { createRecoveryEndpoint } from '../http/recovery-endpoint.ts';
import { startSidecarServer } from '../http/sidecar-server.ts';
import { createUpstreamClient } from '../http/upstream-client.ts';
import { createWellKnown } from '../http/well-known.ts';
import { createKeyRing, parseRing, type RingDocument } from '../session/key-ring.ts';
import { createSealer } from '../session/seal.ts';
import { createSessionIds } from '../session/session-id.ts';
import { createTicketWriter } from '../session/ticket.ts';
import { createUseLog } from '../session/use-log.ts';
import { createAudit } from '../telemetry/audit.ts';
import { createLineSink } from '../telemetry/line-sink.ts';
import { createLogger, createRequestLines } from '../telemetry/logger.ts';
import { createRequestTelemetry, createSidecarGauges } from '../telemetry/requests.ts';
import { readTraceSettings } from '../telemetry/trace-settings.ts';
import { startTracing } from '../telemetry/tracing.ts';
import { auditDecisions } from './audit-decisions.ts';
import { createClosers } from './closers.ts';
import { recordOf, settle } from './finished-requests.ts';
import { openIdentity } from './identity.ts';
import { openSharedState } from './shared-state.ts';
import { inTurn, traceDecisions } from './trace-decisions.ts';
import { createUseCounter } from './use-counts.ts';

/** Two of Envoy's health check intervals: after them no new Check comes to a process that says NOT_SERVING. */
const LEAVING_MS = 2_200;
const STDERR = 2;
const AGES_OF_UNKNOWN = { maxAgeMs: 30 * 24 * 3_600_000, idleTimeoutMs: 30 * 60_000 };

/** What the supervisor tells a sidecar that it starts. Everybody on the machine can read it: secrets are in the environment. */
export interface SidecarOptions {
  readonly name: string;
  readonly link: string;
  readonly grpc: string;
  readonly http: string;
  /** Served besides the loopback names. */
  readonly hosts: readonly string[];
  readonly origins: readonly string[];
  readonly loopbackOrigins: boolean;
  readonly onRevocationOutage: 'allow' | 'deny';
  readonly logLevel: string;
  readonly issuers: readonly IssuerSpec[];
  readonly adminRoles: readonly string[];
  readonly publicUrl: Pick<PublicUrlRules, 'publicUrl' | 'trustForwardedHost'>;
  readonly audit: { readonly stdout?: boolean; readonly file?: string };
  /** On Kubernetes, where pods are kept or let go by what they do. */
  readonly countUses?: boolean;
  /** Ports for an Envoy that is not ours. */
  readonly edge?: EdgePorts | undefined;
}

export interface EdgePorts {
  readonly policy: { readonly host: string; readonly port: number };
  readonly recovery: { readonly host: string; readonly port: number };
  readonly tls: TlsFiles;
  readonly secretFile: string;
}

export interface SidecarContext {
  readonly signal: AbortSignal;
  /** Holds what nobody else may read: the URL of Redis. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** Runs until the signal fires (then leaves without losing a request) or the supervisor is gone (then ends at once). */
export async function runSidecar(options: SidecarOptions, { signal, env }: SidecarContext): Promise<void> {
  const sink = createLineSink(STDERR);
  const logOptions = { level: options.logLevel, process: options.name, stream: sink };
  const log = createLogger(logOptions);
  const closers = createClosers();
  try {
    const connection = await connectLink(options.link);
    closers.add(() => connection.dispose());
    const gone = new Promise<'gone'>((resolve) => connection.onClose(() => resolve('gone')));
    const dismissed = new Promise<'dismissed'>((resolve) => connection.onNotification('sidecar/dismiss', () => resolve('dismissed')));

    let forgetOpened = (): void => {};
    const ring = new Promise<ReturnType<typeof createKeyRing>>((resolve) => {
      let live: ReturnType<typeof createKeyRing> | undefined;
      connection.onNotification('keys/ring', (document: RingDocument) => {
        const keys = parseRing(document);
        if (live) {
          live.replace(keys);
          forgetOpened();
        } else {
          live = createKeyRing(keys);
          resolve(live);
        }
      });
    });
    let listenPort: number | undefined;
    connection.onNotification('gateway/port', (port: number) => {
      listenPort = port;
    });
    const directory = createDirectory();
    const balancer = createBalancer();
    const registry = new Registry();
    const synced = followDirectory(connection, directory);
    const shared = openSharedState({ connection, redisUrl: env['REDIS_URL'], process: options.name, directory, balancer, registry, log });
    closers.add(() => shared.close());
    const { store, feed, limits } = shared;
    connection.listen();
    const sealer = createSealer(await ring);
    const sessionIds = createSessionIds(sealer);
    forgetOpened = sessionIds.forget;
    await synced;
    await shared.ready;

    const useLog = createUseLog(store);
    closers.add(() => useLog.close());
    const upstream = createUpstreamClient();
    closers.add(() => upstream.close());
    const admissions = createAdmissions(limits, { isOver: (session) => feed.find(session)?.ended === true });
    closers.add(() => admissions.close());
    const onTrouble = (err: Error): void => log.error({ err }, 'audit log not written');
    const audit = createAudit({ ...options.audit, process: options.name, onTrouble });
    closers.add(() => audit.close());
    const traces = readTraceSettings(env).settings;
    const tracing = traces && (await startTracing({ settings: traces, process: options.name, log }));
    closers.add(async () => tracing?.close());
    const { issuers } = options;
    const namedPorts = new Set(options.hosts.filter((host) => /:\d+$/.test(host)));
    const publicUrl: PublicUrlRules = { ...options.publicUrl, ownPort: () => listenPort, namedPorts };
    const identity = openIdentity({ issuers, adminRoles: options.adminRoles, publicUrl, registry, log });
    closers.add(() => identity.close());
    const parking = createParking(directory, (backend) => void connection.sendNotification('backend/wanted', backend).catch(() => {}));
    const recovery = createRecovery({ store, directory, balancer, parking, reopener: createReopener(upstream.call), log });
    const uses = options.countUses ? createUseCounter() : undefined;
    const edge: EdgeRules = {
      hosts: loopbackHosts(options.hosts),
      origins: new Set(options.origins),
      loopbackOrigins: options.loopbackOrigins,
      trustForwardedHost: publicUrl.trustForwardedHost,
    };
    const authorize = createAuthorize({
      directory,
      balancer,
      parking,
      recovery,
      sealer,
      sessionIds,
      tickets: createTicketWriter(sealer),
      store,
      feed,
      useLog,
      toolLists: createToolLists(upstream.call),
      toolHints: createToolHints(upstream.call, log),
      edge,
      publicUrl,
      onRevocationOutage: options.onRevocationOutage,
      identify: identity.identify,
      admissions,
      audit: inTurn([
        audit.on ? auditDecisions(audit, sessionIds) : undefined,
        tracing && traceDecisions(tracing, sessionIds),
        uses?.decided,
      ]),
      log,
    });

    let serving = true;
    collectDefaultMetrics({ register: registry, prefix: 'mcp_sidecar_' });
    createSidecarGauges(registry, {
      backends: () => directory.snapshot().backends.size,
      ready: () => readyInstances(directory),
      auditLost: audit.dropped,
    });
    const record = createRequestTelemetry(registry, createRequestLines(logOptions));
    connection.onRequest('sidecar/metrics', () => registry.getMetricsAsJSON());
    if (uses) connection.onRequest('sidecar/uses', () => uses.counts(directory.snapshot()));

    const { edge: edgePorts } = options;
    const secrets = edgePorts && openEdgeSecrets(edgePorts.secretFile, log);
    closers.add(async () => secrets?.close());
    const http = await startSidecarServer({
      socket: options.http,
      edge: edgePorts && { listen: edgePorts.recovery, tls: edgePorts.tls },
      answerRetry: createRecoveryEndpoint({
        recovery,
        directory,
        balancer,
        parking,
        sealer,
        standing: createStanding(directory, limits),
        log,
      }),
      answerWellKnown: createWellKnown({ issuers: issuers.map(({ issuer }) => issuer), directory, publicUrl, edge }),
      ready: () => serving,
      log,
    });
    closers.add(() => http.close());
    const policy = await startPolicyServer({
      socket: options.grpc,
      edge: edgePorts && secrets && { listen: edgePorts.policy, tls: edgePorts.tls, proof: createEdgeProof({ ...secrets, log }) },
      authorize,
      sealAnswer: createSealAnswer({ sealer, store, limits, ages: (name) => agesOf(directory, name), log }),
      onFinished: (finished, name) => {
        if (name === 'leases') for (const one of finished) settle(one, store, limits);
        else {
          if (uses) for (const one of finished) uses.finished(one);
          record(finished.flatMap((one) => recordOf(one) ?? []));
        }
      },
      serving: () => serving,
      tracing,
      log,
    });
    closers.add(() => policy.close());
    await connection.sendNotification('sidecar/ready', options.name);
    log.info({ grpc: options.grpc, ...(edgePorts && { policyPort: policy.edgePort, recoveryPort: http.edgePort }) }, 'sidecar ready');

    const stopped = new Promise<'stopped'>((resolve) => {
      if (signal.aborted) resolve('stopped');
      else signal.addEventListener('abort', () => resolve('stopped'), { once: true });
    });
    const why = await Promise.race([gone, dismissed, stopped]);
    serving = false;
    if (why === 'stopped') await Promise.race([delay(LEAVING_MS), gone, dismissed]);
    log.info({ why }, 'sidecar stopping');
  } finally {
    await closers.close();
    sink.flushSync();
  }
}

function connectLink(path: string): Promise<MessageConnection> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(createMessageConnection(new SocketMessageReader(socket), new SocketMessageWriter(socket)));
    });
  });
}

function agesOf(directory: Directory, name: BackendName) {
  return directory.snapshot().backends.get(name)?.sessions ?? AGES_OF_UNKNOWN;
}

function readyInstances(directory: Directory): number {
  let ready = 0;
  for (const backend of directory.snapshot().backends.values()) ready += backend.instances.filter(({ state }) => state === 'ready').length;
  return ready;
}
