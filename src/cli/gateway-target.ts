// Which gateway a command is for: the one of a home on this machine, or the one that MCP_GATEWAY_URL names.

import { join } from 'node:path';
import { readAnnouncement } from '../app/announcement.ts';
import { readToken } from '../control/control-token.ts';
import { isLoopbackHost } from '../core/address-ranges.ts';

export interface GatewayTarget {
  /** Without a slash at its end. */
  readonly base: string;
  /** For the `Authorization` header. Rejects with one line that says how to get one. */
  token(): Promise<string>;
  /** As part of a sentence: `the gateway at http://…`. */
  readonly name: string;
  /** What to do when the token is not taken. */
  readonly untaken: string;
  /** What to do when nobody answers. */
  readonly silent: string;
}

/** No gateway runs in this home. */
export class NotRunning extends Error {}

/** @throws NotRunning, or Error with one line that says what to do. */
export async function localTarget(home: string): Promise<GatewayTarget> {
  const announced = await readAnnouncement(home);
  if (!announced) throw new NotRunning(`no gateway runs in ${home}: start it with "mcp-gateway up", or name its folder with --home`);
  const tokenFile = join(home, 'token');
  const token = await readToken(tokenFile);
  if (token === undefined) throw new Error(`${tokenFile} is missing: restart the gateway of ${home} to get a new one`);
  return {
    base: announced.admin,
    token: async () => token,
    name: `the gateway at ${announced.admin}`,
    untaken: `the gateway at ${announced.admin} does not take the token of ${tokenFile}: restart it`,
    silent: `see ${join(home, 'logs')}`,
  };
}

/** Undefined when no other gateway is named. @param login gets a token when none is given. @throws Error with one line. */
export function remoteTarget(
  env: Readonly<Record<string, string | undefined>>,
  login: (base: string, clientId: string) => () => Promise<string>,
): GatewayTarget | undefined {
  const { MCP_GATEWAY_URL: given, MCP_GATEWAY_TOKEN: token, MCP_GATEWAY_TOKEN_FILE: file, MCP_GATEWAY_CLIENT_ID: clientId } = env;
  if (!given) return undefined;
  if (!URL.canParse(given) || !/^https?:$/.test(new URL(given).protocol))
    throw new Error('MCP_GATEWAY_URL must begin with https:// or http://');
  const { protocol, hostname, href, search, hash } = new URL(given);
  if (search !== '' || hash !== '') throw new Error('MCP_GATEWAY_URL must have no query and no fragment');
  // Whoever is on the way could read the token, and use it.
  if (protocol === 'http:' && !isLoopbackHost(hostname))
    throw new Error('MCP_GATEWAY_URL must begin with https://: the token would be readable');
  const base = href.replace(/\/+$/, '');
  return {
    base,
    token: token ? async () => token.trim() : file ? () => tokenOf(file) : clientId ? login(base, clientId) : noToken,
    name: `the gateway at ${base}`,
    untaken: `the gateway at ${base} does not take this token: get a new one`,
    silent: 'check MCP_GATEWAY_URL, and whether the gateway runs',
  };
}

/** Read each time: whoever renews the token writes it there. */
async function tokenOf(file: string): Promise<string> {
  const { readTokenFile } = await import('./doctor/token.ts');
  const token = await readTokenFile(file);
  if (token === '') throw new Error(`MCP_GATEWAY_TOKEN_FILE: ${file} is empty`);
  return token;
}

function noToken(): Promise<string> {
  return Promise.reject(
    new Error(
      'MCP_GATEWAY_URL needs a token: set MCP_GATEWAY_TOKEN or MCP_GATEWAY_TOKEN_FILE, or MCP_GATEWAY_CLIENT_ID to log in with a code (the id of a client that your issuer lets do so)',
    ),
  );
}
