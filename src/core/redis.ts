// How a connection to Redis is made: it fails fast, reconnects by itself for ever, and never shows its password.

import { Redis } from 'ioredis';

/** For TCP and TLS together; the handshake after it is covered by `SILENCE_MS`. */
const CONNECT_TIMEOUT_MS = 2_000;
/** A server that owes an answer and sends nothing for so long is gone: its commands fail and the connection is made anew. */
const SILENCE_MS = 2_000;
const FIRST_RETRY_MS = 50;
const LONGEST_RETRY_MS = 2_000;
const LONGEST_LOADING_MS = 2_000;
/** Finds peers that vanished without a word, on connections where nothing is asked. */
const KEEP_ALIVE_MS = 10_000;

export interface RedisConnectionOptions {
  /** Shown by `CLIENT LIST`: letters, digits and "-". */
  readonly name: string;
  /** Every failure of the connection, also each vain attempt to reconnect. The error holds no secret and no command. */
  readonly onError?: (error: Error) => void;
  /** For subscriptions: they wait for the connection, and are made again by themselves after a reconnect. */
  readonly subscriber?: boolean;
}

/**
 * Connects in the background. While there is no connection a command rejects at once (a subscriber's waits), one that was sent and got no
 * answer rejects when the connection ends, at the latest after `SILENCE_MS`, and is never sent again. End it with `disconnect()`.
 *
 * @throws Error without the URL in it, when the URL cannot be read
 */
export function createRedis(url: string, { name, onError, subscriber = false }: RedisConnectionOptions): Redis {
  const redis = open(url, name, subscriber);
  // Without a listener ioredis writes each error to the console.
  redis.on('error', (error: Error) => {
    // A refused login carries its command, and so the password; the same object is what waiting commands are rejected with.
    delete (error as { command?: unknown }).command;
    onError?.(withoutDetails(error));
  });
  return redis;
}

function open(url: string, name: string, subscriber: boolean): Redis {
  try {
    return new Redis(url, {
      connectionName: name,
      connectTimeout: CONNECT_TIMEOUT_MS,
      socketTimeout: SILENCE_MS,
      maxLoadingRetryTime: LONGEST_LOADING_MS,
      keepAlive: KEEP_ALIVE_MS,
      enableOfflineQueue: subscriber,
      // A command that lost its connection may have been executed: only the caller knows whether it may be repeated.
      autoResendUnfulfilledCommands: subscriber,
      maxRetriesPerRequest: subscriber ? null : 0,
      autoResubscribe: true,
      disableClientInfo: true,
      retryStrategy,
      // After a failover the old primary answers so; its name then leads to the new one.
      reconnectOnError: (error) => error.message.includes('READONLY'),
    });
  } catch {
    // The URL's own error quotes it, with the password.
    throw new Error('the Redis URL cannot be read: it looks like redis://user:password@host:6379/0, or rediss:// for TLS');
  }
}

/** Doubles up to two seconds, with jitter, so that a fleet does not come back in step. */
function retryStrategy(times: number): number {
  const longest = Math.min(FIRST_RETRY_MS * 2 ** Math.min(times - 1, 10), LONGEST_RETRY_MS);
  return Math.round(longest * (0.5 + Math.random() / 2));
}

/** An address with several families fails with an error of errors, whose own message is empty. */
function withoutDetails(error: Error & { code?: unknown }): Error {
  return new Error(error.message || String(error.code ?? error.name));
}
