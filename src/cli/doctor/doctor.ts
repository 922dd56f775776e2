// `mcp-gateway doctor`: which checks there are, what they wait for, and in which order their findings are told.

import { readAnnouncement } from '../../app/announcement.ts';
import type { Settings } from '../../config/settings.ts';
import type { LoadedSettings } from '../../config/settings-load.ts';
import { formatAddress } from '../../config/settings-parsers.ts';
import { bounded, pooled } from './bounded.ts';
import { type Finding, ok, warning } from './finding.ts';
import { type GatewayLook, lookAtGateway } from './gateway.ts';
import { checkIssuer, createReadKeys } from './issuers.ts';
import { checkEnvoy, checkHome, checkNode } from './machine.ts';
import { checkRedis } from './redis.ts';
import { checkRoundTrip } from './round-trip.ts';
import { type GoodToken, judgeToken, readTokenFile } from './token.ts';

/** Each is a session on a server, and for stdio servers a process. */
const MAX_ROUND_TRIPS = 8;

export interface Examination {
  readonly loaded: LoadedSettings;
  /** As in `process.versions.node`. */
  readonly nodeVersion: string;
  /** Folders as in PATH. */
  readonly path: string | undefined;
  readonly tokenFile: string | undefined;
  readonly fetch: typeof fetch;
  readonly stop: AbortSignal;
}

/** All checks run at once but for those that need others. After `stop` what is given is of no use. */
export async function* examine(examination: Examination): AsyncGenerator<Finding> {
  const { loaded, nodeVersion, path, tokenFile, fetch: request, stop } = examination;
  const { settings, warnings } = loaded;
  const { issuers, redisUrl } = settings;
  const readKeys = createReadKeys(request);
  let look: GatewayLook | undefined;
  let token: GoodToken | undefined;

  const bounds = (advice: string) => ({ stop, advice });
  const envoy = bounded(['envoy'], bounds('set ENVOY_BIN to another Envoy'), (signal) => checkEnvoy(settings, { path, signal }));
  const home = bounded(['home'], bounds('see whether its disk answers'), () => checkHome(settings));
  const redis =
    redisUrl === undefined
      ? []
      : bounded(['redis'], bounds('see whether it is overloaded, and correct redisUrl (REDIS_URL)'), async (signal) => [
          await checkRedis(redisUrl, signal),
        ]);
  const keys = issuers.map((spec) =>
    bounded(['issuer', spec.issuer], bounds('see that this machine reaches it; the gateway waits for 5 s'), async (signal) => [
      await checkIssuer(spec, readKeys, signal),
    ]),
  );
  const judged =
    tokenFile === undefined
      ? []
      : bounded(['token'], bounds('name a file that holds an access token, and nothing else'), async (signal) => {
          const base = await baseOf(settings);
          const judgement = await judgeToken(await readTokenFile(tokenFile), { issuers, readKeys, base, now: Date.now() }, signal);
          token = judgement.good;
          return judgement.findings;
        });
  const gateway = bounded(['gateway'], bounds(`see ${settings.home}/logs/gateway.log, or restart it`), async (signal) => {
    look = await lookAtGateway(settings, { fetch: request, signal });
    return look.findings;
  });
  const conversations = (async (): Promise<readonly (readonly Finding[])[]> => {
    await Promise.all([gateway, judged]);
    const serving = look?.serving ?? [];
    if (serving.length === 0) return [];
    if (issuers.length > 0 && token === undefined) return [[untried(tokenFile)]];
    return pooled(serving, MAX_ROUND_TRIPS, async (backend) => {
      const title = ['mcp', backend.name] as const;
      if (token?.opens(backend.name) === false)
        return [warning(title, 'not tried: the token is for another backend', 'give one for this backend')];
      const advice = `see what the server says: "mcp-gateway backends logs ${backend.name}"`;
      return bounded(title, bounds(advice), async (signal) => [await checkRoundTrip(backend, token?.token, { fetch: request, signal })]);
    });
  })();

  yield checkNode(nodeVersion);
  yield ok(['settings'], 'valid');
  for (const line of warnings) yield warning(['settings'], line, 'correct its name, or take it out of the environment');
  for (const findings of [envoy, home, redis, ...keys, judged, gateway]) yield* await findings;
  for (const findings of await conversations) yield* findings;
}

function untried(tokenFile: string | undefined): Finding {
  if (tokenFile !== undefined) return warning(['mcp'], 'not tried: the gateway would refuse the token', 'see what is said of the token');
  return warning(['mcp'], 'not tried: the gateway asks for a token', 'give one with --token-file FILE; it is sent to this gateway alone');
}

/** For which tokens may be issued: how clients call this gateway, as far as that can be known. */
async function baseOf({ home, publicUrl, listen }: Settings): Promise<string | undefined> {
  const announced = await readAnnouncement(home).catch(() => undefined);
  return publicUrl ?? announced?.url ?? (listen.port === 0 ? undefined : `http://${formatAddress(listen)}`);
}
