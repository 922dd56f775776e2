// The audit log: one JSON line per decision that matters, to standard output, a file, or both; never in a request's way.

import { createAuditFile } from './audit-file.ts';
import { type AuditEntry, auditLine, auditOf, type Decided } from './audit-line.ts';
import { createLineQueue, type LineQueue, type LineTarget } from './line-queue.ts';
import { descriptorTarget } from './line-sink.ts';

const STDOUT = 1;
/** What a slow disk may hold in memory; what comes on top is lost, and counted. */
const MAX_PENDING_CHARS = 8 * 1024 * 1024;
/** How long the end of the process waits for the last lines. */
const CLOSE_TIMEOUT_MS = 1_000;
/** A failure that lasts is told once in this time. */
const TELL_MS = 60_000;

export interface AuditOptions {
  /** The standard output of this process. */
  readonly stdout?: boolean | undefined;
  readonly file?: string | undefined;
  /** Said in the line about lost lines: which process lost them. */
  readonly process: string;
  /** What keeps lines from being written; once a minute at most. */
  readonly onTrouble?: (error: NodeJS.ErrnoException) => void;
  /** Milliseconds since 1970. */
  readonly now?: () => number;
}

export interface Audit {
  /** Whether anything is written: with `false` nothing needs to be gathered. */
  readonly on: boolean;
  /** A decision on a request: writes what it leaves, if anything. */
  decided(decision: Decided): void;
  record(entry: AuditEntry): void;
  /** Whole lines that another process has made. */
  pass(lines: string): void;
  /** Lines lost so far because they could not be written in time. */
  readonly dropped: () => number;
  /** Writes what is left, for at most a second. */
  close(): Promise<void>;
}

export function createAudit({ stdout, file, process: name, onTrouble, now = Date.now }: AuditOptions): Audit {
  const auditFile = file === undefined ? undefined : createAuditFile(file);
  const targets: LineTarget[] = [...(stdout ? [descriptorTarget(STDOUT)] : []), ...(auditFile ? [auditFile] : [])];
  const clock = createIsoClock(now);
  const dropped = (count: number): string =>
    `{"time":"${clock()}","event":"lines_lost","process":${JSON.stringify(name)},"count":${count}}\n`;
  let toldAt = Number.NEGATIVE_INFINITY;
  const tell = (error: NodeJS.ErrnoException): void => {
    if (performance.now() - toldAt < TELL_MS) return;
    toldAt = performance.now();
    onTrouble?.(error);
  };
  const queues: LineQueue[] = targets.map((target) =>
    createLineQueue({ target, maxPendingChars: MAX_PENDING_CHARS, dropped, onTrouble: tell }),
  );

  const pass = (lines: string): void => {
    for (const queue of queues) queue.write(lines);
  };
  const record = (entry: AuditEntry): void => {
    if (queues.length > 0) pass(auditLine(entry, clock()));
  };

  return {
    on: queues.length > 0,
    decided(decision) {
      if (queues.length > 0) for (const entry of auditOf(decision)) record(entry);
    },
    record,
    pass,
    dropped: () => queues.reduce((sum, queue) => sum + queue.dropped(), 0),
    async close() {
      await Promise.all(queues.map((queue) => queue.drain(CLOSE_TIMEOUT_MS)));
      auditFile?.close();
    },
  };
}

/** Many lines share a millisecond, and writing it as a date costs more than all else in a line. */
function createIsoClock(now: () => number): () => string {
  let known = Number.NaN;
  let text = '';
  return () => {
    const time = now();
    if (time !== known) {
      known = time;
      text = new Date(time).toISOString();
    }
    return text;
  };
}
