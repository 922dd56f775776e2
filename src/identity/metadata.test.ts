// Where an issuer's keys are looked for, and what is wrong with a document that does not help.

import { expect, it } from 'vitest';
import { findJwksUri } from './metadata.ts';

/** Looks with these documents at hand; others cannot be read. */
async function find(issuer: string, documents: Readonly<Record<string, unknown>>, discoveryUrl?: string) {
  const asked: string[] = [];
  const readJson = async (url: string): Promise<unknown> => {
    asked.push(url);
    if (!(url in documents)) throw new Error(`${url}: status 404`);
    return documents[url];
  };
  const outcome = await findJwksUri({ issuer, discoveryUrl, readJson }).catch((error: Error) => error.message);
  return { outcome, asked };
}

const jwks_uri = 'https://keys.example.com/jwks';

it.each([
  ['https://a.example', 'https://a.example/.well-known/openid-configuration'],
  ['https://a.example/', 'https://a.example/.well-known/openid-configuration'],
  ['https://a.example/realms/x', 'https://a.example/realms/x/.well-known/openid-configuration'],
  ['https://a.example/v2.0/', 'https://a.example/v2.0/.well-known/openid-configuration'],
])('%s is described at %s', async (issuer, url) => {
  expect(await find(issuer, { [url]: { issuer, jwks_uri } })).toEqual({ outcome: jwks_uri, asked: [url] });
});

it('else at the place of RFC 8414', async () => {
  const issuer = 'https://a.example/x';
  const url = 'https://a.example/.well-known/oauth-authorization-server/x';
  expect((await find(issuer, { [url]: { issuer, jwks_uri } })).outcome).toBe(jwks_uri);
  expect((await find(issuer, {})).outcome).toBe(`https://a.example/x/.well-known/openid-configuration: status 404; ${url}: status 404`);
});

it('or only where it is said', async () => {
  const issuer = 'https://a.example';
  const found = await find(issuer, { 'https://b.example/meta': { issuer, jwks_uri } }, 'https://b.example/meta');
  expect(found).toEqual({ outcome: jwks_uri, asked: ['https://b.example/meta'] });
});

it.each<[string, unknown, string]>([
  [
    'another slash',
    { issuer: 'https://a.example/', jwks_uri },
    'its issuer is "https://a.example/", but "https://a.example" is configured: they differ in the slash at the end, which counts',
  ],
  ['another issuer', { issuer: 'https://b.example', jwks_uri }, 'its issuer is "https://b.example", but "https://a.example" is configured'],
  ['no issuer', { jwks_uri }, 'its issuer is absent, but "https://a.example" is configured'],
  ['no keys', { issuer: 'https://a.example' }, 'has no jwks_uri'],
  ['keys that are no URL', { issuer: 'https://a.example', jwks_uri: '/keys' }, 'has no jwks_uri'],
  ['keys over HTTP', { issuer: 'https://a.example', jwks_uri: 'http://a.example/keys' }, 'its jwks_uri does not begin with https://'],
  ['keys of this machine', { issuer: 'https://a.example', jwks_uri: 'http://127.0.0.1/' }, 'its jwks_uri does not begin with https://'],
  ['keys in a file', { issuer: 'https://a.example', jwks_uri: 'file:///etc/keys' }, 'its jwks_uri does not begin with https://'],
  ['no object', [], 'not a JSON object'],
])('a document with %s', async (_what, document, problem) => {
  const url = 'https://a.example/.well-known/openid-configuration';
  expect((await find('https://a.example', { [url]: document })).outcome).toBe(`${url}: ${problem}`);
});

it('a provider on this machine may use plain HTTP, and lead to this machine only', async () => {
  const issuer = 'http://127.0.0.1:4000';
  const url = `${issuer}/.well-known/openid-configuration`;
  const uri = 'http://localhost:4000/keys';
  expect((await find(issuer, { [url]: { issuer, jwks_uri: uri } })).outcome).toBe(uri);
  expect((await find(issuer, { [url]: { issuer, jwks_uri: 'http://a.example/' } })).outcome).toContain('does not begin with https');
});
