// Images of others are pinned by what a registry says of their tags, everywhere at once.

import { readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pinnedFiles } from '../scripts/images/pins.ts';
import { digestOf, imageNameOf } from '../scripts/images/registry.ts';

const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;
let registry: Server;
let base: string;
beforeAll(async () => {
  registry = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '', base);
    if (pathname === '/token') return response.end(JSON.stringify({ token: `for ${searchParams.get('scope')}` }));
    const [, repository] = /^\/v2\/(.+)\/manifests\/[\w.-]+$/.exec(pathname) ?? [];
    const scope = `repository:${repository}:pull`;
    if (repository === 'private/image') return response.writeHead(401, { 'www-authenticate': 'Basic' }).end();
    if (request.headers.authorization !== `Bearer for ${scope}`) {
      return response.writeHead(401, { 'www-authenticate': `Bearer realm="${base}/token",service="test",scope="${scope}"` }).end();
    }
    if (repository === 'gone/image') return response.writeHead(404).end();
    return response.writeHead(200, { 'docker-content-digest': DIGEST }).end();
  });
  await new Promise<void>((listening) => registry.listen(0, '127.0.0.1', listening));
  base = `http://127.0.0.1:${(registry.address() as AddressInfo).port}`;
});
afterAll(() => new Promise((closed) => registry.close(closed)));

describe('a registry', () => {
  test.each([
    ['node:24.1.0-slim', { registry: 'registry-1.docker.io', repository: 'library/node', tag: '24.1.0-slim' }],
    [
      'envoyproxy/envoy:distroless-v1.40.0',
      { registry: 'registry-1.docker.io', repository: 'envoyproxy/envoy', tag: 'distroless-v1.40.0' },
    ],
    ['gcr.io/distroless/nodejs24-debian12:nonroot', { registry: 'gcr.io', repository: 'distroless/nodejs24-debian12', tag: 'nonroot' }],
    ['localhost:5000/a/b:1', { registry: 'localhost:5000', repository: 'a/b', tag: '1' }],
  ])('of %s', (reference, name) => {
    expect(imageNameOf(reference)).toEqual(name);
  });

  test('says the digest to whoever asks with the token that it gives to anybody', async () => {
    expect(await digestOf('envoyproxy/envoy:distroless-v1.40.0', () => base)).toBe(DIGEST);
  });

  test.each([
    ['gone/image:1', 'gone/image:1: the registry answers 404, without a digest'],
    ['private/image:1', 'private/image:1: the registry wants a login'],
    ['node', 'node has no tag'],
  ])('for %s', async (reference, message) => {
    await expect(digestOf(reference, () => base)).rejects.toThrow(message);
  });
});

describe.each(pinnedFiles.map((pinned) => [pinned.file, pinned] as const))('%s', (file, { references, pin }) => {
  const text = readFileSync(resolve(import.meta.dirname, '..', file), 'utf8');

  test('gets a digest at every image of others, again and again', () => {
    const named = references(text);
    expect(named.length).toBeGreaterThan(0);
    const digests = (digest: string) => new Map(named.map((reference) => [reference, digest]));
    const pinned = pin(text, digests(DIGEST));
    expect(pinned.split(DIGEST).length - 1).toBe(named.length);
    expect(references(pinned)).toEqual(named);
    const other = `sha256:${'f'.repeat(64)}`;
    expect(pin(pinned, digests(other))).toBe(pinned.replaceAll(DIGEST, other));
  });

  test('is left as it is where nobody knows a digest', () => {
    expect(pin(text, new Map())).toBe(text);
  });
});
