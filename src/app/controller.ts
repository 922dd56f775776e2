// `mcp-gateway controller`: the control plane on Kubernetes. All wiring: what is made in which order, and closed in reverse.

import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { collectDefaultMetrics, Registry as MetricsRegistry } from 'prom-client';
import type { Settings } from '../config/settings.ts';
import { ControlRefusal } from '../control/refusal.ts';
import { createDirectory } from '../directory/directory.ts';
import { startProbeServer } from '../http/probe-server.ts';
import { createUpstreamClient } from '../http/upstream-client.ts';
import { createKubeApi } from '../runtime/k8s/api.ts';
import { clusterStatusOf } from '../runtime/k8s/cluster-status.ts';
import { createController } from '../runtime/k8s/controller/controller.ts';
import { RESTART_ANNOTATION } from '../runtime/k8s/controller/reconcile.ts';
import { createScaler } from '../runtime/k8s/controller/scale.ts';
import { createUseBoard } from '../runtime/k8s/controller/use-board.ts';
import { instanceIdOf } from '../runtime/k8s/instances.ts';
import { MCP_BACKENDS } from '../runtime/k8s/objects.ts';
import { readPodLog } from '../runtime/k8s/pod-log.ts';
import { openTransport } from '../runtime/k8s/transport.ts';
import { watchDirectory } from '../runtime/k8s/watch-directory.ts';
import { HEALTH_TIMING } from '../runtime/local/health.ts';
import { createRemoteBackend } from '../runtime/local/remote.ts';
import { createAudit } from '../telemetry/audit.ts';
import { createLogger } from '../telemetry/logger.ts';
import { createClosers } from './closers.ts';
import { createClusterDeclared } from './cluster-declared.ts';
import { keepKeys, loadOrCreateTokenSecret } from './cluster-secrets.ts';
import { openClusterState } from './cluster-state.ts';
import { openControl } from './control.ts';
import { createInternal } from './controller-internal.ts';
import type { PodContext } from './pod-context.ts';
import { auditTarget, hostOfOwnCalls } from './sidecar-options.ts';

const KEYS_MS = 60_000;
const LOOK_MS = 2_000;

/** Resolves after everything has been stopped again. @throws Error with one line when something does not start. */
export async function runController(settings: Settings, { signal, env, output }: PodContext): Promise<void> {
  const { namespace, gatewayNamespace, runnerImage, controllerUrl, drainGraceMs } = settings;
  if (runnerImage === undefined) throw new Error('runnerImage (MCP_GATEWAY_RUNNER_IMAGE) must name the image of the runner');
  if (controllerUrl === undefined) throw new Error('controllerUrl (MCP_GATEWAY_CONTROLLER_URL) must say where pods reach this controller');
  const closers = createClosers();
  try {
    const log = createLogger({ level: settings.logLevel, process: 'controller', stream: { write: (line) => void output.write(line) } });
    const transport = await openTransport({ kubeconfig: env['KUBECONFIG'] });
    closers.add(() => transport.close());
    const api = createKubeApi(transport);
    const metrics = new MetricsRegistry();
    const directory = createDirectory();
    const board = createUseBoard();
    const scaler = createScaler({ board });
    const baseUrl = (): string => settings.publicUrl ?? `http://${hostOfOwnCalls(settings)}`;

    const secrets = { api, namespace: gatewayNamespace, log };
    await keepKeys(secrets);
    const token = await loadOrCreateTokenSecret(secrets);

    const usedOn = (name: string): { sessions: number; calls: number } => {
      let [sessions, calls] = [0, 0];
      for (const pod of controller.view.pods(name)) {
        const use = board.instance(instanceIdOf(pod));
        sessions += use.sessions;
        calls += use.calls;
      }
      return { sessions, calls };
    };
    const controller = createController({
      ...{ transport, api, log, identity: env['POD_NAME'] ?? hostname() },
      workload: { namespace, gatewayNamespace, runnerImage, controllerUrl, drainGraceMs },
      hooks: {
        replicasWanted: (resource, seen) => scaler.wanted(resource, { ...seen, ...usedOn(resource.name) }),
        sessionsOn: board.sessionsOn,
        urlOf: (name) => `${baseUrl()}/adapters/${name}/mcp`,
      },
    });
    closers.add(() => controller.close());
    // What scales by use, or by its absence, changes without anybody changing an object.
    const looking = setInterval(() => {
      for (const { metadata, spec } of controller.view.backends.values()) {
        const { toZeroAfter, max } = (spec as { scaling?: { toZeroAfter?: string; max?: number } }).scaling ?? {};
        if (toZeroAfter !== undefined || max !== undefined) controller.look(metadata.name);
      }
    }, LOOK_MS);
    closers.add(() => clearInterval(looking));
    const keeping = setInterval(() => {
      if (controller.isLeader()) keepKeys(secrets).catch((err: unknown) => log.warn({ err }, 'keys not looked after'));
    }, KEYS_MS);
    closers.add(() => clearInterval(keeping));

    const remotes = new Map<string, ReturnType<typeof createRemoteBackend>>();
    const watched = watchDirectory({
      ...{ transport, namespace, directory, log },
      createRemote(resource) {
        // It is asked by the gateways as well, each for itself: this one only tells how it does.
        const remote = createRemoteBackend(resource, {
          ...{ home: settings.home, environment: env, directory, log, healthTiming: HEALTH_TIMING, onChange: () => {} },
        });
        remotes.set(resource.name, remote);
        return remote;
      },
    });
    closers.add(() => watched.close());
    const upstream = createUpstreamClient();
    closers.add(() => upstream.close());
    const state = openClusterState({ redisUrl: settings.redisUrl, directory, board, metrics, log });
    closers.add(() => state.close());
    const audit = createAudit({
      ...{ ...auditTarget(settings), process: 'controller', onTrouble: (err: Error) => log.error({ err }, 'audit log not written') },
    });
    closers.add(() => audit.close());

    const control = await openControl({
      ...{ settings, token, listen: settings.controlListen, directory, call: upstream.call, baseUrl, metrics, log },
      ...{ store: state.store, limits: state.limits, countByInstance: state.countByInstance },
      internal: createInternal({ settings, transport, api, board, controller, log }),
      declared: createClusterDeclared({ api, view: controller.view, namespace }),
      authority: () => hostOfOwnCalls(settings),
      status: () =>
        [...controller.view.backends.values()].map((object) => {
          const { name } = object.metadata;
          const remote = (object['spec'] as { url?: string }).url === undefined ? undefined : remotes.get(name);
          return remote?.status() ?? clusterStatusOf(object, controller.view.pods(name));
        }),
      async restart(name) {
        const object = controller.view.backends.get(`${namespace}/${name}`);
        if (!object) return 'unknown';
        if ((object['spec'] as { url?: string }).url !== undefined) return 'elsewhere';
        const metadata = { annotations: { [RESTART_ANNOTATION]: new Date().toISOString() } };
        await api.patch(MCP_BACKENDS, name, namespace, { metadata });
        return 'restarting';
      },
      readLog:
        (_, { log: pod }) =>
        async (wish) => {
          if (pod === '') throw new ControlRefusal('missing', 'it runs elsewhere: its log is there');
          return readPodLog(transport, { name: pod, namespace }, wish).catch((error: Error) => {
            throw new ControlRefusal('unavailable', `the log of pod ${pod} cannot be read: ${error.message}`);
          });
        },
      // Gateways see it within a moment, each by its own watch.
      inForce: async () => {},
      ownPort: () => settings.listen.port,
      audit: audit.record,
    });
    closers.add(() => control.close());

    collectDefaultMetrics({ register: metrics, prefix: 'mcp_controller_' });
    let ready = false;
    void Promise.all([controller.synced, watched.synced]).then(() => {
      ready = true;
      log.info({ backends: controller.view.backends.size }, 'controller ready');
    });
    const probes = await startProbeServer({
      listen: settings.probes,
      ready: () => ready,
      metrics: async () => ({ contentType: metrics.contentType, text: await metrics.metrics() }),
      log,
    });
    closers.add(() => probes.close());
    log.info({ control: control.port, probes: probes.address, namespace }, 'controller started');
    await delay(2 ** 31 - 1, undefined, { signal }).catch(() => {});
    log.info('controller stopping');
  } finally {
    await closers.close();
  }
}
