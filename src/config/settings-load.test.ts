// Precedence, complete error reports, and the rule that nobody else reaches a gateway without tokens.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { settingsTable } from './settings.ts';
import { loadSettings, SettingsError, type SettingsSources } from './settings-load.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'settings-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function load(over: Partial<SettingsSources> = {}) {
  return loadSettings({ flags: {}, configFile: undefined, env: { HOME: '/home/me' }, workingDir: folder, ...over });
}

function problemsOf(over: Partial<SettingsSources>): readonly string[] {
  try {
    load(over);
  } catch (error) {
    if (error instanceof SettingsError) return error.problems;
    throw error;
  }
  throw new Error('the settings were accepted');
}

function gatewayYaml(content: string, name = 'gateway.yaml'): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

describe('defaults', () => {
  it('are complete, and frozen through and through', () => {
    const { settings, warnings } = load();
    expect(settings).toEqual({
      listen: { host: '127.0.0.1', port: 8080 },
      admin: { host: '127.0.0.1', port: 8081 },
      home: '/home/me/.mcp-gateway',
      resources: '/home/me/.mcp-gateway/resources',
      workers: 1,
      envoyConcurrency: 2,
      envoyBin: undefined,
      cacheDir: '/home/me/.cache/mcp-gateway',
      logLevel: 'info',
      logFile: undefined,
      publicUrl: undefined,
      allowedHosts: [],
      allowedOrigins: undefined,
      issuers: [],
      adminRoles: ['mcp.admin'],
      operatorRoles: ['mcp.operator'],
      viewerRoles: ['mcp.viewer'],
      allowedImages: [],
      redisUrl: undefined,
      keyFile: '/home/me/.mcp-gateway/keys.json',
      trustedProxies: 0,
      auditLog: undefined,
      urlAllowList: [],
      onRevocationOutage: undefined,
      tlsCertFile: undefined,
      tlsKeyFile: undefined,
      namespace: 'mcp',
      gatewayNamespace: 'mcp-gateway',
      probes: { host: '0.0.0.0', port: 8083 },
      controllerUrl: undefined,
      controllerTokenFile: '/var/run/secrets/mcp-gateway/token',
      controlListen: { host: '0.0.0.0', port: 8082 },
      runnerImage: undefined,
      drainGraceMs: 600_000,
      drainIdleMs: 30_000,
      drainTimeoutMs: 10_000,
    });
    expect(warnings).toEqual([]);
    for (const value of [settings, settings.listen, settings.allowedHosts]) expect(Object.isFrozen(value)).toBe(true);
  });

  it('follow home and the XDG cache folder', () => {
    const { settings } = load({ flags: { home: 'state' }, env: { HOME: '/home/me', XDG_CACHE_HOME: '/var/cache' } });
    expect(settings.resources).toBe(join(folder, 'state/resources'));
    expect(settings.cacheDir).toBe('/var/cache/mcp-gateway');
  });

  it('stand in rows with a variable and a sentence', () => {
    for (const [name, row] of Object.entries(settingsTable)) {
      expect(`${row.env} ${row.doc}`, name).toMatch(/^(MCP_GATEWAY_[A-Z_]+|ENVOY_BIN|REDIS_URL) [A-Z].*\.$/);
    }
  });
});

describe('precedence', () => {
  it('is flag, environment, gateway.yaml, default', () => {
    const configFile = gatewayYaml('workers: 2\ndrainTimeoutMs: 2\nlogLevel: warn\n');
    const env = { MCP_GATEWAY_WORKERS: '3', MCP_GATEWAY_DRAIN_TIMEOUT_MS: '3' };
    const { settings } = load({ flags: { workers: '4' }, env, configFile });
    expect(settings).toMatchObject({ workers: 4, drainTimeoutMs: 3, logLevel: 'warn', envoyConcurrency: 2 });
  });

  it('takes an empty variable for one that is not set', () => {
    expect(load({ env: { MCP_GATEWAY_WORKERS: '' } }).settings.workers).toBe(1);
  });

  it('takes the file that the environment names, and paths in it relative to it', () => {
    mkdirSync(join(folder, 'etc'));
    gatewayYaml('resources: ./backends\nhome: ~/gateway\n', 'etc/gateway.yaml');
    const { settings } = load({ env: { HOME: '/home/me', MCP_GATEWAY_CONFIG: 'etc/gateway.yaml' } });
    expect(settings).toMatchObject({ resources: join(folder, 'etc/backends'), home: '/home/me/gateway' });
  });
});

describe('mistakes', () => {
  it('are reported all at once, each with where it stands', () => {
    const configFile = gatewayYaml('workerz: 2\nlogLevel: loud\nallowedHosts: [a b]\n');
    const env = { MCP_GATEWAY_LISTEN: 'example.com:80', MCP_GATEWAY_PUBLIC_URL: 'https://me:secret@mcp.example.com' };
    const problems = problemsOf({ configFile, env, flags: { workers: '0' } });
    expect(problems).toEqual([
      `${configFile}: workerz is not a setting`,
      'MCP_GATEWAY_LISTEN must be HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080',
      '--workers must be a whole number from 1 to 64',
      `${configFile}: logLevel must be one of trace, debug, info, warn, error, fatal, silent`,
      'MCP_GATEWAY_PUBLIC_URL must be a URL such as https://mcp.example.com',
      `${configFile}: allowedHosts must be host names such as mcp.example.com or mcp.example.com:8443`,
    ]);
  });

  it('in the file itself are one line each', () => {
    expect(problemsOf({ configFile: 'missing.yaml' })).toEqual([`${join(folder, 'missing.yaml')}: there is no such file`]);
    expect(problemsOf({ configFile: gatewayYaml('- a list\n') })[0]).toMatch(/must be a map of settings$/);
    expect(problemsOf({ configFile: gatewayYaml('workers: 1\nworkers: 2\n') })[0]).toMatch(/Map keys must be unique/);
    expect(problemsOf({ configFile: gatewayYaml('workers: [') })).toHaveLength(1);
    expect(problemsOf({ configFile: gatewayYaml(`# ${'x'.repeat(1024 * 1024)}`) })[0]).toMatch(/is larger than/);
  });

  it('in the name of a variable are only a warning', () => {
    expect(load({ env: { MCP_GATEWAY_LISTN: 'x' } }).warnings).toEqual(['MCP_GATEWAY_LISTN is not a setting of this version']);
  });
});

describe('without tokens', () => {
  it.each(['0.0.0.0:8080', '192.168.1.2:8080', '[::]:8080', '[::ffff:10.0.0.1]:80'])('%s is refused for both listeners', (address) => {
    expect(problemsOf({ flags: { listen: address } })).toEqual([
      expect.stringMatching(/open to other machines without asking for a token/),
    ]);
    expect(problemsOf({ flags: { admin: address } })).toEqual([expect.stringMatching(/open to other machines/)]);
  });

  it.each([
    ['localhost:0', '127.0.0.1', 0],
    ['127.1.2.3:9', '127.1.2.3', 9],
    ['[::1]:65535', '::1', 65_535],
  ])('%s is fine', (address, host, port) => {
    expect(load({ flags: { listen: address } }).settings.listen).toEqual({ host, port });
  });

  it('both listeners cannot have one address, unless free ports are picked', () => {
    expect(problemsOf({ flags: { listen: '127.0.0.1:9000', admin: 'localhost:9000' } })).toHaveLength(1);
    expect(load({ flags: { listen: '127.0.0.1:0', admin: '127.0.0.1:0' } }).settings.admin.port).toBe(0);
  });
});
