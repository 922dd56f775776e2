// Which images the API may register: what is listed, with an exact version, and never a program of this machine.

import { describe, expect, test } from 'vitest';
import { parseImage } from '../config/image-reference.ts';
import { createImagePolicy } from './image-policy.ts';

const ALLOWED = ['npm:@acme/', 'npm:server', 'pypi:server', 'ghcr.io/acme/', 'ghcr.io/other/server', 'localhost:5000/own/'];

const refusal = (text: string, allowed: readonly string[] = ALLOWED): string | undefined => {
  const image = parseImage(text);
  if (typeof image === 'string') throw new Error(`${text} ${image}`);
  return createImagePolicy(allowed)(image);
};

test.each([
  'npm:@acme/server@1.2.3',
  'npm:@acme/server@1.2.3-beta.1',
  'npm:@acme/server@1.2.3#program',
  'npm:server@0.0.1',
  'pypi:server==1.2.3',
  'pypi:server==1.2rc1#script',
  'ghcr.io/acme/server:0.9',
  'ghcr.io/acme/server',
  'ghcr.io/acme/deep/er/server:0.9',
  `ghcr.io/acme/server:0.9@sha256:${'a'.repeat(64)}`,
  `ghcr.io/other/server@sha256:${'a'.repeat(64)}`,
  'localhost:5000/own/server:1',
  'localhost:5000/own/server',
])('%s may be registered', (text) => {
  expect(refusal(text)).toBeUndefined();
});

describe('outside of the list', () => {
  test.each([
    'npm:@acme-evil/server@1.2.3',
    'npm:@other/server@1.2.3',
    'npm:acme@1.2.3',
    'npm:server-evil@1.2.3',
    'npm:serve@1.2.3',
    'pypi:serverx==1.2.3',
    'pypi:other==1.2.3',
    'ghcr.io/acme:1',
    'ghcr.io/acme-evil/server:1',
    'ghcr.io/other/server2:1',
    'ghcr.io/other/server/more:1',
    'evil.example/ghcr.io/acme/server:1',
    'server:1',
    'localhost:5000/other/server:1',
  ])('%s', (text) => {
    expect(refusal(text)).toMatch(/is not among the images/);
    expect(refusal(text)).toContain('MCP_GATEWAY_ALLOWED_IMAGES');
  });
});

describe('without an exact version, although listed', () => {
  test.each([
    'npm:@acme/server',
    'npm:@acme/server@latest',
    'npm:@acme/server@^1.2.3',
    'npm:@acme/server@1.x',
    'npm:@acme/server@1.2',
    'npm:@acme/server@>=1.0.0',
    'npm:@acme/server@npm:@evil/server@1.2.3',
    'npm:@acme/server@git+https://evil.example/x.git',
    'npm:@acme/server@https://evil.example/x.tgz',
    'npm:@acme/../evil@1.2.3',
    'npm:@acme/server/../../evil@1.2.3',
    'npm:server@file:../x',
    'pypi:server',
    'pypi:server>=1.0',
    'pypi:server==1.*',
    'pypi:server==1.0,==2.0',
    'pypi:server[extra]==1.0',
    'pypi:server@https://evil.example/x.whl',
    'pypi:server==1.0;os_name=="posix"',
  ])('%s', (text) => {
    expect(refusal(text)).toMatch(/needs its exact version/);
  });
});

test.each(['exec:./server', 'exec:/bin/sh', 'exec:sh'])('%s never, whatever is listed', (text) => {
  for (const allowed of [ALLOWED, [text], ['exec:'], ['exec:./'], ['/']]) expect(refusal(text, allowed)).toMatch(/in files only/);
});

test('an empty list allows nothing', () => {
  for (const text of ['npm:@acme/server@1.2.3', 'pypi:server==1.2.3', 'ghcr.io/acme/server:1']) expect(refusal(text, [])).toBeTruthy();
});

test('one kind is not another', () => {
  expect(refusal('pypi:server==1.2.3', ['npm:server'])).toBeTruthy();
  expect(refusal('npm:server@1.2.3', ['pypi:server', 'server'])).toBeTruthy();
});
