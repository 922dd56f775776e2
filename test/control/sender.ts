// Sends requests byte by byte as they were made, over connections that are kept.

import { Agent, type IncomingMessage, request } from 'node:http';
import type { RandomRequest } from './random-requests.ts';

const TIMEOUT_MS = 20_000;

/** What is answered. The text of what does not end by itself is not waited for. */
export interface SentAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string | undefined;
}

export interface Sender {
  send(random: RandomRequest): Promise<SentAnswer>;
  close(): void;
}

export function createSender(base: string): Sender {
  const agent = new Agent({ keepAlive: true, maxSockets: 4 });
  const send: Sender['send'] = ({ method, target, headers, body }) =>
    new Promise((resolve, reject) => {
      const onAnswer = (answer: IncomingMessage): void => {
        const { statusCode: status = 0, headersDistinct } = answer;
        const said = new Headers(
          Object.entries(headersDistinct).flatMap(([name, values = []]) => values.map((value) => [name, value] as [string, string])),
        );
        if (target.includes('follow=')) {
          answer.destroy();
          resolve({ status, headers: said, text: undefined });
          return;
        }
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.once('error', reject);
        answer.once('end', () => resolve({ status, headers: said, text: Buffer.concat(chunks).toString('utf8') }));
      };
      const length = body && { 'content-length': String(body.length) };
      const { hostname: host, port } = new URL(base);
      const sent = request({ host, port, agent, method, path: target, headers: { ...headers, ...length }, timeout: TIMEOUT_MS }, onAnswer);
      sent.once('timeout', () => sent.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
      sent.on('error', reject);
      sent.end(body);
    });
  return { send, close: () => agent.destroy() };
}
