// What has been started and must be stopped: closed in reverse order, each exactly once, also after a half-failed start.

export interface Closers {
  add(close: () => void | Promise<void>): void;
  /** Runs every closer, whatever the others do; throws the first error afterwards. */
  close(): Promise<void>;
}

export function createClosers(): Closers {
  const stack: (() => void | Promise<void>)[] = [];
  return {
    add: (close) => void stack.push(close),
    async close() {
      let failure: unknown;
      for (let close = stack.pop(); close; close = stack.pop()) {
        try {
          await close();
        } catch (error) {
          failure ??= error;
        }
      }
      if (failure !== undefined) throw failure;
    },
  };
}
