// Runs many tasks with a bounded number in flight.

/** Calls `task` for 0 … count−1, at most `inFlight` at once. The first rejection stops the rest and is thrown. */
export async function runLoad(count: number, inFlight: number, task: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const index = next;
      next += 1;
      try {
        await task(index);
      } catch (error) {
        next = count;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(inFlight, count) }, worker));
}
