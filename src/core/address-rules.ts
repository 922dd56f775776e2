// Which addresses a URL may lead to that somebody else has chosen: the public internet, and what an operator has listed.

import { isIP } from 'node:net';
import { type AddressRange, holds, listOf, rangeOf, withoutZone } from './address-ranges.ts';

const MAX_NAME_CHARS = 253;
const LABEL = /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i;
const NUMERIC = /^(\d+|0x[\da-f]*)$/i;

/**
 * What a listed name may stand for. The rest is opened only by listing the address itself: whoever can answer for the name would
 * otherwise get at the credentials that clouds keep at link-local addresses.
 */
const BY_NAME: ReadonlySet<AddressRange> = new Set<AddressRange>(['loopback', 'private', 'shared']);

const WORDS: Readonly<Record<Exclude<AddressRange, 'public'>, string>> = {
  unspecified: 'an address that means this machine',
  loopback: 'a loopback address',
  'link-local': 'a link-local address',
  metadata: 'an address of the cloud’s own services',
  private: 'a private address',
  shared: 'an address of a carrier’s shared range',
  multicast: 'a multicast address',
  broadcast: 'the broadcast address',
  documentation: 'an address for documentation',
  benchmark: 'an address for benchmarks',
  tunnel: 'an address of a tunnel',
  reserved: 'a reserved address',
  invalid: 'no IP address',
};

export interface AddressRules {
  /** Why the address may not be called, to be read after the host name (`is a private address, …`); undefined when it may. */
  refusal(address: string, hostname: string): string | undefined;
}

/**
 * Rules that refuse everything but public addresses and what `allow` lists: addresses, ranges (`10.1.0.0/16`), and host names, which
 * are compared as a whole. Throws when an entry is none of these.
 */
export function createAddressRules({ allow }: { readonly allow: readonly string[] }): AddressRules {
  for (const entry of allow) {
    const problem = allowEntryProblem(entry);
    if (problem !== undefined) throw new Error(`${JSON.stringify(entry)} ${problem}`);
  }
  const networks = listOf(allow.filter(isNumeric).map(withBits));
  const names = new Set(allow.filter((entry) => !isNumeric(entry)).map(canonicalName));
  return {
    refusal(address, hostname) {
      const range = rangeOf(address);
      if (range === 'public') return undefined;
      if (range !== 'invalid' && holds(networks, withoutZone(address))) return undefined;
      if (BY_NAME.has(range) && names.has(canonicalName(hostname))) return undefined;
      return `is ${WORDS[range]}, which is not allowed here`;
    },
  };
}

/** What is wrong with an entry of the list, to be read after the entry; undefined when nothing is. */
export function allowEntryProblem(entry: string): string | undefined {
  const slash = entry.indexOf('/');
  const address = slash === -1 ? entry : entry.slice(0, slash);
  if (address.includes('%')) return 'must have no zone';
  const family = isIP(address);
  if (family === 0) {
    return isName(entry) ? undefined : 'must be an address, a range like 10.1.0.0/16, or a host name without scheme and port';
  }
  if (slash === -1) return undefined;
  const bits = entry.slice(slash + 1);
  const most = family === 4 ? 32 : 128;
  return /^(0|[1-9]\d{0,2})$/.test(bits) && Number(bits) <= most ? undefined : `must have 0 to ${most} bits after the slash`;
}

/** A name whose last part is a number would be taken for an address by some, and for another one by others. */
function isName(text: string): boolean {
  const labels = canonicalName(text).split('.');
  return text.length <= MAX_NAME_CHARS && labels.every((label) => LABEL.test(label)) && !NUMERIC.test(labels.at(-1) ?? '');
}

function isNumeric(entry: string): boolean {
  return isIP(entry.split('/')[0] ?? '') !== 0;
}

function withBits(entry: string): string {
  return entry.includes('/') ? entry : `${entry}/${isIP(entry) === 4 ? 32 : 128}`;
}

/** `Example.com.` and `example.com` are one name. */
function canonicalName(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}
