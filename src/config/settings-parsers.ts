// Turns the text or YAML value of one setting into its type, or says in a few words what is wrong with it.

import { isIP } from 'node:net';
import { isAbsolute, join, resolve } from 'node:path';
import { allowEntryProblem } from '../core/address-rules.ts';
import { nameAndVersion } from './image-name.ts';

const MAX_LIST_ITEMS = 100;

/** A TCP address to listen on; `host` is an IP literal without brackets, `port` 0 picks a free one. */
export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

/** Where relative paths and `~` of a value point to. */
export interface ParseContext {
  /** The folder of gateway.yaml for its values, else the working directory. */
  readonly baseDir: string;
  readonly homeDir: string;
}

/** `raw` is a string from flags and environment, and whatever YAML made of it in gateway.yaml. Throws an Error with the problem. */
export type Parser<Value> = (raw: unknown, context: ParseContext) => Value;

/** One line, not empty. */
export const text: Parser<string> = (raw) => {
  if (typeof raw !== 'string' || raw.trim() === '' || /[\r\n]/.test(raw)) throw new Error('must be text in one line');
  return raw.trim();
};

/** A file or folder: absolute afterwards. */
export const path: Parser<string> = (raw, { baseDir, homeDir }) => {
  const given = text(raw, { baseDir, homeDir });
  if (given === '~') return homeDir;
  if (given.startsWith('~/')) return join(homeDir, given.slice(2));
  return isAbsolute(given) ? given : resolve(baseDir, given);
};

/** A program: looked up on PATH when it has no slash, else like `path`. */
export const program: Parser<string> = (raw, context) => {
  const given = text(raw, context);
  return given.includes('/') ? path(given, context) : given;
};

/** `127.0.0.1:8080`, `[::1]:8080`, `localhost:0`. Names other than localhost are not looked up: Envoy binds addresses. */
export const listenAddress: Parser<ListenAddress> = (raw, context) => {
  const [, bracketed, plain, portText] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text(raw, context)) ?? [];
  const host = plain === 'localhost' ? '127.0.0.1' : (bracketed ?? plain ?? '');
  const port = Number(portText);
  if (isIP(host) !== (bracketed === undefined ? 4 : 6) || !(port <= 65_535))
    throw new Error('must be HOST:PORT, such as 127.0.0.1:8080 or [::1]:8080');
  return Object.freeze({ host, port });
};

/** A whole number within limits, both included. */
export const integer =
  (least: number, most: number): Parser<number> =>
  (raw) => {
    const value = typeof raw === 'string' && /^\d+$/.test(raw.trim()) ? Number(raw) : raw;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most) {
      throw new Error(`must be a whole number from ${least} to ${most}`);
    }
    return value;
  };

/** One of a few words. */
export const oneOf =
  <const Word extends string>(...words: readonly Word[]): Parser<Word> =>
  (raw) => {
    const word = words.find((candidate) => candidate === raw);
    if (word === undefined) throw new Error(`must be one of ${words.join(', ')}`);
    return word;
  };

/** A YAML list, or a text with commas. */
export const list =
  <Item>(item: Parser<Item>): Parser<readonly Item[]> =>
  (raw, context) => {
    const entries = typeof raw === 'string' ? raw.split(',').filter((entry) => entry.trim() !== '') : raw;
    if (!Array.isArray(entries) || entries.length > MAX_LIST_ITEMS) throw new Error(`must be a list of at most ${MAX_LIST_ITEMS} entries`);
    return Object.freeze(entries.map((entry) => item(entry, context)));
  };

/** `https://app.example.com`, `null`-free: exactly what a browser sends as Origin, or the word `loopback`. */
export const origin: Parser<string> = (raw, context) => {
  const given = text(raw, context);
  if (given === 'loopback') return given;
  if (!URL.canParse(given) || new URL(given).origin !== given.toLowerCase())
    throw new Error('must be origins such as https://app.example.com, or loopback');
  return given.toLowerCase();
};

/** What a client may send as Host: a name or address, with or without a port. */
export const hostName: Parser<string> = (raw, context) => {
  const given = text(raw, context).toLowerCase();
  if (!/^(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:\d{1,5})?$/.test(given))
    throw new Error('must be host names such as mcp.example.com or mcp.example.com:8443');
  return given;
};

/** The name of a Kubernetes namespace (RFC 1123 label). */
export const namespaceName: Parser<string> = (raw, context) => {
  const given = text(raw, context);
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(given)) throw new Error('must be the name of a namespace, such as mcp');
  return given;
};

/** An http or https URL without credentials, query and fragment; no slash at its end. */
export const baseUrl: Parser<string> = (raw, context) => {
  const given = text(raw, context);
  const url = URL.canParse(given) ? new URL(given) : undefined;
  const plain = url !== undefined && /^https?:$/.test(url.protocol) && url.username + url.password + url.search + url.hash === '';
  if (!plain) throw new Error('must be a URL such as https://mcp.example.com');
  return url.href.replace(/\/+$/, '');
};

/** One entry of an allow-list of addresses: an address, a CIDR range or a host name. */
export const allowEntry: Parser<string> = (raw, context) => {
  const given = text(raw, context);
  const problem = allowEntryProblem(given);
  if (problem !== undefined) throw new Error(problem);
  return given;
};

/** What images that are registered by API may be called: a name without its version, or a namespace with a slash at its end. */
export const allowedImage: Parser<string> = (raw, context) => {
  const given = text(raw, context);
  if (given.startsWith('exec:')) throw new Error('programs of this machine cannot be registered by API: declare them in files');
  if (nameAndVersion(given).imageVersion !== '') throw new Error(`"${given}" must have no version: each registration names its own`);
  if (/^npm:@[^/]*$/.test(given)) throw new Error(`"${given}" must end with "/" to stand for the whole namespace`);
  return given;
};

/** `redis://` or `rediss://`; the message never repeats what was given, because it may hold a password. */
export const redisUrl: Parser<string> = (raw, context) => {
  const given = text(raw, context);
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (!url || !/^rediss?:$/.test(url.protocol) || url.hostname === '')
    throw new Error('must be a URL such as redis://127.0.0.1:6379/0, or rediss:// for TLS');
  return given;
};

/** Whether only this machine reaches the address. */
export function isLoopback({ host }: ListenAddress): boolean {
  return host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

/** `127.0.0.1:8080` or `[::1]:8080`. */
export function formatAddress({ host, port }: ListenAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
