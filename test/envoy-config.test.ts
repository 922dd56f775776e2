// envoy/envoy.yaml as it stands, and as the local mode renders it: the real Envoy accepts both.

import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { type BootstrapOptions, renderBootstrap } from '../src/envoy/bootstrap.ts';
import { envoyBinary } from './setup/tools.ts';

const template = resolve(import.meta.dirname, '../envoy/envoy.yaml');
const DEPLOYED_CA = '/etc/ssl/certs/ca-certificates.crt';
let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'envoy-config-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** Rejects with what Envoy says. */
async function validate(file: string): Promise<void> {
  const { stdout, stderr } = await promisify(execFile)(envoyBinary(), [
    '--mode',
    'validate',
    '-c',
    file,
    '--log-level',
    'warning',
    '--disable-hot-restart',
  ]);
  expect(`${stdout}${stderr}`).toContain('OK');
}

const options = (over: Partial<BootstrapOptions> = {}): BootstrapOptions => ({
  listen: { host: '127.0.0.1', port: 0 },
  adminSocket: join(folder, 'admin.sock'),
  control: join(folder, 'control.sock'),
  sidecars: [
    { grpc: join(folder, '0.sock'), http: join(folder, '0-http.sock') },
    { grpc: join(folder, '1.sock'), http: join(folder, '1-http.sock') },
  ],
  caFile: writeCa(),
  ...over,
});

/** Any certificate will do: validation reads the file. */
function writeCa(): string {
  const file = join(folder, 'ca.crt');
  const certificate = readFileSync([DEPLOYED_CA, '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/cert.pem'].find(existsSync) ?? '', 'utf8');
  writeFileSync(file, certificate.slice(certificate.indexOf('-----BEGIN'), certificate.indexOf('-----END') + 26));
  return file;
}

interface Rendered {
  readonly admin: { address: { pipe: { path: string } } };
  readonly static_resources: {
    listeners: [{ address: { socket_address: unknown } }];
    clusters: { name: string; load_assignment?: unknown; transport_socket?: unknown }[];
  };
}

describe('the bootstrap', () => {
  // The only path of this machine in the deployed file; without it there, it is put where Envoy finds one.
  it('is valid as deployed', async () => {
    const file = join(folder, 'envoy.yaml');
    const text = readFileSync(template, 'utf8');
    writeFileSync(file, existsSync(DEPLOYED_CA) ? text : text.replaceAll(DEPLOYED_CA, writeCa()));
    await validate(file);
  });

  it.each([
    ['one sidecar', (all: BootstrapOptions) => ({ ...all, sidecars: all.sidecars.slice(0, 1) })],
    ['two sidecars', (all: BootstrapOptions) => all],
    ['IPv6', (all: BootstrapOptions) => ({ ...all, listen: { host: '::1', port: 8080 } })],
    ['some names only', (all: BootstrapOptions) => ({ ...all, hosts: ['localhost', '127.0.0.1', '[::1]', 'gw.lan'] })],
    ['beyond loopback', (all: BootstrapOptions) => ({ ...all, listen: { host: '0.0.0.0', port: 80 } })],
  ])('is valid as rendered for %s', async (_, change) => {
    const file = join(folder, 'envoy.json');
    writeFileSync(file, renderBootstrap(change(options())));
    await validate(file);
  });

  it('that is broken is refused: this test would notice', async () => {
    const file = join(folder, 'envoy.json');
    writeFileSync(file, renderBootstrap(options()).replace('"stat_prefix"', '"stat_prefixx"'));
    await expect(validate(file)).rejects.toThrow('stat_prefixx');
  });
});

describe('rendering', () => {
  const rendered = (over: Partial<BootstrapOptions> = {}) => JSON.parse(renderBootstrap(options(over))) as Rendered;

  it('puts in the address, the sockets and the CA file, and leaves no path of the deployment', () => {
    const text = renderBootstrap(options({ listen: { host: '127.0.0.1', port: 4321 } }));
    expect(text).not.toContain('/run/mcp-gateway');
    const { admin, static_resources } = JSON.parse(text) as Rendered;
    expect(admin.address.pipe.path).toBe(join(folder, 'admin.sock'));
    expect(static_resources.listeners[0].address.socket_address).toEqual({ address: '127.0.0.1', port_value: 4321 });
    const socketsOf = (name: string) => JSON.stringify(static_resources.clusters.find((cluster) => cluster.name === name)?.load_assignment);
    for (const n of [0, 1]) {
      expect(socketsOf('policy')).toContain(`"${join(folder, `${n}.sock`)}"`);
      expect(socketsOf('recovery')).toContain(`"${join(folder, `${n}-http.sock`)}"`);
    }
    for (const { transport_socket } of static_resources.clusters) {
      if (transport_socket) expect(JSON.stringify(transport_socket)).toContain(join(folder, 'ca.crt'));
    }
  });

  it('changes nothing else of the clusters', () => {
    const names = (bootstrap: Rendered) => bootstrap.static_resources.clusters.map(({ name }) => name);
    const deployed = parse(readFileSync(template, 'utf8'), { maxAliasCount: -1 }) as Rendered;
    expect(names(rendered())).toEqual(names(deployed));
  });
});
