// An image as one reference and as name and version: one becomes the other and back without a loss.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { imageOf, nameAndVersion } from './image-name.ts';

test.each([
  ['ghcr.io/github/github-mcp-server', '0.9', 'ghcr.io/github/github-mcp-server:0.9'],
  ['localhost:5000/server', '', 'localhost:5000/server'],
  ['server', 'sha256:abc', 'server@sha256:abc'],
  ['server:1', 'sha256:abc', 'server:1@sha256:abc'],
  ['npm:@scope/pkg', '1.2.3', 'npm:@scope/pkg@1.2.3'],
  ['npm:pkg', '1.2.3#bin', 'npm:pkg@1.2.3#bin'],
  ['pypi:pkg', '1.2.3', 'pypi:pkg==1.2.3'],
  ['exec:./a:b@c', '', 'exec:./a:b@c'],
  ['https://mcp.example.com:8443/a@b', '', 'https://mcp.example.com:8443/a@b'],
  ['', '', ''],
])('%s in version %j is %s, and back', (imageName, imageVersion, image) => {
  expect(imageOf(imageName, imageVersion)).toBe(image);
  expect(nameAndVersion(image)).toEqual({ imageName, imageVersion });
});

const word = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,8}$/);
const version = fc.stringMatching(/^[0-9][0-9A-Za-z.]{0,8}$/);
const registry = fc.constantFrom('', 'ghcr.io/', 'localhost:5000/', 'host:1/a/b/');
const images = fc.oneof(
  fc.tuple(registry, word, version).map(([host, name, tag]) => [`${host}${name}`, tag] as const),
  fc.tuple(registry, word, fc.stringMatching(/^[0-9a-f]{64}$/)).map(([host, name, hash]) => [`${host}${name}`, `sha256:${hash}`] as const),
  fc.tuple(fc.constantFrom('npm:', 'npm:@scope/', 'pypi:'), word, version).map(([kind, name, at]) => [`${kind}${name}`, at] as const),
  fc.tuple(registry, word).map(([host, name]) => [`${host}${name}`, ''] as const),
  word.map((path) => [`exec:./${path}`, ''] as const),
);

test('whatever the image, putting its parts together again gives the same', () => {
  fc.assert(
    fc.property(images, ([name, at]) => {
      const image = imageOf(name, at);
      expect(nameAndVersion(image)).toEqual({ imageName: name, imageVersion: at });
    }),
  );
});
