// `mcp-gateway sidecar`: the sidecar of a gateway's pod on Kubernetes. All wiring: what is made in which order, and closed in reverse.

import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { AggregatorRegistry, collectDefaultMetrics, Registry } from 'prom-client';
import type { Settings } from '../config/settings.ts';
import { createAddressRules } from '../core/address-rules.ts';
import { createDirectory } from '../directory/directory.ts';
import { createEnvoyAdmin } from '../envoy/admin.ts';
import { sweepIdleSessions } from '../gateway/idle-sessions.ts';
import { startProbeServer } from '../http/probe-server.ts';
import { createUpstreamClient } from '../http/upstream-client.ts';
import { openTransport } from '../runtime/k8s/transport.ts';
import { watchDirectory } from '../runtime/k8s/watch-directory.ts';
import { createChildrenFile } from '../runtime/local/children-file.ts';
import { HEALTH_TIMING } from '../runtime/local/health.ts';
import { createRemoteBackend } from '../runtime/local/remote.ts';
import { loadRing } from '../session/key-file.ts';
import { createLogger } from '../telemetry/logger.ts';
import { readTraceSettings } from '../telemetry/trace-settings.ts';
import { createClosers } from './closers.ts';
import { createControllerLink } from './controller-link.ts';
import { openHome } from './home.ts';
import type { PodContext } from './pod-context.ts';
import { hostOfOwnCalls } from './sidecar-options.ts';
import { openSupervisorState } from './supervisor-state.ts';
import { startUseReports } from './use-reports.ts';
import { startWorkers } from './workers.ts';

const SWEEP_MS = 10_000;
const DRAIN_POLL_MS = 250;
/** How long Services and load balancers may go on sending new connections to a pod that is no longer ready. */
const NOTICE_MS = 5_000;

/** Resolves after everything has been stopped again. @throws Error with one line when something does not start. */
export async function runPod(settings: Settings, { signal, env, output: stream }: PodContext): Promise<void> {
  const closers = createClosers();
  try {
    const home = await openHome(settings.home, settings.workers);
    closers.add(() => home.unlock());
    const output = (chunk: Buffer): void => void stream.write(chunk);
    const log = createLogger({ level: settings.logLevel, process: 'supervisor', stream: { write: (line) => void stream.write(line) } });
    for (const warning of readTraceSettings(env).warnings) log.warn({ warning }, 'trace setting');
    const children = createChildrenFile({ home: home.gatewayProcesses });
    closers.add(() => children.close());

    const keys = await loadRing(settings.keyFile).catch((error: Error) => {
      throw new Error(`the keys for session ids cannot be read from ${settings.keyFile} (the controller makes them): ${error.message}`);
    });
    const directory = createDirectory();
    const registry = new Registry();
    const state = await openSupervisorState({ settings, journal: home.sessions, directory, registry, log });
    closers.add(() => state.close());
    const upstream = createUpstreamClient();
    closers.add(() => upstream.close());
    const authority = (): string => hostOfOwnCalls(settings);
    const sweeping = setInterval(() => {
      state.sweep();
      void sweepIdleSessions({ store: state.store, directory, call: upstream.call, authority, log });
    }, SWEEP_MS);
    closers.add(() => clearInterval(sweeping));

    const { controllerUrl, controllerTokenFile: tokenFile } = settings;
    const controller = controllerUrl === undefined ? undefined : createControllerLink({ url: controllerUrl, tokenFile, log });
    closers.add(async () => controller?.close());
    const transport = await openTransport({ kubeconfig: env['KUBECONFIG'] });
    closers.add(() => transport.close());
    const rules = createAddressRules({ allow: settings.urlAllowList });
    const watched = watchDirectory({
      ...{ transport, namespace: settings.namespace, directory, log },
      createRemote: (resource) =>
        createRemoteBackend(resource, {
          ...{ home: home.path, environment: env, directory, log, healthTiming: HEALTH_TIMING, onChange: () => {} },
          // Who may use kubectl there may run anything there; who came by API may not reach what is near.
          permit: (address, { origin, spec }) => (origin === 'api' ? rules.refusal(address, new URL(spec.url ?? '').hostname) : undefined),
        }),
    });
    closers.add(() => watched.close());

    const workers = await startWorkers({
      ...{ settings, env, home, directory, local: state.local, keys, children, output, log },
      passAudit: (lines) => void stream.write(lines),
      onWanted: (backend) => controller?.wake(backend),
    });
    closers.add(() => workers.close());
    const { link } = workers;
    link.publishPort(settings.listen.port);
    // Beside an Envoy that is not ours, there is none in this pod: that one learns from the health check of gRPC.
    const envoy = settings.edgePolicyListen === undefined ? createEnvoyAdmin(home.envoyAdmin) : undefined;
    const uses = startUseReports({
      ...{ gateway: env['POD_NAME'] ?? hostname(), directory, link, countByInstance: state.countByInstance, envoy, controller, log },
    });
    closers.add(() => uses.close());

    let synced = false;
    let leaving: Promise<void> | undefined;
    void watched.synced.then(() => {
      synced = true;
      log.info({ backends: directory.snapshot().backends.size }, 'directory synced');
    });
    /** Envoy tells its clients to go elsewhere; calls may end, event streams are cut with their connections: their clients open them again. */
    const drain = (): Promise<void> => {
      leaving ??= (async () => {
        log.info('draining');
        const deadline = performance.now() + settings.drainTimeoutMs;
        await envoy?.drain().catch((err: unknown) => log.warn({ err }, 'Envoy cannot be told to drain'));
        await delay(Math.min(NOTICE_MS, settings.drainTimeoutMs));
        while (performance.now() < deadline && (await uses.callsUnderWay()) > 0) await delay(DRAIN_POLL_MS);
        log.info('drained');
      })();
      return leaving;
    };
    collectDefaultMetrics({ register: registry, prefix: 'mcp_supervisor_' });
    const probes = await startProbeServer({
      listen: settings.probes,
      ready: async () => leaving === undefined && synced && link.ready().size > 0 && ((await envoy?.ready()) ?? true),
      drain,
      metrics: async () => {
        const merged = AggregatorRegistry.aggregate([...(await link.metrics()), await registry.getMetricsAsJSON()]);
        return { contentType: registry.contentType, text: await merged.metrics() };
      },
      log,
    });
    closers.add(() => probes.close());
    await workers.started(signal);
    log.info({ probes: probes.address, namespace: settings.namespace }, 'sidecar of the pod ready');
    await delay(2 ** 31 - 1, undefined, { signal }).catch(() => {});
    await drain();
    log.info('sidecar of the pod stopping');
  } finally {
    await closers.close();
  }
}
