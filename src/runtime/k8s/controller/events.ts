// What `kubectl describe` and `kubectl get events` say about a backend: its conditions' changes, not too often.

import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import { limited } from '../../../core/within.ts';
import type { KubeApi } from '../api.ts';
import { apiVersionOf, type KubeObject, MCP_BACKENDS } from '../objects.ts';
import type { BackendStatus, Condition } from './conditions.ts';
import { EVENTS, FIELD_MANAGER } from './kinds.ts';

/** Of one backend: so many at once, then one in so long. */
const BURST = 10;
const REFILL_MS = 30_000;
/** Whoever has been quiet for that long has its burst again and need not be remembered. */
const MAX_REMEMBERED = 10_000;
const TIMEOUT_MS = 5_000;
/** events.k8s.io/v1 takes no more. */
const MAX_NOTE_BYTES = 1_000;

interface EventNote {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly note: string;
}

/** What happened between two statuses that is worth an event. */
export function eventsBetween(before: Partial<BackendStatus> | undefined, after: BackendStatus): readonly EventNote[] {
  const of = (status: Partial<BackendStatus> | undefined, type: string): Condition | undefined =>
    status?.conditions?.find((condition) => condition.type === type);
  const notes: EventNote[] = [];
  const [degraded, wasDegraded] = [of(after, 'Degraded'), of(before, 'Degraded')];
  const [ready, wasReady] = [of(after, 'Ready'), of(before, 'Ready')];
  if (degraded?.status === 'True' && (wasDegraded?.status !== 'True' || wasDegraded.reason !== degraded.reason)) {
    notes.push({ type: 'Warning', reason: degraded.reason, note: degraded.message });
  }
  if (ready?.status === 'True' && (wasReady?.status !== 'True' || wasReady.reason !== ready.reason)) {
    notes.push({ type: 'Normal', reason: ready.reason, note: ready.message });
  }
  if (ready?.status === 'False' && wasReady?.status === 'True' && degraded?.status !== 'True') {
    notes.push({ type: 'Normal', reason: ready.reason, note: ready.message });
  }
  return notes;
}

export interface EventWriter {
  /** Never rejects: what is happening does not depend on being told. */
  write(regarding: KubeObject, notes: readonly EventNote[], signal: AbortSignal): Promise<void>;
}

export interface EventWriterOptions {
  readonly api: Pick<KubeApi, 'create'>;
  /** Which controller says it: the pod's name. */
  readonly instance: string;
  readonly log: Logger;
}

export function createEventWriter({ api, instance, log }: EventWriterOptions): EventWriter {
  const allowances = new Map<string, { left: number; at: number }>();

  const allowed = (uid: string): boolean => {
    const now = performance.now();
    const known = allowances.get(uid) ?? { left: BURST, at: now };
    const refilled = Math.floor((now - known.at) / REFILL_MS);
    const left = Math.min(BURST, known.left + refilled);
    if (allowances.size >= MAX_REMEMBERED && !allowances.has(uid)) allowances.clear();
    allowances.set(uid, { left: Math.max(0, left - 1), at: left === BURST ? now : known.at + refilled * REFILL_MS });
    return left > 0;
  };

  return {
    async write({ metadata }, notes, signal) {
      const { name, namespace, uid = '' } = metadata;
      for (const { type, reason, note } of notes) {
        if (!allowed(uid)) return;
        const event = {
          metadata: { name: `${name}.${randomBytes(8).toString('hex')}`, ...(namespace !== undefined && { namespace }) },
          eventTime: new Date().toISOString().replace('Z', '000Z'),
          ...{ type, reason, note: clipped(note), action: 'Reconcile' },
          reportingController: `mcpgateway.dev/${FIELD_MANAGER}`,
          reportingInstance: instance.slice(0, 128),
          regarding: { apiVersion: apiVersionOf(MCP_BACKENDS), kind: MCP_BACKENDS.kind, name, namespace, uid },
        };
        try {
          await api.create(EVENTS, event, limited(signal, TIMEOUT_MS));
        } catch (error) {
          if (!signal.aborted) log.debug({ err: error, backend: name }, 'event not written');
        }
      }
    },
  };
}

function clipped(note: string): string {
  return Buffer.byteLength(note) <= MAX_NOTE_BYTES
    ? note
    : `${Buffer.from(note)
        .subarray(0, MAX_NOTE_BYTES - 4)
        .toString('utf8')
        .replace(/\uFFFD+$/, '')}…`;
}
