// What the status of a backend says, for people and for programs.

import { describe, expect, it } from 'vitest';
import { type BackendResource, parseResource } from '../../../config/resources.ts';
import { type BackendStatus, type Observation, statusOf, tenantStatusOf } from './conditions.ts';
import { eventsBetween } from './events.ts';
import type { BackendPod, ContainerStatus, Workload } from './observed.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString();

function specOf(spec: Record<string, unknown>): BackendResource['spec'] {
  const input = { apiVersion: 'mcpgateway.dev/v1alpha1', kind: 'MCPBackend', metadata: { name: 'github' }, spec };
  const read = parseResource(input, { file: '', label: 'github' });
  if (!('kind' in read) || read.kind !== 'MCPBackend') throw new Error(JSON.stringify(read));
  return read.spec;
}

const image = 'ghcr.io/acme/server:1.0';
const workload = (status: Workload['status'] = {}, generation = 1): Workload => ({
  metadata: { name: 'github', generation },
  status: { observedGeneration: generation, ...status },
});
const serving = workload({ replicas: 1, readyReplicas: 1, updatedReplicas: 1 });
const starting = workload({ replicas: 1, updatedReplicas: 1 });

function pod(server: Partial<ContainerStatus> | undefined, more: Partial<NonNullable<BackendPod['status']>> = {}): BackendPod {
  const status = { name: 'server', image: 'sha256:1', ready: false, started: false, restartCount: 0, ...server };
  return {
    metadata: { name: 'github-1', namespace: 'mcp', creationTimestamp: ago(60) },
    spec: { containers: [{ name: 'server', image }] },
    status: { phase: 'Running', ...(server && { containerStatuses: [status] }), ...more },
  };
}

const observe = (seen: Partial<Observation>, before?: Partial<BackendStatus>, now = NOW) =>
  statusOf(
    {
      ...{ name: 'github', generation: 3, spec: specOf({ image }), wanted: 1, workload: starting, former: undefined },
      ...{ pods: [], problem: undefined, sessions: 0, url: undefined, ...seen },
    },
    before,
    now,
  );
const of = (status: BackendStatus, type: string) => status.conditions.find((condition) => condition.type === type);

describe('what is wrong with a pod', () => {
  const kubelet = 'Back-off pulling image "ghcr.io/acme/server:1.0": ErrImagePull: not found';
  it.each<[string, BackendPod, RegExp]>([
    [
      'ImagePull',
      pod({ state: { waiting: { reason: 'ImagePullBackOff', message: kubelet } } }),
      /^the image ghcr\.io\/acme\/server:1\.0 .* not found$/,
    ],
    [
      'ContainerConfig',
      pod({ state: { waiting: { reason: 'CreateContainerConfigError', message: 'secret "github" not found' } } }),
      /secret "github" not found.*namespace/,
    ],
    [
      'RunsAsRoot',
      pod({
        state: { waiting: { reason: 'CreateContainerConfigError', message: 'container has runAsNonRoot and image will run as root' } },
      }),
      /USER is a number other than 0/,
    ],
    [
      'CrashLoop',
      pod({
        ...{ restartCount: 3, state: { waiting: { reason: 'CrashLoopBackOff' } } },
        lastState: { terminated: { exitCode: 2, reason: 'Error', message: 'starting\nno token given\n', finishedAt: ago(30) } },
      }),
      /^the server keeps ending with exit code 2: no token given \(kubectl logs -n mcp github-1 -c server --previous\)$/,
    ],
    [
      'CrashLoop',
      pod({ restartCount: 3, state: { running: { startedAt: ago(1) } }, lastState: { terminated: { exitCode: 1, finishedAt: ago(9) } } }),
      /exit code 1/,
    ],
    [
      'OutOfMemory',
      pod({
        restartCount: 1,
        state: { waiting: { reason: 'CrashLoopBackOff' } },
        lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
      }),
      /raise resources\.limits\.memory/,
    ],
    ['ProbeFailing', pod({ state: { running: { startedAt: ago(25) } } }), /GET \/healthz at port 8000 .* set healthCheck\.path/],
    [
      'ProbeFailing',
      pod({
        restartCount: 1,
        state: { running: { startedAt: ago(2) } },
        lastState: { terminated: { exitCode: 137, reason: 'Error', finishedAt: ago(2) } },
      }),
      /set healthCheck\.path/,
    ],
    [
      'ProbeFailing',
      pod(
        { started: true, state: { running: { startedAt: ago(900) } } },
        { conditions: [{ type: 'ContainersReady', status: 'False', lastTransitionTime: ago(40) }] },
      ),
      /any more/,
    ],
    [
      'Unschedulable',
      pod(undefined, {
        conditions: [
          { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/3 nodes are available: 3 Insufficient cpu.' },
        ],
      }),
      /Insufficient cpu/,
    ],
    [
      'ImagePull',
      pod(undefined, { initContainerStatuses: [{ name: 'drain', image: 'runner:1', state: { waiting: { reason: 'ErrImagePull' } } }] }),
      /runner:1 of the container "drain"/,
    ],
  ])('%s', (reason, broken, message) => {
    const { status } = observe({ pods: [broken] });
    expect(of(status, 'Degraded')).toMatchObject({ status: 'True', reason });
    expect(of(status, 'Degraded')?.message).toMatch(message);
    expect(of(status, 'Ready')).toMatchObject({ status: 'False', reason });
    expect(status.message).toBe(of(status, 'Degraded')?.message);
  });

  it('is said only after a while where it is merely slow, and comes with the time to look again', () => {
    const { status, againMs } = observe({ pods: [pod({ state: { running: { startedAt: ago(5) } } })] });
    expect(of(status, 'Degraded')?.status).toBe('False');
    expect(againMs).toBe(15_000);
    const installing = observe({ spec: specOf({ image: 'npm:x@1' }), pods: [pod({ state: { running: { startedAt: ago(60) } } })] });
    expect(installing.againMs).toBe(120_000);
  });

  it('is not what is wrong with a pod that goes, has gone, or serves', () => {
    const pulling = { state: { waiting: { reason: 'ErrImagePull' } } };
    const gone = pod(pulling, { phase: 'Failed' });
    const going = { ...pod(pulling), metadata: { name: 'x', deletionTimestamp: ago(1) } };
    const ready = pod({ ...pulling }, { conditions: [{ type: 'Ready', status: 'True' }] });
    expect(of(observe({ pods: [gone, going, ready] }).status, 'Degraded')?.status).toBe('False');
  });

  it.each([
    ['QuotaExceeded', 'pods "github-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4'],
    ['PodsRefused', 'pods "github-1" is forbidden: violates PodSecurity "restricted:latest"'],
  ])('%s: no pod is made at all', (reason, message) => {
    const failing = workload({ conditions: [{ type: 'ReplicaFailure', status: 'True', reason: 'FailedCreate', message }] });
    expect(of(observe({ workload: failing }).status, 'Degraded')).toMatchObject({ status: 'True', reason });
  });
});

describe('the status', () => {
  it('says that all is well', () => {
    const { status } = observe({ workload: serving, sessions: 4, url: 'https://mcp.example.com/adapters/github/mcp' });
    expect(status).toMatchObject({
      ...{ observedGeneration: 3, replicas: 1, readyReplicas: 1, updatedReplicas: 1, sessions: 4, message: '' },
      ...{ selector: 'mcpgateway.dev/backend=github', url: 'https://mcp.example.com/adapters/github/mcp' },
    });
    expect(status.conditions.map(({ type, status: value, reason }) => [type, value, reason])).toEqual([
      ...[
        ['Ready', 'True', 'Serving'],
        ['Progressing', 'False', 'Complete'],
        ['Degraded', 'False', 'AsDeclared'],
      ],
    ]);
  });

  it.each<[string, Partial<Observation>, string, string]>([
    ['nothing is made yet', { workload: undefined }, 'False Starting', 'True Creating'],
    ['pods start', {}, 'False Starting', 'True Starting'],
    [
      'a change has not been seen by the cluster',
      { workload: { ...serving, metadata: { name: 'g', generation: 2 } } },
      'True Serving',
      'True RollingOut',
    ],
    ['old pods are left', { workload: workload({ replicas: 2, readyReplicas: 1, updatedReplicas: 1 }) }, 'True Serving', 'True Scaling'],
    ['another kind of workload still serves', { former: serving }, 'True Serving', 'True RollingOut'],
    ['there are too few', { wanted: 3, workload: serving }, 'False Starting', 'True Scaling'],
    ['nobody uses it', { wanted: 0, workload: workload() }, 'True ScaledToZero', 'False Complete'],
    ['nothing is to run', { wanted: 0, spec: specOf({ image, replicas: 0 }), workload: workload() }, 'False NoReplicas', 'False Complete'],
    [
      'it runs elsewhere',
      { wanted: 0, workload: undefined, spec: specOf({ url: 'https://mcp.example.com/' }) },
      'True Remote',
      'False NothingToDo',
    ],
    [
      'it makes no sense',
      { spec: undefined, workload: serving, problem: { reason: 'InvalidSpec', message: 'spec.image: no' } },
      ...(['False InvalidSpec', 'False NothingToDo'] as const),
    ],
    [
      'it takes too long',
      {
        workload: workload({
          replicas: 1,
          updatedReplicas: 1,
          conditions: [{ type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded' }],
        }),
      },
      ...(['False StartTimeout', 'False DeadlineExceeded'] as const),
    ],
  ])('when %s', (_, seen, ready, progressing) => {
    const { status } = observe(seen);
    const said = (type: string): string => `${of(status, type)?.status} ${of(status, type)?.reason}`;
    expect([said('Ready'), said('Progressing')]).toEqual([ready, progressing]);
    for (const { reason } of status.conditions) expect(reason).toMatch(/^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$/);
  });

  it('tells that what ran before goes on serving', () => {
    const { status } = observe({ spec: undefined, workload: serving, problem: { reason: 'InvalidSpec', message: 'spec.image: no' } });
    expect(status.message).toBe('spec.image: no (1 ready pods go on serving)');
  });

  it('keeps the time of a condition for as long as its status is the same', () => {
    const first = observe({}).status;
    const later = observe({ workload: serving }, first, NOW + 60_000).status;
    expect(of(later, 'Degraded')?.lastTransitionTime).toBe('2026-03-01T12:00:00Z');
    expect(of(later, 'Ready')?.lastTransitionTime).toBe('2026-03-01T12:01:00Z');
    expect(observe({ workload: serving }, later, NOW + 120_000).status).toEqual(later);
  });

  it('of a tenant is whether its declaration makes sense', () => {
    const bad = tenantStatusOf('spec.quotas.0: no', 2, undefined, NOW);
    expect(bad.conditions).toMatchObject([{ type: 'Ready', status: 'False', reason: 'InvalidSpec', message: 'spec.quotas.0: no' }]);
    expect(tenantStatusOf(undefined, 3, bad, NOW).conditions).toMatchObject([{ status: 'True', observedGeneration: 3 }]);
  });
});

describe('events', () => {
  const trouble = (reason: 'ImagePull' | 'CrashLoop') => observe({ problem: { reason, message: reason } }).status;
  it('are what people want to hear of: that something is wrong, another thing, or over', () => {
    const reasons = (before: BackendStatus | undefined, after: BackendStatus) =>
      eventsBetween(before, after).map(({ type, reason }) => `${type} ${reason}`);
    const well = observe({ workload: serving }).status;
    expect(reasons(undefined, observe({}).status)).toEqual([]);
    expect(reasons(undefined, trouble('ImagePull'))).toEqual(['Warning ImagePull']);
    expect(reasons(trouble('ImagePull'), trouble('ImagePull'))).toEqual([]);
    expect(reasons(trouble('ImagePull'), trouble('CrashLoop'))).toEqual(['Warning CrashLoop']);
    expect(reasons(trouble('ImagePull'), well)).toEqual(['Normal Serving']);
    expect(reasons(well, observe({ wanted: 0, workload: workload() }).status)).toEqual(['Normal ScaledToZero']);
    expect(reasons(well, observe({}).status)).toEqual(['Normal Starting']);
  });
});
