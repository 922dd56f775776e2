// A fleet: several complete gateways that share one Redis, one key file, one folder of resources and one issuer.

import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Gateway, MAIN, startGateway } from './gateway.ts';
import { startIssuer, type TestIssuer } from './issuer.ts';
import { type RedisServer, startRedis } from './redis.ts';
import { backend } from './resource.ts';
import { tenant } from './tenant.ts';

type Spec = Readonly<Record<string, unknown>>;

const COMMAND_TIMEOUT_MS = 30_000;

export interface FleetOptions {
  /** Of each gateway. */
  readonly workers: number;
  /** MCPBackends by name; all tenants may use them. */
  readonly backends: Readonly<Record<string, Spec>>;
  /** MCPTenants by name; a caller of one is made by `caller`. */
  readonly tenants: Readonly<Record<string, Spec>>;
  /** More environment of the gateway with this number. */
  readonly env?: (index: number) => Readonly<Record<string, string>>;
}

export interface Fleet {
  readonly redis: RedisServer;
  readonly issuer: TestIssuer;
  /** In the order of their start: two at first. */
  readonly gateways: readonly Gateway[];
  readonly a: Gateway;
  readonly b: Gateway;
  /** The header of a caller who belongs to the tenant. */
  caller(tenant: string, subject?: string): Readonly<Record<string, string>>;
  /** Adds or replaces a tenant's file, in one step. */
  putTenant(name: string, spec: Spec): void;
  /** One more gateway. */
  add(): Promise<Gateway>;
  sidecarPids(): number[];
  /** Series of `/metrics` by name and labels, added up over all gateways. */
  metrics(): Promise<ReadonlyMap<string, number>>;
  stop(): Promise<void>;
}

/** Starts two gateways at the same moment. @throws when something does not start; then nothing is left. */
export async function startFleet({ workers, backends, tenants, env = () => ({}) }: FleetOptions): Promise<Fleet> {
  const folder = mkdtempSync(join(tmpdir(), 'fleet-'));
  const resources = join(folder, 'resources');
  mkdirSync(resources);
  const gateways: Gateway[] = [];
  const redis = await startRedis();
  const issuer = await startIssuer();

  const write = (file: string, content: string): void => {
    writeFileSync(join(folder, file), content);
    renameSync(join(folder, file), join(resources, file));
  };
  const putTenant = (name: string, spec: Spec): void => {
    const match = [{ issuer: issuer.issuer, claim: 'groups', values: [name] }];
    const { file, yaml } = tenant(name, { match, ...spec });
    write(file, yaml);
  };

  let started = 0;
  const start = (): Promise<Gateway> => {
    const own = env(started);
    started += 1;
    return startGateway({
      workers,
      args: ['--resources', resources],
      env: { ...issuer.env, REDIS_URL: redis.url, MCP_GATEWAY_KEY_FILE: join(folder, 'keys.json'), ...own },
    });
  };

  const stop = async (): Promise<void> => {
    const stopped = await Promise.allSettled(gateways.map((gateway) => gateway.stop()));
    await Promise.all([redis.stop(), issuer.stop()]);
    rmSync(folder, { recursive: true, force: true });
    const failed = stopped.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason;
  };

  for (const [name, spec] of Object.entries(backends)) {
    write(`${name}.yaml`, JSON.stringify(backend(name, { access: { tenants: ['*'] }, ...spec })));
  }
  for (const [name, spec] of Object.entries(tenants)) putTenant(name, spec);
  const outcomes = await Promise.allSettled([start(), start()]);
  gateways.push(...outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : [])));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed) {
    await stop();
    throw failed.reason;
  }

  return {
    ...{ redis, issuer, gateways, a: gateways[0] as Gateway, b: gateways[1] as Gateway, putTenant, stop },
    caller: (name, subject = 'ann') => issuer.bearer(subject, { groups: [name] }),
    async add() {
      const gateway = await start();
      gateways.push(gateway);
      return gateway;
    },
    sidecarPids: () => gateways.flatMap((gateway) => gateway.sidecarPids()),
    async metrics() {
      const series = new Map<string, number>();
      for (const text of await Promise.all(gateways.map(async ({ admin }) => (await fetch(`${admin}/metrics`)).text()))) {
        for (const [, name = '', value] of text.matchAll(/^([a-z_]+(?:\{.*\})?) (\S+)$/gm)) {
          series.set(name, (series.get(name) ?? 0) + Number(value));
        }
      }
      return series;
    },
  };
}

/** Runs `mcp-gateway` as an administrator of one gateway does. Rejects when it fails. @returns what it printed. */
export function runCommand(gateway: Gateway, ...args: readonly string[]): Promise<string> {
  const env = { PATH: process.env['PATH'], HOME: gateway.home, MCP_GATEWAY_HOME: gateway.home };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [MAIN, ...args], { env, timeout: COMMAND_TIMEOUT_MS }, (error, stdout, stderr) => {
      if (error) reject(new Error(`${error.message}\n${stderr}`));
      else resolve(stdout);
    });
  });
}
