// Whether a gateway could listen where the settings say, as long as none runs there.

import { createServer } from 'node:net';
import { formatAddress, type ListenAddress } from '../../config/settings-parsers.ts';
import { type Finding, failure, ok } from './finding.ts';

const ASK_TIMEOUT_MS = 2_000;

/** Listens for a moment. `check` is the name of the setting and of its option. */
export async function checkPort(check: 'listen' | 'admin', address: ListenAddress, signal: AbortSignal): Promise<Finding> {
  const title = [check] as const;
  const text = formatAddress(address);
  const another = `choose another address with --${check}`;
  const code = await tryToListen(address);
  switch (code) {
    case undefined:
      return ok(title, address.port === 0 ? `${text}: any free port` : `${text} is free`);
    case 'EADDRINUSE':
      if (await isGateway(text, signal)) {
        return failure(title, `${text} is in use by a gateway with another home`, `name its folder with --home, or ${another}`);
      }
      return failure(title, `${text} is in use by another program`, `stop it, or ${another}`);
    case 'EACCES':
      return failure(title, `${text} is not for you to listen on`, another);
    case 'EADDRNOTAVAIL':
      return failure(title, `${text} is no address of this machine`, another);
    default:
      return failure(title, `${text} cannot be listened on (${code})`, another);
  }
}

/** The code of the error, or undefined. */
function tryToListen({ host, port }: ListenAddress): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** Both addresses of a gateway answer so. */
async function isGateway(address: string, signal: AbortSignal): Promise<boolean> {
  try {
    const limit = AbortSignal.any([signal, AbortSignal.timeout(ASK_TIMEOUT_MS)]);
    const answer = await fetch(`http://${address}/healthz`, { redirect: 'error', signal: limit });
    return answer.ok && (await answer.text()) === '{"status":"alive"}';
  } catch {
    return false;
  }
}
