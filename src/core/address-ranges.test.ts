// Every special range, in every way of writing it.

import { expect, it } from 'vitest';
import { isLoopbackHost, rangeOf } from './address-ranges.ts';

it.each([
  ['8.8.8.8', 'public'],
  ['1.1.1.1', 'public'],
  ['172.15.255.255', 'public'],
  ['172.32.0.0', 'public'],
  ['100.63.255.255', 'public'],
  ['100.128.0.0', 'public'],
  ['169.253.255.255', 'public'],
  ['223.255.255.255', 'public'],
  ['2606:4700::1111', 'public'],
  ['2001:4860:4860::8888', 'public'],
  ['0.0.0.0', 'unspecified'],
  ['0.1.2.3', 'unspecified'],
  ['127.0.0.1', 'loopback'],
  ['127.255.255.254', 'loopback'],
  ['169.254.169.254', 'link-local'],
  ['168.63.129.16', 'metadata'],
  ['10.0.0.1', 'private'],
  ['172.16.0.1', 'private'],
  ['172.31.255.255', 'private'],
  ['192.168.1.1', 'private'],
  ['100.64.0.1', 'shared'],
  ['100.127.255.255', 'shared'],
  ['224.0.0.1', 'multicast'],
  ['239.255.255.255', 'multicast'],
  ['255.255.255.255', 'broadcast'],
  ['192.0.2.1', 'documentation'],
  ['198.51.100.1', 'documentation'],
  ['203.0.113.1', 'documentation'],
  ['198.18.0.1', 'benchmark'],
  ['198.19.255.255', 'benchmark'],
  ['192.88.99.1', 'tunnel'],
  ['192.0.0.192', 'reserved'],
  ['240.0.0.1', 'reserved'],
  ['::', 'unspecified'],
  ['::1', 'loopback'],
  ['0:0:0:0:0:0:0:1', 'loopback'],
  ['fe80::1', 'link-local'],
  ['fe80::1%eth0', 'link-local'],
  ['febf::1', 'link-local'],
  ['fd00:ec2::254', 'private'],
  ['fc00::1', 'private'],
  ['fec0::1', 'private'],
  ['64:ff9b:1::8.8.8.8', 'private'],
  ['ff02::1', 'multicast'],
  ['2001:db8::1', 'documentation'],
  ['3fff::1', 'documentation'],
  ['2001:2::1', 'benchmark'],
  ['2001:0:4136:e378:8000:63bf:3fff:fdd2', 'tunnel'],
  ['2002:7f00:1::', 'tunnel'],
  ['2002:808:808::', 'tunnel'],
  ['::127.0.0.1', 'tunnel'],
  ['::8.8.8.8', 'tunnel'],
  ['2001:1::1', 'reserved'],
  ['100::1', 'reserved'],
  ['5f00::1', 'reserved'],
  ['4000::1', 'reserved'],
  ['::ffff:0:7f00:1', 'reserved'],
])('%s is %s', (address, range) => expect(rangeOf(address)).toBe(range));

it.each([
  ['8.8.8.8', '808:808', 'public'],
  ['127.0.0.1', '7f00:1', 'loopback'],
  ['169.254.169.254', 'a9fe:a9fe', 'link-local'],
  ['10.1.2.3', 'a01:203', 'private'],
  ['192.168.0.1', 'c0a8:1', 'private'],
  ['100.64.0.1', '6440:1', 'shared'],
  ['0.0.0.0', '0:0', 'unspecified'],
  ['255.255.255.255', 'ffff:ffff', 'broadcast'],
  ['240.0.0.1', 'f000:1', 'reserved'],
])('%s is the same one when IPv6 carries it', (address, hexadecimal, range) => {
  for (const carrier of ['::ffff:', '64:ff9b::']) {
    expect([rangeOf(`${carrier}${address}`), rangeOf(`${carrier}${hexadecimal}`)]).toEqual([range, range]);
  }
});

it.each(['', 'localhost', '127.1', '2130706433', '0x7f.0.0.1', '0177.0.0.1', '[::1]', '1.2.3.4%eth0', '1.2.3', '::1/128', ' 8.8.8.8'])(
  '%j is no address',
  (text) => expect(rangeOf(text)).toBe('invalid'),
);

it.each([
  ['http://localhost/', true],
  ['http://LOCALHOST./', true],
  ['http://a.localhost:80/', true],
  ['http://127.9.9.9/', true],
  ['http://127.1/', true],
  ['http://2130706433/', true],
  ['http://0x7f.1/', true],
  ['http://0177.0.0.1./', true],
  ['http://[::1]/', true],
  ['http://[::ffff:127.0.0.1]/', true],
  ['http://localhost.example.com/', false],
  ['http://notlocalhost/', false],
  ['http://127.0.0.1.example.com/', false],
  ['http://10.0.0.1/', false],
  ['http://0.0.0.0/', false],
])('%s is this machine: %s', (url, expected) => expect(isLoopbackHost(new URL(url).hostname)).toBe(expected));
