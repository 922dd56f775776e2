// The supervisor's unix socket: every sidecar connects here for the directory, the session store, and the keys.

import { rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { MetricObjectWithValues, MetricValue } from 'prom-client';
import { createMessageConnection, type MessageConnection, SocketMessageReader, SocketMessageWriter } from 'vscode-jsonrpc/node';
import { within } from '../core/within.ts';
import type { Directory } from '../directory/directory.ts';
import { isFollowed, publishDirectory } from '../directory/directory-link.ts';
import { serveLimits } from '../quota/limits-link.ts';
import type { QuotaStore } from '../quota/quota-store.ts';
import { ringDocument } from '../session/key-file.ts';
import type { RingKey } from '../session/key-ring.ts';
import type { MemoryStore } from '../session/memory-store.ts';
import { serveStore } from '../session/store-link.ts';
import type { UseCounts } from './use-counts.ts';

/** A sidecar that does not answer a question about its numbers in time is left out. */
const ANSWER_TIMEOUT_MS = 2_000;
/** One that hangs must not hold up those who change something; it is told of the change all the same. */
const SEEN_TIMEOUT_MS = 1_000;

export type MetricsDocument = MetricObjectWithValues<MetricValue<string>>[];

export interface LinkServer {
  /** Names of the sidecars that are ready. */
  readonly ready: () => ReadonlySet<string>;
  /** Tells all sidecars of changed keys. */
  publishKeys(keys: readonly RingKey[]): void;
  /** Tells all sidecars, also those that come later, on which port Envoy listens. */
  publishPort(port: number): void;
  /** The numbers of every sidecar that answers. */
  metrics(): Promise<MetricsDocument[]>;
  /** What every sidecar that answers has sent where. */
  uses(): Promise<UseCounts[]>;
  /** Resolves when all sidecars decide by what the directory says now; bounded. */
  seen(): Promise<void>;
  /** Sends all sidecars away at once: nothing reaches them any more. */
  dismiss(): void;
  close(): Promise<void>;
}

export interface LinkServerOptions {
  readonly socket: string;
  readonly directory: Directory;
  /** Undefined where Redis keeps the sessions and limits. */
  readonly local: { readonly store: MemoryStore; readonly quotas: QuotaStore } | undefined;
  readonly keys: readonly RingKey[];
  readonly onReady: () => void;
  /** A request waits for an instance of this backend. */
  readonly onWanted?: ((backend: string) => void) | undefined;
}

export async function startLinkServer({ socket, directory, local, keys, onReady, onWanted }: LinkServerOptions): Promise<LinkServer> {
  const connections = new Map<MessageConnection, string | undefined>();
  let ring = keys;
  let listenPort: number | undefined;
  const server = createServer((incoming) => {
    const connection = createMessageConnection(new SocketMessageReader(incoming), new SocketMessageWriter(incoming));
    connections.set(connection, undefined);
    connection.onClose(() => {
      connections.delete(connection);
      connection.dispose();
    });
    connection.onError(() => incoming.destroy());
    connection.onNotification('sidecar/ready', (name: string) => {
      connections.set(connection, name);
      onReady();
    });
    if (onWanted) connection.onNotification('backend/wanted', onWanted);
    connection.listen();
    void connection.sendNotification('keys/ring', ringDocument(ring)).catch(() => {});
    if (listenPort !== undefined) void connection.sendNotification('gateway/port', listenPort).catch(() => {});
    if (local) {
      serveStore(connection, local.store);
      serveLimits(connection, local.quotas);
    }
    publishDirectory(connection, directory);
  });
  rmSync(socket, { force: true });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(socket, () => resolve());
  });

  const askAll = async <Answer>(question: string): Promise<Answer[]> => {
    const answers = [...connections].map(([connection, name]) =>
      name === undefined
        ? Promise.resolve(undefined)
        : within(connection.sendRequest(question) as Promise<Answer>, ANSWER_TIMEOUT_MS).catch(() => undefined),
    );
    return (await Promise.all(answers)).filter((answer) => answer !== undefined);
  };

  return {
    ready: () => new Set([...connections.values()].filter((name) => name !== undefined)),
    publishKeys(next) {
      ring = next;
      for (const connection of connections.keys()) void connection.sendNotification('keys/ring', ringDocument(next)).catch(() => {});
    },
    publishPort(port) {
      listenPort = port;
      for (const connection of connections.keys()) void connection.sendNotification('gateway/port', port).catch(() => {});
    },
    metrics: () => askAll<MetricsDocument>('sidecar/metrics'),
    uses: () => askAll<UseCounts>('sidecar/uses'),
    async seen() {
      const ready = [...connections].flatMap(([connection, name]) => (name === undefined ? [] : [connection]));
      await Promise.all(ready.map((connection) => within(isFollowed(connection), SEEN_TIMEOUT_MS).catch(() => {})));
    },
    dismiss() {
      for (const connection of connections.keys()) void connection.sendNotification('sidecar/dismiss').catch(() => {});
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const connection of connections.keys()) connection.end();
      }),
  };
}
