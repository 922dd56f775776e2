// How every test server starts: on HOST (127.0.0.1 when absent) at PORT (0 when absent), telling its address on stdout, leaving on SIGTERM.

import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Starts the server and prints `listening http://HOST:PORT`. Open connections do not hold back the exit. */
export async function listen(server: Server, port = Number(process.env['PORT'] ?? 0)): Promise<void> {
  const host = process.env['HOST'] ?? '127.0.0.1';
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  // A proxy's pooled connections may idle for longer than Node's default of 5 s; that race is not what the tests are about.
  server.keepAliveTimeout = 600_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, resolve);
  });
  console.log(`listening http://${host}:${(server.address() as AddressInfo).port}`);
  process.once('SIGTERM', () => process.exit(0));
}
