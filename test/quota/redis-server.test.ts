// The test harness's own Redis, and how our connection to it behaves when it fails.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRedis } from '../../src/core/redis.ts';
import { type RedisServer, startRedis } from '../harness/redis.ts';
import { waitFor } from '../harness/wait-for.ts';

const PASSWORD = 'a secret that is nowhere else';
let server: RedisServer;
beforeAll(async () => {
  server = await startRedis({ password: PASSWORD });
});
afterAll(() => server.stop());

/** A connection that notes what it was told, and is ended with the test. */
async function withConnection(
  url: string,
  run: (redis: ReturnType<typeof createRedis>, errors: Error[]) => Promise<void>,
  subscriber = false,
): Promise<void> {
  const errors: Error[] = [];
  const redis = createRedis(url, { name: 'test', subscriber, onError: (error) => errors.push(error) });
  try {
    await run(redis, errors);
  } finally {
    redis.disconnect();
  }
}
const isReady = (redis: ReturnType<typeof createRedis>) => waitFor('a connection', () => redis.status === 'ready', { timeoutMs: 20_000 });

describe('a connection to Redis', () => {
  it('works, and has a name', () =>
    withConnection(server.url, async (redis) => {
      await isReady(redis);
      expect(await redis.ping()).toBe('PONG');
      expect(await server.ask('client', 'list')).toContain('name=test');
    }));

  it('rejects at once while there is none, and comes back by itself', () =>
    withConnection(server.url, async (redis, errors) => {
      await isReady(redis);
      await server.kill();
      await waitFor('the loss of the connection', () => redis.status !== 'ready');
      await expect(redis.ping()).rejects.toThrow(/writeable|closed/);
      await waitFor('a vain attempt', () => errors.length > 0);
      await server.restart();
      await isReady(redis);
      expect(await redis.ping()).toBe('PONG');
    }));

  it('rejects what a silent server owes, and recovers when it speaks again', () =>
    withConnection(server.url, async (redis) => {
      await isReady(redis);
      server.pause();
      try {
        await expect(redis.ping()).rejects.toThrow(/max retries/);
      } finally {
        server.resume();
      }
      await isReady(redis);
      expect(await redis.ping()).toBe('PONG');
    }));

  it('that subscribes waits for its server, and subscribes again after a loss', () =>
    withConnection(
      server.url,
      async (redis) => {
        await server.kill();
        const heard: string[] = [];
        redis.on('message', (_channel, message) => heard.push(message));
        const subscribed = redis.subscribe('news');
        await server.restart();
        await subscribed;
        const hears = (text: string) =>
          waitFor(text, async () => {
            await server.ask('publish', 'news', text);
            return heard.includes(text);
          });
        await hears('one');
        await server.restart();
        await hears('two');
      },
      true,
    ));

  it('never shows the password', async () => {
    const wrong = server.url.replace(encodeURIComponent(PASSWORD), 'another-secret');
    await withConnection(
      wrong,
      async (redis, errors) => {
        const waiting = redis.subscribe('news').catch((error: unknown) => error);
        await waitFor('a refusal', () => errors.length > 0);
        expect(errors[0]?.message).toMatch(/WRONGPASS/);
        redis.disconnect();
        const seen = [...errors, await waiting].map((error) => JSON.stringify([error, { ...(error as object) }, String(error)]));
        expect(seen.join('\n')).not.toContain('another-secret');
      },
      true,
    );
    expect(() => createRedis('redis://:another-secret@[not an address', { name: 'test' })).toThrow(/cannot be read/);
  });
});
