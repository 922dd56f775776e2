// Public addresses only, unless an operator has listed others.

import { describe, expect, it } from 'vitest';
import { allowEntryProblem, createAddressRules } from './address-rules.ts';

describe('without a list', () => {
  const rules = createAddressRules({ allow: [] });

  it.each(['8.8.8.8', '2606:4700::1111', '::ffff:8.8.8.8', '64:ff9b::8.8.8.8'])('%s may be called', (address) => {
    expect(rules.refusal(address, 'a.example')).toBeUndefined();
  });

  it.each([
    ['127.0.0.1', 'is a loopback address, which is not allowed here'],
    ['::ffff:7f00:1', 'is a loopback address, which is not allowed here'],
    ['169.254.169.254', 'is a link-local address, which is not allowed here'],
    ['fe80::1%eth0', 'is a link-local address, which is not allowed here'],
    ['10.0.0.1', 'is a private address, which is not allowed here'],
    ['2002:808:808::', 'is an address of a tunnel, which is not allowed here'],
    ['nonsense', 'is no IP address, which is not allowed here'],
  ])('%s may not', (address, reason) => expect(rules.refusal(address, 'a.example')).toBe(reason));
});

describe('a list', () => {
  const rules = createAddressRules({ allow: ['10.1.0.0/16', '192.168.1.7', 'fd00:1::/32', '::1', 'Intern.Example.', '169.254.1.1'] });
  const allowed = (address: string, hostname = 'a.example') => rules.refusal(address, hostname) === undefined;

  it('opens its addresses and ranges, also in their mapped form, and no more', () => {
    expect(
      ['10.1.0.1', '10.1.255.255', '192.168.1.7', 'fd00:1:2::1', '::1', '::ffff:10.1.2.3', '169.254.1.1'].map((a) => allowed(a)),
    ).toEqual(Array(7).fill(true));
    expect(['10.2.0.1', '192.168.1.8', 'fd00:2::1', '127.0.0.1', '64:ff9b::10.1.2.3', '169.254.1.2'].map((a) => allowed(a))).toEqual(
      Array(6).fill(false),
    );
  });

  it('opens names as a whole, for addresses of this machine and its network', () => {
    expect(['10.9.9.9', '127.0.0.1', '100.64.0.1', '::ffff:10.9.9.9'].map((a) => allowed(a, 'intern.example'))).toEqual(
      Array(4).fill(true),
    );
    expect(allowed('10.9.9.9', 'INTERN.example.')).toBe(true);
    expect(['intern.example.evil.com', 'x.intern.example', 'example'].map((name) => allowed('10.9.9.9', name))).toEqual([
      false,
      false,
      false,
    ]);
    expect(['169.254.169.254', '0.0.0.0', '224.0.0.1', '168.63.129.16', 'nonsense'].map((a) => allowed(a, 'intern.example'))).toEqual(
      Array(5).fill(false),
    );
  });

  it('of everything opens everything that is an address', () => {
    const open = createAddressRules({ allow: ['0.0.0.0/0', '::/0'] });
    expect(['127.0.0.1', '::1', 'fe80::1%eth0', '10.0.0.1', 'nonsense'].map((a) => open.refusal(a, 'x') === undefined)).toEqual([
      ...[true, true, true, true, false],
    ]);
  });

  it.each([
    ['10.0.0.0/33', '0 to 32 bits'],
    ['fd00::/129', '0 to 128 bits'],
    ['10.0.0.0/', '0 to 32 bits'],
    ['10.0.0.0/08', '0 to 32 bits'],
    ['10.0.0.0/8/8', '0 to 32 bits'],
    ['10.0.0.0/-1', '0 to 32 bits'],
    ['10.0/8', 'a host name without scheme and port'],
    ['fe80::1%eth0', 'no zone'],
    ['', 'host name'],
    ['a..b', 'host name'],
    ['*.example.com', 'host name'],
    ['https://a.example', 'without scheme and port'],
    ['a.example:80', 'without scheme and port'],
    ['127.1', 'host name'],
    ['2130706433', 'host name'],
    ['a.0x7f', 'host name'],
    ['ä.example', 'host name'],
    ['a b', 'host name'],
  ])('with %j is refused', (entry, problem) => {
    expect(allowEntryProblem(entry)).toContain(problem);
    expect(() => createAddressRules({ allow: [entry] })).toThrow(JSON.stringify(entry));
  });

  it.each([
    '10.0.0.1',
    '10.0.0.0/8',
    '0.0.0.0/0',
    '::/0',
    'fd00::/8',
    'localhost',
    'a.example.',
    'xn--4ca.example',
    'svc_a.ns.svc.cluster.local',
  ])('may hold %s', (entry) => expect(allowEntryProblem(entry)).toBeUndefined());
});
