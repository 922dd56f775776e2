// Whether the shared counters can be reached: one failure opens the circuit, and only a probe in the background closes it again.

/** Between vain probes; doubles from the first to the longest. */
const FIRST_PROBE_MS = 50;
const LONGEST_PROBE_MS = 1_000;
/** An outage soon after the last one goes on where that one's pauses had got to, so that a flapping store is not asked all the time. */
const CALM_MS = 1_000;

/** A process starts before it is connected: only when it still is not after so long, that is an outage to speak of. */
const START_MS = 2_000;

export interface Circuit {
  /** Open: nobody asks the store, because it would not answer. So it is at first, until the first probe has succeeded. */
  isOpen(): boolean;
  failed(error: Error): void;
  close(): void;
}

export interface CircuitOptions {
  /** Resolves when the store works. Has a time limit of its own. */
  readonly probe: () => Promise<unknown>;
  /** Each time that the store works again, and the first time. */
  readonly onReachable: () => void;
  /** For people: once per outage, and after it. */
  readonly onDown: (error: Error) => void;
  readonly onUp: (outageMs: number) => void;
  readonly now?: () => number;
}

export function createCircuit({ probe, onReachable, onDown, onUp, now = Date.now }: CircuitOptions): Circuit {
  let openedAt: number | undefined = now();
  let announced = false;
  let closedAt = Number.NEGATIVE_INFINITY;
  let pauseMs = 0;
  let timer: NodeJS.Timeout | undefined;
  let ended = false;

  const announce = (error: Error): void => {
    announced = true;
    onDown(error);
  };

  const reachable = (since: number): void => {
    openedAt = undefined;
    closedAt = now();
    onReachable();
    if (announced) onUp(closedAt - since);
    announced = false;
  };

  const tryOnce = async (since: number): Promise<void> => {
    try {
      await probe();
      if (!ended) reachable(since);
    } catch (error) {
      if (ended) return;
      if (!announced && now() - since >= START_MS) announce(error as Error);
      waitAndTry(since);
    }
  };

  const waitAndTry = (since: number): void => {
    timer = setTimeout(() => void tryOnce(since), pauseMs * (0.5 + Math.random() / 2));
    timer.unref();
    pauseMs = Math.min(Math.max(FIRST_PROBE_MS, 2 * pauseMs), LONGEST_PROBE_MS);
  };

  waitAndTry(openedAt);

  return {
    isOpen: () => openedAt !== undefined,
    failed(error) {
      if (openedAt !== undefined || ended) return;
      openedAt = now();
      if (openedAt - closedAt > CALM_MS) pauseMs = 0;
      announce(error);
      waitAndTry(openedAt);
    },
    close() {
      ended = true;
      clearTimeout(timer);
    },
  };
}
