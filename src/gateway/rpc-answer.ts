// Finding the JSON-RPC answer to one request in what an instance sent back: a JSON body or an event stream.

import { mapSseData } from '../core/sse.ts';
import type { UpstreamAnswer } from './upstream.ts';

export const isEventStream = (answer: UpstreamAnswer): boolean =>
  String(answer.headers['content-type'] ?? '').startsWith('text/event-stream');

/** The `result` of the answer to `id`; undefined when it is an error, or missing. */
export function resultOf(answer: UpstreamAnswer, id: string): unknown {
  for (const text of messagesOf(answer)) {
    try {
      const message = JSON.parse(text) as { id?: unknown; result?: unknown };
      if (message.id === id) return message.result;
    } catch {
      // Not the answer: whatever it is, the caller asked for something else.
    }
  }
  return undefined;
}

function messagesOf(answer: UpstreamAnswer): string[] {
  if (!isEventStream(answer)) return [answer.body.toString()];
  const texts: string[] = [];
  mapSseData(answer.body, (data) => {
    texts.push(data.toString());
    return data;
  });
  return texts;
}
