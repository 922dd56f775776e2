// What a server process may see of the gateway's environment.

import { expect, it } from 'vitest';
import { inheritedEnvironment, installerEnvironment, withPort } from './environment.ts';

const gateway = {
  PATH: '/bin',
  HOME: '/home/me',
  LANG: 'C.UTF-8',
  LC_ALL: 'C.UTF-8',
  TZ: 'UTC',
  https_proxy: 'http://proxy',
  NODE_EXTRA_CA_CERTS: '/ca.pem',
  NODE_OPTIONS: '--require=/evil.js',
  LD_PRELOAD: '/evil.so',
  MCP_GATEWAY_HOME: '/x',
  REDIS_URL: 'redis://:secret@x',
  AWS_SECRET_ACCESS_KEY: 'secret',
  npm_config_cache: '/cache',
  PIP_CERT: '/ca.pem',
  GONE: undefined,
};
const common = ['HOME', 'LANG', 'LC_ALL', 'NODE_EXTRA_CA_CERTS', 'PATH', 'TZ', 'https_proxy'];

it('is a short list for servers', () => {
  expect(Object.keys(inheritedEnvironment(gateway)).sort()).toEqual(common.toSorted());
});

it('has the places of packages for installers', () => {
  expect(Object.keys(installerEnvironment(gateway)).sort()).toEqual([...common, 'PIP_CERT', 'npm_config_cache'].sort());
});

it('replaces every $(PORT) and nothing else', () => {
  expect(withPort('--a=$(PORT) $(PORT) $PORT $(port)', 81)).toBe('--a=81 81 $PORT $(port)');
});
