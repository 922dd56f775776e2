// A pass-through between a client and the gateway that notes every exchange: what an unmodified client really sent, and was really told.

import { createServer, request as httpRequest } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Exchange {
  /** `tools/call`, or GET and DELETE. */
  readonly what: string;
  readonly status: number;
}

export interface RecordingProxy {
  /** The gateway's URL as seen from here. */
  url(gatewayUrl: string): string;
  readonly exchanges: readonly Exchange[];
  stop(): Promise<void>;
}

/** Everything is passed on as it comes, event streams too; a client that leaves is gone for the gateway at once. */
export async function startRecordingProxy(gatewayUrl: string): Promise<RecordingProxy> {
  const exchanges: Exchange[] = [];
  const target = new URL(gatewayUrl);
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    const onward = httpRequest(
      { host: target.hostname, port: target.port, method: request.method, path: request.url, headers: request.headers, agent: false },
      (answer) => {
        exchanges.push({ what: methodOf(Buffer.concat(chunks)) ?? request.method ?? '', status: answer.statusCode ?? 0 });
        response.writeHead(answer.statusCode ?? 0, answer.headers);
        answer.pipe(response);
        answer.on('error', () => response.destroy());
      },
    );
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: (url) => `http://127.0.0.1:${port}${new URL(url).pathname}`,
    exchanges,
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function methodOf(body: Buffer): string | undefined {
  return body.length === 0 ? undefined : (JSON.parse(body.toString()) as { method?: string }).method;
}
