// The status of an MCPBackend: from what is wanted and what runs to what people and programs read.

import type { BackendSpec } from '../../../config/backend-spec.ts';
import { BACKEND_LABEL } from '../instances.ts';
import type { BackendPod, Workload } from './observed.ts';
import { type Trouble, troubleOf } from './trouble.ts';

/** metav1.Condition. */
export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly lastTransitionTime: string;
  readonly observedGeneration: number;
}

export interface BackendStatus {
  readonly observedGeneration: number;
  readonly replicas: number;
  readonly readyReplicas: number;
  readonly updatedReplicas: number;
  readonly sessions: number;
  readonly url?: string;
  readonly selector: string;
  /** What is under way or wrong; empty when nothing is. */
  readonly message: string;
  readonly conditions: readonly Condition[];
}

export interface Observation {
  readonly name: string;
  /** Of the MCPBackend. */
  readonly generation: number;
  /** Undefined: it makes no sense; `problem` says why. */
  readonly spec: BackendSpec | undefined;
  /** How many pods there shall be now. */
  readonly wanted: number;
  readonly workload: Workload | undefined;
  /** A workload of the other kind, which serves until its replacement does. */
  readonly former: Workload | undefined;
  readonly pods: readonly BackendPod[];
  /** What keeps the controller from doing what is declared. */
  readonly problem: Trouble | undefined;
  readonly sessions: number;
  readonly url: string | undefined;
}

type Judged = Pick<Condition, 'status' | 'reason' | 'message'>;

/** `againMs`: when it should be asked again although nothing has changed. */
export interface StatusVerdict {
  readonly status: BackendStatus;
  readonly againMs: number | undefined;
}

/** Pure: `before` is the status as it was written last, `now` in milliseconds since the epoch. */
export function statusOf(seen: Observation, before: Partial<BackendStatus> | undefined, now: number): StatusVerdict {
  const { generation, spec, wanted, workload, former, pods, problem } = seen;
  const counts = countsOf(workload, former);
  const found = spec && spec.url === undefined ? troubleOf(spec, workload, pods, now) : undefined;
  const trouble = problem ?? found?.trouble;
  const judged = { Ready: readiness(seen, counts, trouble), Progressing: progress(seen, counts), Degraded: degradation(trouble) };
  const conditions = Object.entries(judged).map(([type, condition]) =>
    dated({ type, ...condition, observedGeneration: generation }, before?.conditions, now),
  );
  const status = {
    observedGeneration: generation,
    ...counts,
    sessions: seen.sessions,
    ...(seen.url !== undefined && { url: seen.url }),
    selector: `${BACKEND_LABEL}=${seen.name}`,
    message: messageOf(judged, trouble, counts, wanted),
    conditions,
  };
  return { status, againMs: trouble ? undefined : found?.againMs };
}

interface Counts {
  readonly replicas: number;
  readonly readyReplicas: number;
  readonly updatedReplicas: number;
}

function countsOf(workload: Workload | undefined, former: Workload | undefined): Counts {
  const sum = (field: 'replicas' | 'readyReplicas'): number => (workload?.status?.[field] ?? 0) + (former?.status?.[field] ?? 0);
  return { replicas: sum('replicas'), readyReplicas: sum('readyReplicas'), updatedReplicas: workload?.status?.updatedReplicas ?? 0 };
}

function readiness({ spec, wanted }: Observation, { readyReplicas }: Counts, trouble: Trouble | undefined): Judged {
  if (!spec) return no('InvalidSpec', trouble?.message ?? 'the declaration makes no sense');
  if (spec.url !== undefined) return yes('Remote', 'every gateway asks the server at spec.url by itself');
  if (wanted === 0) {
    return spec.replicas === 0
      ? no('NoReplicas', 'spec.replicas is 0: nothing runs')
      : yes('ScaledToZero', 'nobody uses it: the next request starts a pod');
  }
  return readyReplicas >= wanted
    ? yes('Serving', `${readyReplicas} ready`)
    : no(trouble?.reason ?? 'Starting', `${readyReplicas} of ${wanted} ready`);
}

function progress({ spec, wanted, workload, former }: Observation, { readyReplicas }: Counts): Judged {
  if (!spec || spec.url !== undefined) return no('NothingToDo', '');
  if (!workload) return yes('Creating', 'the objects of the backend are being made');
  const { observedGeneration = 0, replicas = 0, updatedReplicas = 0, conditions } = workload.status ?? {};
  const overdue = conditions?.some(
    ({ type, status, reason }) => type === 'Progressing' && status === 'False' && reason === 'ProgressDeadlineExceeded',
  );
  if (overdue) return no('DeadlineExceeded', 'the roll-out has not come to an end in time');
  if (former || observedGeneration < (workload.metadata.generation ?? 0) || updatedReplicas < Math.min(wanted, replicas)) {
    return yes('RollingOut', `${updatedReplicas} of ${wanted} pods are as declared`);
  }
  if (replicas !== wanted || updatedReplicas !== replicas) return yes('Scaling', `${replicas} pods, ${wanted} are wanted`);
  return readyReplicas < wanted ? yes('Starting', `${readyReplicas} of ${wanted} ready`) : no('Complete', '');
}

function degradation(trouble: Trouble | undefined): Judged {
  return trouble ? yes(trouble.reason, trouble.message) : no('AsDeclared', '');
}

function messageOf(
  judged: { readonly Ready: Judged; readonly Progressing: Judged },
  trouble: Trouble | undefined,
  counts: Counts,
  wanted: number,
): string {
  if (trouble) {
    const serving = counts.readyReplicas > 0 ? ` (${counts.readyReplicas} ready pods go on serving)` : '';
    return `${trouble.message}${serving}`;
  }
  if (judged.Progressing.status === 'True') return `${counts.readyReplicas} of ${wanted} ready`;
  return judged.Ready.reason === 'Serving' || judged.Ready.reason === 'Remote' ? '' : judged.Ready.message;
}

/** The time says when `status` changed, not the message. */
function dated(condition: Omit<Condition, 'lastTransitionTime'>, before: readonly Condition[] | undefined, now: number): Condition {
  const same = before?.find(({ type, status }) => type === condition.type && status === condition.status);
  return { ...condition, lastTransitionTime: same?.lastTransitionTime ?? timeOf(now) };
}

/** metav1.Time: whole seconds. */
function timeOf(now: number): string {
  return `${new Date(now).toISOString().slice(0, 19)}Z`;
}

function yes(reason: string, message: string): Judged {
  return { status: 'True', reason, message };
}

function no(reason: string, message: string): Judged {
  return { status: 'False', reason, message };
}

/** The status of an MCPTenant: nothing runs for it, so only its declaration can be wrong. */
export function tenantStatusOf(
  problem: string | undefined,
  generation: number,
  before: { readonly conditions?: readonly Condition[] } | undefined,
  now: number,
) {
  const judged = problem === undefined ? yes('Accepted', '') : no('InvalidSpec', problem);
  return {
    observedGeneration: generation,
    conditions: [dated({ type: 'Ready', ...judged, observedGeneration: generation }, before?.conditions, now)],
  };
}
