// Waits until every replica of a backend takes sessions.

import { openSession, type Session } from './mcp-http.ts';
import { waitFor } from './wait-for.ts';

/** Opens and ends sessions until as many different processes have answered. @returns their pids. */
export async function waitForReplicas(url: string, count: number, timeoutMs = 60_000): Promise<number[]> {
  const pids = new Set<number>();
  const sessions: Session[] = [];
  await waitFor(
    `${count} replicas behind ${url}`,
    async () => {
      const session = await openSession(url);
      sessions.push(session);
      const { pid } = await session.call('whoami');
      pids.add(pid);
      // Sessions stay open until all are found: the least loaded replica is picked next.
      return pids.size >= count;
    },
    { timeoutMs },
  );
  await Promise.all(sessions.map((session) => session.end()));
  return [...pids];
}
