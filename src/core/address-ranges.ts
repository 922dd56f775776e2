// What an IP address stands for: the public internet, or one of the ranges that mean this machine, its network, or nobody at all.

import { BlockList, isIP } from 'node:net';

/** `metadata`: the cloud's own services at a public-looking address. `invalid`: no IP address at all. */
export type AddressRange =
  | 'public'
  | 'unspecified'
  | 'loopback'
  | 'link-local'
  | 'metadata'
  | 'private'
  | 'shared'
  | 'multicast'
  | 'broadcast'
  | 'documentation'
  | 'benchmark'
  | 'tunnel'
  | 'reserved'
  | 'invalid';

/**
 * The IANA registries of special-purpose addresses (RFC 6890 and its updates). The first match wins. An IPv4 range stands also for the
 * IPv6 addresses that reach it.
 */
const RANGES: readonly (readonly [AddressRange, readonly string[]])[] = [
  ['unspecified', ['0.0.0.0/8', '::/128']],
  ['loopback', ['127.0.0.0/8', '::1/128']],
  // 169.254.169.254 is where clouds give credentials to whoever asks.
  ['link-local', ['169.254.0.0/16', 'fe80::/10']],
  // Azure's answers here to every machine, and is no private address.
  ['metadata', ['168.63.129.16/32']],
  ['private', ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7', 'fec0::/10', '64:ff9b:1::/48']],
  ['shared', ['100.64.0.0/10']],
  ['multicast', ['224.0.0.0/4', 'ff00::/8']],
  ['broadcast', ['255.255.255.255/32']],
  ['documentation', ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '2001:db8::/32', '3fff::/20']],
  ['benchmark', ['198.18.0.0/15', '2001:2::/48']],
  // An IPv4 address inside an IPv6 one, which a relay takes out: Teredo, 6to4, and the "compatible" form.
  ['tunnel', ['2001::/32', '2002::/16', '::/96', '192.88.99.0/24']],
  ['reserved', ['192.0.0.0/24', '240.0.0.0/4', '2001::/23']],
];

/** How IPv6 writes an IPv4 address that is really dialled: mapped (RFC 4291), and translated by NAT64 (RFC 6052). */
const CARRIERS = ['::ffff:', '64:ff9b::'] as const;

/** The only part of IPv6 that is given out to the internet. */
const GLOBAL_UNICAST = '2000::/3';

const lists = RANGES.map(([range, networks]) => [range, listOf(networks.flatMap(withCarriers))] as const);
const everywhere = listOf([GLOBAL_UNICAST, ...withCarriers('0.0.0.0/0')]);

function withCarriers(network: string): string[] {
  const [address = '', bits] = network.split('/');
  return isIP(address) === 4 ? [network, ...CARRIERS.map((carrier) => `${carrier}${address}/${96 + Number(bits)}`)] : [network];
}

/** A list that holds `address/bits` networks; they must be valid. */
export function listOf(networks: readonly string[]): BlockList {
  const list = new BlockList();
  for (const network of networks) {
    const [address = '', bits] = network.split('/');
    list.addSubnet(address, Number(bits), familyOf(address));
  }
  return list;
}

/** Whether one of the networks holds the address, which must be valid. */
export function holds(list: BlockList, address: string): boolean {
  return list.check(address, familyOf(address));
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIP(address) === 6 ? 'ipv6' : 'ipv4';
}

/** The range of an address as the system writes it (no brackets). What is not known to be public is not called public. */
export function rangeOf(address: string): AddressRange {
  const bare = withoutZone(address);
  if (isIP(bare) === 0) return 'invalid';
  const special = lists.find(([, list]) => holds(list, bare));
  if (special) return special[0];
  return holds(everywhere, bare) ? 'public' : 'reserved';
}

/** `fe80::1%eth0` is `fe80::1`, on one of several links: BlockList does not know the long form. */
export function withoutZone(address: string): string {
  const zone = address.indexOf('%');
  return zone === -1 || isIP(address) !== 6 ? address : address.slice(0, zone);
}

/** Whether a host name out of a URL is this machine: `localhost`, a name below it (RFC 6761), or a loopback address. */
export function isLoopbackHost(hostname: string): boolean {
  const name = hostname.replace(/^\[|\]$|\.$/g, '').toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || rangeOf(name) === 'loopback';
}
