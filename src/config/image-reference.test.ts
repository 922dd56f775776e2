// What spec.image may say.

import { describe, expect, it } from 'vitest';
import { parseImage } from './image-reference.ts';

describe('parseImage', () => {
  it.each([
    ['npm:@scope/pkg@1.2.3', '@scope/pkg@1.2.3', undefined],
    ['npm:pkg', 'pkg', undefined],
    ['npm:pkg@1#tool', 'pkg@1', 'tool'],
    ['npm:./local', './local', undefined],
    ['npm:file:../x.tgz#tool', 'file:../x.tgz', 'tool'],
    ['npm:github:user/repo#v1', 'github:user/repo#v1', undefined],
    ['npm:github:user/repo#v1#tool', 'github:user/repo#v1', 'tool'],
  ])('reads %s', (text, spec, bin) => {
    expect(parseImage(text)).toEqual({ kind: 'npm', text, spec, bin });
  });

  it.each([
    ['pypi:pkg==1.2.3', 'pkg==1.2.3', undefined],
    ['pypi:pkg[cli]==1.2.3#run', 'pkg[cli]==1.2.3', 'run'],
  ])('reads %s', (text, spec, bin) => {
    expect(parseImage(text)).toEqual({ kind: 'pypi', text, spec, bin });
  });

  it.each(['exec:./server', 'exec:/usr/bin/node', 'exec:node'])('reads %s', (text) => {
    expect(parseImage(text)).toEqual({ kind: 'exec', text, path: text.slice(5) });
  });

  it.each(['ghcr.io/github/github-mcp-server:0.9', 'localhost:5000/a/b', 'nginx', `a/b@sha256:${'0'.repeat(64)}`])(
    'takes %s for a container image',
    (text) => {
      expect(parseImage(text)).toEqual({ kind: 'oci', text });
    },
  );

  // A leading dash would be an option for npm or pip: `npm install --registry=…`.
  it.each([
    'npm:',
    'npm:--registry=http://x',
    'pypi:-r',
    'exec:',
    'npm:a b',
    'npm:a#../b',
    'Npm:x',
    'http://x/y',
    'docker://x',
    '/bin/sh',
    '',
  ])('refuses %j', (text) => {
    expect(parseImage(text)).toBeTypeOf('string');
  });
});
