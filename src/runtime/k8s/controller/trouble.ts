// Why a pod does not serve, and what its owner can do about it.

import type { BackendSpec } from '../../../config/backend-spec.ts';
import { SERVER_CONTAINER } from '../instances.ts';
import { type BackendPod, type ContainerState, type ContainerStatus, isReady, isStaying, type Workload } from './observed.ts';

/** Stable words for programs; the message is for people. */
export type TroubleReason =
  | 'ImagePull'
  | 'ContainerConfig'
  | 'RunsAsRoot'
  | 'CrashLoop'
  | 'OutOfMemory'
  | 'ProbeFailing'
  | 'Unschedulable'
  | 'QuotaExceeded'
  | 'PodsRefused'
  | 'StartTimeout'
  | 'NameTaken'
  | 'InvalidSpec'
  | 'StorageKept'
  | 'Forbidden';

export interface Trouble {
  readonly reason: TroubleReason;
  readonly message: string;
}

/** `againMs`: nothing is known to be wrong now; by then it may be, without anything having changed. */
export interface Verdict {
  readonly trouble: Trouble | undefined;
  readonly againMs: number | undefined;
}

/** A server that listens answers its probes within this time. */
const PATIENCE_MS = 20_000;
/** Packages are installed before anything listens. */
const INSTALL_PATIENCE_MS = 180_000;
/** A crash is remembered for so long while the next attempt runs, or the condition would change with every attempt. */
const CRASH_MS = 600_000;
const MAX_CHARS = 400;

const PULL_REASONS = new Set([
  ...['ErrImagePull', 'ImagePullBackOff', 'InvalidImageName', 'ErrImageNeverPull', 'RegistryUnavailable', 'ImageInspectError'],
  ...['SignatureValidationFailed'],
]);
const CONFIG_REASONS = new Set(['CreateContainerConfigError', 'CreateContainerError', 'RunContainerError', 'PreCreateHookError']);
const KILLED = new Set([137, 143]);

/** What is wrong with a workload's pods: the youngest one that has something to say counts. `now` in milliseconds since the epoch. */
export function troubleOf(spec: BackendSpec, workload: Workload | undefined, pods: readonly BackendPod[], now: number): Verdict {
  let againMs: number | undefined;
  for (const pod of pods.filter(isStaying).toSorted(youngestFirst)) {
    if (isReady(pod)) continue;
    const verdict = podTrouble(spec, pod, now);
    if (verdict.trouble) return verdict;
    if (verdict.againMs !== undefined) againMs = Math.min(againMs ?? verdict.againMs, verdict.againMs);
  }
  return { trouble: workload && workloadTrouble(workload), againMs };
}

function podTrouble(spec: BackendSpec, pod: BackendPod, now: number): Verdict {
  const scheduled = pod.status?.conditions?.find(({ type }) => type === 'PodScheduled');
  if (scheduled?.status === 'False' && scheduled.reason === 'Unschedulable') {
    return found('Unschedulable', `no node takes the pod: ${cut(scheduled.message)}`);
  }
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  for (const status of statuses) {
    const trouble = containerTrouble(spec, pod, status, now);
    if (trouble) return { trouble, againMs: undefined };
  }
  const server = pod.status?.containerStatuses?.find(({ name }) => name === SERVER_CONTAINER);
  return server?.state?.running ? probeTrouble(spec, pod, server, now) : { trouble: undefined, againMs: undefined };
}

function containerTrouble(spec: BackendSpec, pod: BackendPod, status: ContainerStatus, now: number): Trouble | undefined {
  const { name, state } = status;
  const { reason = '', message } = state?.waiting ?? {};
  const who = name === SERVER_CONTAINER ? 'the server' : `the container "${name}"`;
  if (PULL_REASONS.has(reason)) {
    const image = name === SERVER_CONTAINER ? (imageOf(pod) ?? status.image) : status.image;
    return { reason: 'ImagePull', message: `the image ${image ?? ''} of ${who} cannot be pulled: ${cut(message ?? reason)}` };
  }
  if (CONFIG_REASONS.has(reason)) return configTrouble(who, cut(message ?? reason));
  const ended = endedLately(status, now);
  return ended && status.ready !== true ? crash({ spec, pod, status, who, ended }) : undefined;
}

function configTrouble(who: string, message: string): Trouble {
  if (/run as root|non-root|non-numeric/.test(message)) {
    const hint = 'servers may not run as root here: use an image whose USER is a number other than 0';
    return { reason: 'RunsAsRoot', message: `${who} is not started: ${hint} (${message})` };
  }
  const hint = /secret .*not found|key .*Secret/.test(message) ? ' (it has to be in the namespace of the backend)' : '';
  return { reason: 'ContainerConfig', message: `${who} is not started: ${message}${hint}` };
}

type Ended = NonNullable<ContainerState['terminated']>;

function endedLately({ state, lastState, restartCount = 0 }: ContainerStatus, now: number): Ended | undefined {
  if (state?.waiting?.reason === 'CrashLoopBackOff') return lastState?.terminated ?? {};
  if (state?.terminated) return state.terminated;
  const ended = lastState?.terminated;
  return restartCount > 0 && ended && now - Date.parse(ended.finishedAt ?? '') < CRASH_MS ? ended : undefined;
}

interface Crash {
  readonly spec: BackendSpec;
  readonly pod: BackendPod;
  readonly status: ContainerStatus;
  readonly who: string;
  readonly ended: Ended;
}

function crash({ spec, pod, status, who, ended }: Crash): Trouble {
  const { exitCode, reason } = ended;
  if (reason === 'OOMKilled') {
    return { reason: 'OutOfMemory', message: `${who} needed more memory than it may have: raise resources.limits.memory` };
  }
  const isServer = status.name === SERVER_CONTAINER;
  // It did not end by itself: the kubelet ends what does not answer.
  if (isServer && KILLED.has(exitCode ?? 0)) return notAnswering(spec, 'and was started again');
  const last = lastLine(ended.message);
  const code = exitCode === undefined ? '' : ` with exit code ${exitCode}`;
  const logs = `kubectl logs -n ${pod.metadata.namespace ?? ''} ${pod.metadata.name} -c ${status.name} --previous`;
  return { reason: 'CrashLoop', message: `${who} keeps ending${code}${last === '' ? '' : `: ${last}`} (${logs})` };
}

function probeTrouble(spec: BackendSpec, pod: BackendPod, { state, started }: ContainerStatus, now: number): Verdict {
  const wasReadyUntil = pod.status?.conditions?.find(({ type, status }) => type === 'ContainersReady' && status === 'False');
  const since = started === true ? (wasReadyUntil?.lastTransitionTime ?? state?.running?.startedAt) : state?.running?.startedAt;
  const isPackage = spec.image?.kind === 'npm' || spec.image?.kind === 'pypi';
  const patience = isPackage && started !== true ? INSTALL_PATIENCE_MS : PATIENCE_MS;
  const left = Date.parse(since ?? '') + patience - now;
  if (Number.isNaN(left)) return { trouble: undefined, againMs: patience };
  return left > 0
    ? { trouble: undefined, againMs: left }
    : { trouble: notAnswering(spec, started === true ? 'any more' : 'although it runs'), againMs: undefined };
}

function notAnswering({ healthCheck, port, path }: BackendSpec, how: string): Trouble {
  if (healthCheck?.type === 'mcp') {
    return {
      reason: 'ProbeFailing',
      message: `the server does not answer an MCP initialize at port ${port}, ${path} ${how}: are spec.port and spec.path right?`,
    };
  }
  const asked = healthCheck?.path ?? '/healthz';
  const hint = 'set healthCheck.path to a path that it answers with 200, or healthCheck: { type: mcp }';
  return {
    reason: 'ProbeFailing',
    message: `the server does not answer GET ${asked} at port ${port} with 200 ${how}: ${hint}; spec.port is the one that it has to listen on`,
  };
}

/** Pods that are not even made: quotas, pod security, webhooks. */
function workloadTrouble({ status }: Workload): Trouble | undefined {
  const failure = status?.conditions?.find(({ type, status: value }) => type === 'ReplicaFailure' && value === 'True');
  if (failure) {
    const message = cut(failure.message);
    return /exceeded quota/.test(message)
      ? { reason: 'QuotaExceeded', message: `the namespace's quota is used up: ${message}` }
      : { reason: 'PodsRefused', message: `the cluster refuses the pod: ${message}` };
  }
  const progress = status?.conditions?.find(({ type, status: value }) => type === 'Progressing' && value === 'False');
  return progress?.reason === 'ProgressDeadlineExceeded'
    ? { reason: 'StartTimeout', message: 'the pods have not become ready in time: kubectl describe the pods' }
    : undefined;
}

function imageOf({ spec }: BackendPod): string | undefined {
  return spec?.containers?.find(({ name }) => name === SERVER_CONTAINER)?.image;
}

function found(reason: TroubleReason, message: string): Verdict {
  return { trouble: { reason, message }, againMs: undefined };
}

function youngestFirst(a: BackendPod, b: BackendPod): number {
  return (
    (b.metadata.creationTimestamp ?? '').localeCompare(a.metadata.creationTimestamp ?? '') || (a.metadata.name < b.metadata.name ? -1 : 1)
  );
}

/** One line of bounded length. */
function cut(text = ''): string {
  const line = text.replaceAll(/\s+/g, ' ').trim();
  return line.length > MAX_CHARS ? `${line.slice(0, MAX_CHARS)}…` : line;
}

/** What the runner and most programs say last is why they ended. */
function lastLine(text = ''): string {
  return cut(text.trim().split('\n').at(-1));
}
