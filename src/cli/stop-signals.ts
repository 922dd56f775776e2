// Turns SIGINT and SIGTERM into abort signals: the first asks for an orderly end, a later one for a quick one.

/**
 * Ctrl-C reaches every process of a terminal, and `npm start` passes it on as well: the second copy of one key press is not
 * a second wish.
 */
const SAME_WISH_MS = 1_000;

/** `stop` is aborted by the first signal, `hurry` by one that comes more than a second later. Call `release` when done. */
export interface StopSignals {
  readonly stop: AbortSignal;
  readonly hurry: AbortSignal;
  readonly release: () => void;
}

/** `target` is the process in production. */
export function listenForStop(target: NodeJS.EventEmitter = process, now: () => number = Date.now): StopSignals {
  const stop = new AbortController();
  const hurry = new AbortController();
  let firstAt: number | undefined;
  const onSignal = (): void => {
    firstAt ??= now();
    stop.abort(new Error('stopped by a signal'));
    if (now() - firstAt > SAME_WISH_MS) hurry.abort(new Error('stopped by a second signal'));
  };
  const names = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const name of names) target.on(name, onSignal);
  const release = (): void => {
    for (const name of names) target.off(name, onSignal);
  };
  return { stop: stop.signal, hurry: hurry.signal, release };
}
