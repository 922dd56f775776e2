// `mcp-gateway up`: the whole gateway on one machine. All wiring: what is made in which order, and closed in reverse.

import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { AggregatorRegistry, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import type { Settings } from '../config/settings.ts';
import { formatAddress } from '../config/settings-parsers.ts';
import { loadOrCreateToken } from '../control/control-token.ts';
import { limited } from '../core/within.ts';
import { createDirectory } from '../directory/directory.ts';
import { findEnvoy } from '../envoy/binary.ts';
import { sweepIdleSessions } from '../gateway/idle-sessions.ts';
import { createUpstreamClient } from '../http/upstream-client.ts';
import { createChildrenFile } from '../runtime/local/children-file.ts';
import { createLogFile } from '../runtime/local/log-file.ts';
import { createLocalRuntime } from '../runtime/local/runtime.ts';
import { loadOrCreateRing } from '../session/key-file.ts';
import { createAudit } from '../telemetry/audit.ts';
import { createLogger } from '../telemetry/logger.ts';
import { readTraceSettings } from '../telemetry/trace-settings.ts';
import { createClosers } from './closers.ts';
import { openControl } from './control.ts';
import { openDeclared } from './declared.ts';
import { envoyOptions } from './envoy-options.ts';
import { startEnvoy } from './envoy-runner.ts';
import { openHome } from './home.ts';
import { auditTarget, hostOfOwnCalls } from './sidecar-options.ts';
import { openSupervisorState } from './supervisor-state.ts';
import { MAIN, startWorkers } from './workers.ts';

const MAX_LOG_BYTES = 64 * 1024 * 1024;
const SWEEP_MS = 10_000;
/** How long the first screen waits for servers that are being installed or started; they go on afterwards. */
const SETTLE_TIMEOUT_MS = 300_000;

const PHASES = { installing: 'start', installed: 'done', failed: 'fail' } as const;

export interface UpOutput {
  progress(event: { readonly step: string; readonly state: 'start' | 'done' | 'fail'; readonly detail?: string }): void;
  ready(info: {
    readonly url: string;
    readonly admin: string;
    readonly resources: string;
    readonly backends: readonly { readonly name: string; readonly url: string; readonly state: string; readonly message?: string }[];
  }): void;
}

export interface UpContext {
  /** Asks for an orderly end. */
  readonly signal: AbortSignal;
  /** Asks for a quick one. */
  readonly hurry: AbortSignal;
  readonly env: NodeJS.ProcessEnv;
  readonly out: UpOutput;
}

/** Resolves after everything has been stopped again. @throws Error with one line when something does not start. */
export async function runUp(settings: Settings, { signal, hurry, env, out }: UpContext): Promise<void> {
  const closers = createClosers();
  try {
    const home = await openHome(settings.home, settings.workers);
    closers.add(() => home.unlock());
    const logFile = createLogFile({ path: settings.logFile ?? join(home.logs, 'gateway.log'), maxBytes: MAX_LOG_BYTES });
    closers.add(() => logFile.close());
    const output = (chunk: Buffer): void => void logFile.write(chunk);
    const log = createLogger({ level: settings.logLevel, process: 'supervisor', stream: { write: (line) => output(Buffer.from(line)) } });
    const traces = readTraceSettings(env);
    for (const warning of traces.warnings) log.warn({ warning }, 'trace setting');
    const children = createChildrenFile({ home: home.gatewayProcesses });
    closers.add(async () => {
      await children.remove(process.pid);
      await children.close();
    });
    // Its own entry, so that the record exists and says who owns this home from the first moment on.
    await children.add(process.pid);

    const { keyFile } = settings;
    const keys = await loadOrCreateRing(keyFile);
    const directory = createDirectory();
    const registry = new Registry();
    const state = await openSupervisorState({ settings, journal: home.sessions, directory, registry, log });
    closers.add(() => state.close());
    const { store, limits } = state;
    const upstream = createUpstreamClient();
    closers.add(() => upstream.close());
    const authority = (): string => hostOfOwnCalls(settings);
    const sweeping = setInterval(() => {
      state.sweep();
      void sweepIdleSessions({ store, directory, call: upstream.call, authority, log });
    }, SWEEP_MS);
    closers.add(() => clearInterval(sweeping));

    const runtime = createLocalRuntime({
      home: home.path,
      directory,
      log,
      environment: env,
      urlAllow: settings.urlAllowList,
      bridgeCommand: [process.execPath, MAIN, 'bridge'],
      onProgress: ({ image, phase }) => out.progress({ step: image, state: PHASES[phase], detail: phase }),
    });
    closers.add(() => runtime.close());
    const declared = await openDeclared({
      folder: settings.resources,
      registered: home.registry,
      directory,
      runtime,
      log,
      onProblem: (problem) => out.progress({ step: 'resources', state: 'fail', detail: problem }),
    });
    closers.add(() => declared.close());

    out.progress({ step: 'Envoy', state: 'start' });
    const envoyBinary = await findEnvoy({
      envoyBin: settings.envoyBin,
      path: env['PATH'],
      cacheDir: settings.cacheDir,
      env,
      signal,
      progress: (line) => out.progress({ step: 'Envoy', state: 'start', detail: line }),
    });

    const onTrouble = (err: Error): void => log.error({ err }, 'audit log not written');
    const audit = createAudit({ ...auditTarget(settings), process: 'supervisor', onTrouble });
    closers.add(() => audit.close());
    const workers = await startWorkers({
      ...{ settings, env, home, directory, local: state.local, keys, children, output, log },
      passAudit: audit.pass,
    });
    closers.add(() => workers.close());
    const { link } = workers;
    await workers.started(signal);

    let address = settings.listen;
    const baseUrl = (): string =>
      settings.publicUrl ?? `${settings.tlsCertFile === undefined ? 'http' : 'https'}://${formatAddress(address)}`;
    const control = await openControl({
      settings,
      token: await loadOrCreateToken(home.token),
      listen: home.control,
      declared,
      store,
      limits,
      directory,
      call: upstream.call,
      authority,
      ...{ status: runtime.status, restart: runtime.restart },
      countByInstance: state.countByInstance,
      baseUrl,
      inForce: link.seen,
      ownPort: () => address.port,
      metrics: registry,
      audit: audit.record,
      log,
    });
    closers.add(() => control.close());

    const envoy = await startEnvoy(
      {
        binary: envoyBinary.file,
        configFile: home.envoyConfig,
        bootstrap: envoyOptions({ ...settings, home: home.path, controllerUrl: undefined }, env),
        concurrency: settings.envoyConcurrency,
        drainTimeoutMs: settings.drainTimeoutMs,
        cwd: home.path,
        children,
        output,
        log,
      },
      signal,
    );
    address = envoy.address;
    link.publishPort(address.port);
    closers.add(() => envoy.stop());
    closers.add(() => envoy.drain(hurry));
    out.progress({ step: 'Envoy', state: 'done', detail: envoyBinary.version });

    collectDefaultMetrics({ register: registry, prefix: 'mcp_supervisor_' });
    new Gauge({
      name: 'mcp_sessions',
      help: 'Open sessions.',
      registers: [registry],
      async collect() {
        const open = await state.countByInstance().catch(() => undefined);
        if (open === undefined) return;
        let total = 0;
        for (const count of open.values()) total += count;
        this.set(total);
      },
    });
    const admin = await control.serveAdmin({
      listen: settings.admin,
      ready: () => link.ready().size > 0,
      status: () => ({ sidecars: workers.pids(), envoy: envoy.pid(), backends: runtime.status() }),
      metrics: async () => {
        const merged = AggregatorRegistry.aggregate([...(await link.metrics()), await registry.getMetricsAsJSON()]);
        return { contentType: registry.contentType, text: await merged.metrics() };
      },
    });
    closers.add(() => admin.close());

    const url = baseUrl();
    const adminUrl = `http://${formatAddress(admin.address)}`;
    await home.announce({ url, admin: adminUrl });
    closers.add(() => home.forget());
    log.info({ url, admin: adminUrl }, 'gateway ready');

    await runtime.whenSettled(limited(signal, SETTLE_TIMEOUT_MS)).catch(() => {});
    if (!signal.aborted) {
      out.ready({
        url,
        admin: adminUrl,
        resources: settings.resources,
        backends: runtime.status().map(({ name, ready, message }) => ({
          name,
          url: `${url}/adapters/${name}/mcp`,
          state: ready > 0 ? 'ready' : 'not ready',
          ...(message === '' ? {} : { message }),
        })),
      });
    }
    await delay(2 ** 31 - 1, undefined, { signal }).catch(() => {});
    log.info('gateway stopping');
  } finally {
    await closers.close();
  }
}
