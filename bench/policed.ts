// The gateway with everything that a fleet with tenants has: an issuer, rules on tools, and three quotas that are counted on Redis.

import { join } from 'node:path';
import { startIssuer } from '../test/harness/issuer.ts';
import { BACKEND, type Gateway, type GatewayOptions, startGateway } from './gateway.ts';
import type { Target } from './mcp-calls.ts';
import { type BenchRedis, startRedis } from './redis.ts';

const SUBJECTS = 8;
/** Longer than any run: each token is verified once, as in a fleet whose clients come again and again. */
const TOKEN_SECONDS = 24 * 3600;
/** Never used up. */
const REQUESTS = 1_000_000_000;

export interface Policed {
  readonly gateway: Gateway;
  readonly target: Target;
  readonly redis: BenchRedis;
  stop(): Promise<void>;
}

export interface PolicedOptions extends Pick<GatewayOptions, 'binary' | 'folder' | 'dist' | 'settings'> {
  readonly progress: (line: string) => void;
}

/** A gateway of its own with an issuer and a Redis of its own; its pods run the same program as those of the others. */
export async function startPoliced({ progress, ...options }: PolicedOptions, signal: AbortSignal): Promise<Policed> {
  const issuer = await startIssuer();
  let redis: BenchRedis | undefined;
  try {
    redis = await startRedis(join(options.folder, 'redis'), signal, progress);
    const gateway = await startGateway(
      {
        ...options,
        access: { tenants: ['engineering'], tools: { allow: ['echo', 'search_*', 'read_*'], deny: ['*delete*'] } },
        tenants: [tenantOf(issuer.issuer)],
        env: { ...issuer.env, REDIS_URL: redis.url },
      },
      signal,
    );
    const tokens = Array.from({ length: SUBJECTS }, (_, number) => issuer.token(`user-${number}`, claims(number)));
    return {
      gateway,
      target: { port: gateway.port, path: gateway.path, tokens },
      redis,
      async stop() {
        await gateway.stop();
        await redis?.stop();
        await issuer.stop();
      },
    };
  } catch (error) {
    await redis?.stop();
    await issuer.stop();
    throw error;
  }
}

function tenantOf(issuer: string) {
  return {
    apiVersion: 'mcpgateway.dev/v1alpha1',
    kind: 'MCPTenant',
    metadata: { name: 'engineering' },
    spec: {
      match: [{ issuer, claim: 'groups', values: ['platform', 'engineering'] }],
      tools: { allow: ['*'], deny: ['drop_*', 'set_*'] },
      quotas: [
        { requests: REQUESTS, per: '1h' },
        { requests: REQUESTS, per: '1m', backend: BACKEND, tool: 'ec*' },
        { requests: REQUESTS, per: '1m', scope: 'subject' },
      ],
    },
  };
}

/** As many claims as real issuers put into a token: its length is read, hashed and compared with every request. */
function claims(number: number): Readonly<Record<string, unknown>> {
  const iat = Math.floor(Date.now() / 1000);
  return {
    exp: iat + TOKEN_SECONDS,
    auth_time: iat,
    jti: `0c1ff7a2-98f3-4c8f-9d6c-0f3f4f5e77${number}1`,
    sid: `a73a5b6e-4d8e-4bb0-93d7-6a20f6d1f0${number}2`,
    azp: 'mcp-client',
    scope: 'openid profile email offline_access mcp:use',
    name: `Somebody Number ${number}`,
    preferred_username: `somebody.number.${number}@example.com`,
    email: `somebody.number.${number}@example.com`,
    groups: ['everyone', 'engineering', 'on-call', 'office-berlin'],
    roles: ['developer', 'reader'],
  };
}
