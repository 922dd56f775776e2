// An in-memory store of sent SSE events, so that a legacy client can resume with Last-Event-ID.

import type { EventStore } from '@modelcontextprotocol/server';

/** @returns a store for one session; it keeps everything, because test sessions are short. */
export function createReplayStore(): EventStore {
  const events: { readonly id: string; readonly stream: string; readonly message: unknown }[] = [];
  return {
    async storeEvent(stream, message) {
      const id = `${stream}/${events.length}`;
      events.push({ id, stream, message });
      return id;
    },
    async getStreamIdForEventId(id) {
      return events.find((event) => event.id === id)?.stream;
    },
    async replayEventsAfter(lastId, { send }) {
      const last = events.findIndex((event) => event.id === lastId);
      const stream = events[last]?.stream ?? '';
      for (const event of events.slice(last + 1)) {
        const isPriming = Object.keys(event.message as object).length === 0;
        if (event.stream === stream && !isPriming) await send(event.id, event.message as Parameters<typeof send>[1]);
      }
      return stream;
    },
  };
}
