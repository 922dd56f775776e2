// Whether the Redis of the settings answers; its password is never shown.

import { createRedis } from '../../core/redis.ts';
import { type Finding, failure, ok } from './finding.ts';

/** @throws the signal's reason. */
export async function checkRedis(url: string, signal: AbortSignal): Promise<Finding> {
  const title = ['redis'] as const;
  const where = withoutPassword(url);
  let refuse = (_error: Error): void => {};
  const refused = new Promise<never>((_, reject) => {
    refuse = reject;
  });
  signal.addEventListener('abort', () => refuse(signal.reason as Error), { once: true });
  const redis = createRedis(url, { name: 'mcp-gateway-doctor', onError: (error) => refuse(error) });
  try {
    await Promise.race([refused, new Promise<void>((resolve) => redis.once('ready', () => resolve()))]);
    const asked = performance.now();
    await Promise.race([refused, redis.ping()]);
    return ok(title, `${where} answers PING in ${Math.max(1, Math.round(performance.now() - asked))} ms`);
  } catch (error) {
    signal.throwIfAborted();
    const { message } = error as Error;
    return failure(title, `${where}: ${message}`, adviceFor(message));
  } finally {
    redis.disconnect();
  }
}

function withoutPassword(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

function adviceFor(message: string): string {
  if (/WRONGPASS|NOAUTH|NOPERM|invalid password|without any password/i.test(message)) {
    return 'correct the user and password in redisUrl (REDIS_URL)';
  }
  if (/certificate|self.signed|SSL|TLS|EPROTO/i.test(message))
    return 'rediss:// is for Redis with TLS; NODE_EXTRA_CA_CERTS names a CA of your own';
  return 'start it, or correct host and port of redisUrl (REDIS_URL)';
}
