// The table of tokens against an identity provider on a real socket, and that provider in bad shape.

import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { afterEach, describe, expect, it } from 'vitest';
import { createTokenVerifier } from '../../src/identity/token-verifier.ts';
import { issuerOf } from '../fakes/identity-provider.ts';
import { createWorldKeys, goodClaims, publishedKeys, type TokenWorld, tokenCases } from '../fixtures/tokens/cases.ts';
import { signToken } from '../fixtures/tokens/keys.ts';

const keys = await createWorldKeys();
const audience = 'https://mcp.example.com';
const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

/** A provider under `/tenants/x/` whose key endpoint does what `answerKeys` says, and a verifier that trusts it. */
async function open({ answerKeys = goodKeys, fetchTimeoutMs = 5000 }: { answerKeys?: RequestListener; fetchTimeoutMs?: number } = {}) {
  const state = { answerKeys, now: Date.now() };
  const asked: string[] = [];
  const reasons: string[] = [];
  const server = createServer((req, res) => {
    asked.push(req.url ?? '');
    if (req.url === '/tenants/x/.well-known/openid-configuration')
      return void res.end(JSON.stringify({ issuer, jwks_uri: `${issuer}keys` }));
    if (req.url === '/tenants/x/keys') return state.answerKeys(req, res);
    res.writeHead(404).end();
  });
  const issuer = `${await listen(server)}/tenants/x/`;
  const verifier = createTokenVerifier({
    issuers: [issuerOf({ issuer })],
    now: () => state.now,
    fetchTimeoutMs,
    log: pino({ level: 'warn' }, { write: (line: string) => void reasons.push((JSON.parse(line) as { reason: string }).reason) }),
  });
  closers.push(() => verifier.close());
  const world: TokenWorld = { ...keys, issuer, audience, attackerUrl: new URL('/attacker', issuer).href, now: state.now };
  const token = (claims: Record<string, unknown> = {}) => signToken(keys.rsa, goodClaims(world, claims));
  return { verifier, state, asked, reasons, world, token, issuer };
}

const goodKeys: RequestListener = (_req, res) => void res.end(JSON.stringify(publishedKeys(keys)));

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

it('every token of the table gets its answer, and keys come from nowhere but the issuer', async () => {
  const { verifier, asked, world } = await open();
  const wrong: string[] = [];
  for (const { name, code, token } of tokenCases) {
    const verified = await verifier.verify(token(world));
    const refused = 'kind' in verified ? verified.code : verified.audiences.includes(audience) ? undefined : 'wrong_audience';
    if (refused !== code) wrong.push(`${name}: ${refused} instead of ${code}`);
  }
  expect(wrong).toEqual([]);
  expect(asked).toEqual(['/tenants/x/.well-known/openid-configuration', '/tenants/x/keys', '/tenants/x/keys']);
});

describe('a provider that', () => {
  const other = createServer((_req, res) => void res.end(JSON.stringify({ keys: [keys.attacker.jwk] })));

  it.each<[string, RequestListener, RegExp]>([
    ['fails', (_req, res) => void res.writeHead(500).end(), /status 500$/],
    ['never answers', () => {}, /no answer within 1000 ms$/],
    ['never ends', (_req, res) => void res.write('{"keys":['), /no answer within 1000 ms$/],
    ['breaks off', (req, res) => void res.write('{', () => req.socket.destroy()), /keys: (UND_ERR_SOCKET|terminated|other side closed)/],
    ['sends too much', (_req, res) => void res.end(' '.repeat(300_000)), /larger than 262144 bytes$/],
    ['sends a page', (_req, res) => void res.end('<html>'), /not JSON$/],
    ['has no keys', (_req, res) => void res.end('{"keys":[]}'), /no key that can be used$/],
  ])('%s: 503 within the time limit, and good again as soon as it is', async (_what, answerKeys, reason) => {
    // A short limit only where it is reached: a slow machine must not make an error of one kind another.
    const { verifier, state, reasons, token } = await open({ answerKeys, ...(/within/.test(reason.source) && { fetchTimeoutMs: 1_000 }) });
    expect(await verifier.verify(token())).toMatchObject({ code: 'keys_unavailable' });
    expect(reasons).toEqual([expect.stringMatching(reason)]);
    // Within the pause nobody waits for it.
    expect(await verifier.verify(token({ jti: 1 }))).toMatchObject({ code: 'keys_unavailable' });
    state.answerKeys = goodKeys;
    state.now += 1000;
    expect(await verifier.verify(token())).toMatchObject({ subject: 'ann' });
  });

  it('sends us to another one: its keys are not read', async () => {
    const elsewhere = await listen(other);
    const { verifier, reasons, world } = await open({ answerKeys: (_req, res) => void res.writeHead(302, { location: elsewhere }).end() });
    expect(await verifier.verify(signToken(keys.attacker, goodClaims(world)))).toMatchObject({ code: 'keys_unavailable' });
    expect(reasons).toEqual([expect.stringContaining(`redirects to another origin, ${elsewhere}`)]);
  });
});

it('a hundred tokens at the start lead to one look at the keys', async () => {
  const { verifier, asked, token } = await open();
  const all = await Promise.all(Array.from({ length: 100 }, async (_, at) => verifier.verify(token({ sub: `user-${at}` }))));
  expect(new Set(all.map((identity) => ('kind' in identity ? identity.code : identity.subject))).size).toBe(100);
  expect(asked).toHaveLength(2);
});
