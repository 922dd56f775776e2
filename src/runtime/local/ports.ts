// Free ports for processes that are about to start, none handed out twice within a long time.

import { createServer } from 'node:net';

/** A port comes back only after this many others, so that an address seldom means another process than it used to. */
const REMEMBERED_PORTS = 4096;
const MAX_TRIES = 64;

export interface Ports {
  /** A port of 127.0.0.1 that nobody listened on a moment ago and that was not given out recently. */
  free(): Promise<number>;
}

/** The operating system picks; ports given out recently are skipped. */
export function createPorts(): Ports {
  const recent = new Set<number>();
  return {
    async free() {
      for (let attempt = 0; attempt < MAX_TRIES; attempt += 1) {
        const port = await unusedPort();
        if (!recent.has(port)) {
          recent.add(port);
          if (recent.size > REMEMBERED_PORTS) {
            recent.delete(recent.values().next().value as number);
          }
          return port;
        }
      }
      throw new Error('no free port of 127.0.0.1 that was not used recently');
    },
  };
}

function unusedPort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port: 0, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address();
      server.close(() => {
        if (address !== null && typeof address === 'object') {
          resolve(address.port);
        } else {
          reject(new Error('no address'));
        }
      });
    });
  });
}
