// A port that was free a moment ago, for the few programs that cannot take port 0.

import { type AddressInfo, createServer } from 'node:net';

/** @returns a port of 127.0.0.1 on which nobody listens. Somebody else may take it before the caller does. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
