// An address of this machine that is not a loopback one: EndpointSlices may not hold those, and some rules are about them alone.

import { networkInterfaces } from 'node:os';

/** @throws Error when there is none. */
export function ownAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((each) => each ?? []);
  const found = all.find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  if (found === undefined) throw new Error('this machine has no IPv4 address besides loopback: the test needs one, as `ip addr add` gives');
  return found;
}
