// What is said of an issuer that is nearly, or not at all, a configured one.

import { expect, test } from 'vitest';
import { explainIss } from './iss.ts';

const V1 = 'https://sts.windows.net/11111111-2222-3333-4444-555555555555/';
const V2 = 'https://login.microsoftonline.com/11111111-2222-3333-4444-555555555555/v2.0';

test.each([
  ['https://a.example', 'https://a.example/', 'the slash at the end, which counts'],
  ['https://a.example/x/', 'https://a.example/x', 'the slash at the end, which counts'],
  [' https://a.example', 'https://a.example', 'space at the end or the beginning'],
  ['https://A.example/X', 'https://a.example/X', 'upper and lower case, which counts'],
  ['http://a.example/', 'https://a.example', 'http and https'],
  ['http://localhost:8080/realms/x', 'http://127.0.0.1:8080/realms/x', 'the name of this machine'],
])('%j and %j: both are shown, and what differs', (found, configured, difference) => {
  expect(explainIss(found, ['https://other.example', configured])).toEqual({
    message: `is ${JSON.stringify(found)}, but ${JSON.stringify(configured)} is configured: they differ in ${difference}`,
    advice: `write it into issuers as ${JSON.stringify(found)}: it is compared letter by letter`,
  });
});

test.each([
  ['https://a.example:8443/', 'https://a.example/', 'the port'],
  ['https://a.example/realms/x', 'https://a.example/realms/y', 'the path'],
])('%j and %j may be two issuers: nobody is told to just accept the other one', (found, configured, difference) => {
  const { message, advice } = explainIss(found, [configured]);
  expect(message).toBe(`is "${found}", but "${configured}" is configured: they differ in ${difference}`);
  expect(advice).toBe(`take a token of "${configured}", or write the issuer as "${found}" if that is the one you mean`);
});

test('the two versions of Entra’s tokens are known', () => {
  expect(explainIss(V1, [V2]).advice).toMatch(/^set requestedAccessTokenVersion to 2 /);
  expect(explainIss(V2, [V1]).advice).toMatch(/^set requestedAccessTokenVersion to 1 /);
  expect(explainIss(V1, [V2.replace('1111', '9999')]).message).toBe(`is "${V1}", but configured is "${V2.replace('1111', '9999')}"`);
});

test('else all that are configured are shown, but not too many', () => {
  expect(explainIss('https://x.example', ['https://a.example', 'https://b.example']).message).toBe(
    'is "https://x.example", but configured are "https://a.example", "https://b.example"',
  );
  const many = Array.from({ length: 9 }, (_, index) => `https://${index}.example`);
  expect(explainIss(undefined, many).message).toMatch(/^is absent, but configured are .*"https:\/\/4\.example", …$/);
  expect(explainIss(7, ['https://a.example']).message).toBe('is not a text, but configured is "https://a.example"');
});
