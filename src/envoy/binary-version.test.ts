// Version lines of real Envoys, and things that are no Envoy at all.

import { describe, expect, it } from 'vitest';
import { askEnvoyVersion, isSupportedEnvoy, parseEnvoyVersion } from './binary-version.ts';

const never = new AbortController().signal;

describe('parseEnvoyVersion', () => {
  it('reads releases and development builds', () => {
    const release = '\n/usr/bin/envoy  version: 9e5580933739775e8bce696a57a2e1bc99368f23/1.40.0/Clean/RELEASE/BoringSSL\n';
    expect(parseEnvoyVersion(release)).toBe('1.40.0');
    expect(parseEnvoyVersion('envoy  version: 0/1.41.0-dev/Modified/DEBUG/BoringSSL')).toBe('1.41.0-dev');
  });

  it('finds none in what other programs say', () => {
    expect(parseEnvoyVersion('git version 2.39.5')).toBeUndefined();
    expect(parseEnvoyVersion('')).toBeUndefined();
  });
});

describe('isSupportedEnvoy', () => {
  it.each([
    ['1.39.3', false],
    ['1.40.0', true],
    ['1.100.0', true],
    ['2.0.0', true],
    ['0.99.0', false],
  ])('%s: %s', (version, supported) => {
    expect(isSupportedEnvoy(version)).toBe(supported);
  });
});

describe('askEnvoyVersion', () => {
  it('tells a missing file from a program that is not Envoy', async () => {
    expect(await askEnvoyVersion('/nonexistent/envoy', never)).toMatchObject({ ok: false, why: expect.stringContaining('does not exist') });
    expect(await askEnvoyVersion(process.execPath, never)).toMatchObject({ ok: false, why: expect.stringContaining('like Envoy') });
  });

  it('stops when it is told to', async () => {
    await expect(askEnvoyVersion(process.execPath, AbortSignal.abort())).rejects.toThrow('abort');
  });
});
