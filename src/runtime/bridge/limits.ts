// How much one bridge takes on.

/** Every bound of the bridge; times in milliseconds. */
export interface BridgeLimits {
  /** Sessions, each with a process of its own. */
  readonly sessions: number;
  readonly bodyBytes: number;
  /** One message of the server process. */
  readonly lineBytes: number;
  readonly batch: number;
  /** Requests of one session that are not yet answered, also those whose client has left. */
  readonly requestsPerSession: number;
  /** Messages kept for a client whose listening stream is not open; the oldest go first. */
  readonly waitingMessages: number;
  readonly waitingBytes: number;
  /** Input that a server process has not read yet. */
  readonly inputBytes: number;
  /** A server that has not answered `initialize` by then is given up. */
  readonly initializeMs: number;
  /** How long after a cancellation a request may still be answered. */
  readonly cancelGraceMs: number;
  /** A session without a request for so long is ended; an open listening stream alone does not keep it. */
  readonly idleMs: number;
}

export const BRIDGE_LIMITS: BridgeLimits = {
  sessions: 500,
  bodyBytes: 16 * 1_048_576,
  lineBytes: 64 * 1_048_576,
  batch: 50,
  requestsPerSession: 256,
  waitingMessages: 256,
  waitingBytes: 1_048_576,
  inputBytes: 32 * 1_048_576,
  initializeMs: 55_000,
  cancelGraceMs: 5000,
  idleMs: 30 * 60_000,
};
