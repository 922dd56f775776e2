// The pod of a backend: its server, the drain agent beside it, and what both may do.

import type { BackendSpec, EnvVariable } from '../../../config/backend-spec.ts';
import { clusterProblem } from '../../../config/cluster-rules.ts';
import type { BackendResource } from '../../../config/resources.ts';
import { BACKEND_LABEL, SERVER_CONTAINER, SERVER_PORT } from '../instances.ts';

/** The drain agent's port: the kubelet asks it before it ends the server. */
export const DRAIN_PORT = 15_080;
export const DRAIN_CONTAINER = 'drain';
/** The volume of `spec.storage`. */
export const DATA_VOLUME = 'data';

/** The user of the runner image, and the group that may write to volumes. */
const USER = 65_532;
/** What a server gets set aside that does not say what it needs. */
const DEFAULT_REQUESTS = { cpu: '50m', memory: '128Mi' };
const DRAIN_RESOURCES = { requests: { cpu: '5m', memory: '32Mi' }, limits: { memory: '96Mi' } };
/** A pod that fills it is evicted, not its node. Packages are installed there. */
const TMP_LIMIT = '10Gi';
/** A server that is not well after so long is started again, or after `scaling.startTimeout` where that is longer. */
const START_SECONDS = 120;
/** Packages are installed first. */
const INSTALL_SECONDS = 600;
/** The gateway ends idle sessions by itself; the bridge ends those that it has been forgotten with. */
const BRIDGE_IDLE_MS = 24 * 3_600_000;
const BRIDGE_LONG_IDLE_MS = 30 * BRIDGE_IDLE_MS;
/** Also where sessions need not be waited for, a server gets this long to end. */
const MIN_GRACE_SECONDS = 30;
const TOKEN_AUDIENCE = 'mcp-gateway-controller';
const TOKEN_FOLDER = '/var/run/secrets/mcp-gateway';
const TOKEN_SECONDS = 3_600;
const LOCKED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ['ALL'] },
};

/** What is the same for every backend of a cluster. */
export interface PodOptions {
  /** Runs packages, stdio servers and the drain agent. */
  readonly runnerImage: string;
  /** Where drain agents ask. */
  readonly controllerUrl: string;
  /** How long a pod that has to go may keep its sessions. */
  readonly drainGraceMs: number;
}

/** Why a declared backend cannot run in a cluster, in one line; undefined when it can. */
export function whyNotHere({ spec }: BackendResource): string | undefined {
  const problem = clusterProblem(spec);
  return problem && `${problem.path.join('.')}: ${problem.message}`;
}

/**
 * Nothing of it depends on who may use the backend or how long its sessions live: such changes replace no pod. `restart` is a mark that
 * does nothing but replace the pods when it changes.
 */
export function podTemplate(
  { name, spec }: BackendResource,
  labels: Readonly<Record<string, string>>,
  options: PodOptions,
  restart?: string,
) {
  const graceSeconds = Math.max(MIN_GRACE_SECONDS, Math.ceil(options.drainGraceMs / 1000));
  const packaged = isPackage(spec);
  return {
    metadata: {
      labels,
      annotations: {
        'kubectl.kubernetes.io/default-container': SERVER_CONTAINER,
        ...(restart !== undefined && { 'mcpgateway.dev/restarted-at': restart }),
      },
    },
    spec: {
      serviceAccountName: name,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      restartPolicy: 'Always',
      terminationGracePeriodSeconds: graceSeconds,
      securityContext: {
        runAsNonRoot: true,
        ...(packaged && { runAsUser: USER, runAsGroup: USER }),
        fsGroup: USER,
        fsGroupChangePolicy: 'OnRootMismatch',
        seccompProfile: { type: 'RuntimeDefault' },
      },
      topologySpreadConstraints: [
        {
          maxSkew: 1,
          topologyKey: 'kubernetes.io/hostname',
          whenUnsatisfiable: 'ScheduleAnyway',
          labelSelector: { matchLabels: { [BACKEND_LABEL]: name } },
        },
      ],
      initContainers: [drainAgent(spec, graceSeconds, options)],
      containers: [server(spec, options)],
      volumes: [
        { name: 'tmp', emptyDir: { sizeLimit: TMP_LIMIT } },
        {
          name: 'controller-token',
          projected: {
            defaultMode: 0o440,
            sources: [{ serviceAccountToken: { audience: TOKEN_AUDIENCE, expirationSeconds: TOKEN_SECONDS, path: 'token' } }],
          },
        },
      ],
    },
  };
}

function server(spec: BackendSpec, { runnerImage }: PodOptions) {
  const image = isPackage(spec) ? runnerImage : (spec.image?.text ?? '');
  const data = spec.storage && { name: DATA_VOLUME, mountPath: spec.storage.path };
  return {
    name: SERVER_CONTAINER,
    image,
    imagePullPolicy: pullPolicy(image),
    args: argumentsOf(spec),
    // A package has no folder of its own: what it writes to where it is started is to be kept.
    ...(isPackage(spec) && spec.storage && { workingDir: spec.storage.path }),
    env: [{ name: 'PORT', value: String(spec.port) }, ...spec.env.map(variableOf)],
    ports: [{ name: SERVER_PORT, containerPort: spec.port, protocol: 'TCP' }],
    resources: resourcesOf(spec),
    ...probesOf(spec),
    lifecycle: { preStop: { httpGet: { path: '/drain', port: DRAIN_PORT, scheme: 'HTTP' } } },
    securityContext: LOCKED,
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }, ...(data ? [data] : [])],
  };
}

/** Its entry point stays: what runs first in the image reaps what the server leaves behind. */
function argumentsOf(spec: BackendSpec): readonly string[] {
  const args = spec.args.map(expandable);
  const stdio = spec.transport === 'stdio';
  if (!isPackage(spec) && !stdio) return args;
  const idle = spec.sessions.idleTimeout > BRIDGE_IDLE_MS ? BRIDGE_LONG_IDLE_MS : BRIDGE_IDLE_MS;
  return [
    'run',
    ...(isPackage(spec) ? [expandable(spec.image?.text ?? '')] : []),
    ...(stdio ? ['--stdio'] : []),
    ...['--port', String(spec.port), '--path', expandable(spec.path)],
    ...(stdio ? ['--idle-timeout', `${idle}ms`] : []),
    ...['--', ...args],
  ];
}

/** A native sidecar: it starts before the server and ends after it. It alone may speak to the controller, in the pod's name. */
function drainAgent(spec: BackendSpec, graceSeconds: number, { runnerImage, controllerUrl }: PodOptions) {
  // Where nobody asks for it, a change of the path replaces no pod.
  const probed = spec.healthCheck?.type === 'mcp';
  return {
    name: DRAIN_CONTAINER,
    image: runnerImage,
    imagePullPolicy: pullPolicy(runnerImage),
    restartPolicy: 'Always',
    args: ['drain-agent', '--port', String(DRAIN_PORT)],
    env: [
      { name: 'MCP_GATEWAY_CONTROLLER_URL', value: controllerUrl },
      { name: 'MCP_GATEWAY_CONTROLLER_TOKEN_FILE', value: `${TOKEN_FOLDER}/token` },
      { name: 'MCP_GATEWAY_DRAIN_GRACE_MS', value: String(graceSeconds * 1000) },
      { name: 'POD_UID', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.uid' } } },
      ...(probed
        ? [
            // Asked where the gateway calls it: a server that listens on loopback only is of no use.
            { name: 'POD_IP', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } },
            { name: 'SERVER_PORT', value: String(spec.port) },
            { name: 'SERVER_PATH', value: expandable(spec.path) },
          ]
        : []),
      { name: 'NODE_OPTIONS', value: '--max-old-space-size=32 --max-semi-space-size=1' },
    ],
    ports: [{ name: DRAIN_CONTAINER, containerPort: DRAIN_PORT, protocol: 'TCP' }],
    resources: DRAIN_RESOURCES,
    startupProbe: probe({ path: '/healthz', port: DRAIN_PORT }, { periodSeconds: 1, timeoutSeconds: 2, failureThreshold: 60 }),
    livenessProbe: probe({ path: '/healthz', port: DRAIN_PORT }, { periodSeconds: 20, timeoutSeconds: 5, failureThreshold: 3 }),
    securityContext: { ...LOCKED, runAsUser: USER, runAsGroup: USER },
    terminationMessagePolicy: 'FallbackToLogsOnError',
    volumeMounts: [{ name: 'controller-token', mountPath: TOKEN_FOLDER, readOnly: true }],
  };
}

/**
 * A server that stops answering gets no new work after some 15 s; it is ended, with its sessions, only when it has not said anything for
 * minutes: one that is merely busy must not lose them.
 */
function probesOf(spec: BackendSpec) {
  const mcp = spec.healthCheck?.type === 'mcp';
  const target = mcp ? { path: '/probe', port: DRAIN_PORT } : { path: spec.healthCheck?.path ?? '/healthz', port: SERVER_PORT };
  const timeoutSeconds = mcp ? 8 : 3;
  const startPeriod = mcp ? 2 : 1;
  const startSeconds = Math.max(START_SECONDS, Math.ceil(spec.scaling.startTimeout / 1000)) + (isPackage(spec) ? INSTALL_SECONDS : 0);
  return {
    startupProbe: probe(target, { periodSeconds: startPeriod, timeoutSeconds, failureThreshold: Math.ceil(startSeconds / startPeriod) }),
    readinessProbe: probe(target, { periodSeconds: mcp ? 10 : 5, timeoutSeconds, failureThreshold: mcp ? 2 : 3 }),
    livenessProbe: probe(target, { periodSeconds: 20, timeoutSeconds: 10, failureThreshold: 9 }),
  };
}

interface ProbeTiming {
  readonly periodSeconds: number;
  readonly timeoutSeconds: number;
  readonly failureThreshold: number;
}

function probe(target: { readonly path: string; readonly port: number | string }, timing: ProbeTiming) {
  return { httpGet: { ...target, scheme: 'HTTP' }, initialDelaySeconds: 0, successThreshold: 1, ...timing };
}

function resourcesOf({ resources }: BackendSpec) {
  if (!resources) return { requests: DEFAULT_REQUESTS };
  const { requests, limits } = resources;
  return { ...(requests && { requests }), ...(limits && { limits }) };
}

function variableOf({ name, value, valueFrom }: EnvVariable) {
  return valueFrom ? { name, valueFrom: { secretKeyRef: { ...valueFrom.secretKeyRef } } } : { name, value: expandable(value ?? '') };
}

/** Kubernetes expands each `$(NAME)`; here, as everywhere, `$(PORT)` is the only one. `$$` stands for a dollar sign. */
function expandable(text: string): string {
  return /\$[$(]/.test(text) ? text.replace(/\$(?!\(PORT\))/g, '$$$$') : text;
}

function isPackage({ image }: BackendSpec): boolean {
  return image?.kind === 'npm' || image?.kind === 'pypi';
}

/** As Kubernetes itself would decide: a tag that is no tag may stand for something else tomorrow. */
function pullPolicy(image: string): 'Always' | 'IfNotPresent' {
  if (image.includes('@')) return 'IfNotPresent';
  const tag = /:([^:/]+)$/.exec(image)?.[1];
  return tag === undefined || tag === 'latest' ? 'Always' : 'IfNotPresent';
}
