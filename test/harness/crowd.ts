// Unmodified clients, each with a session of its own, which call all the time: whoever changes something under them sees what fails.

import { connectSdkClient, type SdkClient } from './sdk-client.ts';

export interface Crowd {
  readonly clients: readonly SdkClient[];
  readonly failures: unknown[];
  /** Calls that have been answered. */
  readonly answered: () => number;
  /** Ends when every client's call under way is answered. */
  stop(): Promise<void>;
}

/** `callMs`: how long the server takes for each call. A client whose call has failed calls no more. */
export async function startCrowd(url: string, { size, callMs }: { readonly size: number; readonly callMs: number }): Promise<Crowd> {
  const clients = await Promise.all(Array.from({ length: size }, () => connectSdkClient(url)));
  const failures: unknown[] = [];
  let answered = 0;
  let going = true;
  const running = clients.map(async (client) => {
    while (going) {
      try {
        await client.call('slow', { ms: callMs });
        answered += 1;
      } catch (error) {
        failures.push(error);
        return;
      }
    }
  });
  return {
    ...{ clients, failures, answered: () => answered },
    async stop() {
      going = false;
      await Promise.all(running);
      await Promise.all(clients.map((client) => client.close()));
    },
  };
}
