// Calls of the REST interface: how their target is written, and what their answer means.

import { describe, expect, test } from 'vitest';
import { answerOf, CallRefused, targetOf } from './calls.ts';

describe('the target', () => {
  test.each([
    [['adapters'], undefined, '/adapters', ''],
    [['adapters', 'github', 'logs'], { lines: '5', follow: undefined }, '/adapters/github/logs', 'lines=5'],
    // A name cannot lead elsewhere.
    [['adapters', '../tenants?x#y'], {}, '/adapters/..%2Ftenants%3Fx%23y', ''],
    [['sessions'], { subject: 'a b&c=ü', issuer: '' }, '/sessions', 'subject=a+b%26c%3D%C3%BC&issuer='],
  ])('of %j with %j', (path, query, expectedPath, expectedQuery) => {
    expect(targetOf({ path, query })).toEqual({ path: expectedPath, query: expectedQuery });
  });

  // fetch takes these away, however they are written: what is left would be another resource.
  test.each(['', '.', '..'])('has no segment %j', (name) => {
    expect(() => targetOf({ path: ['adapters', name] })).toThrow(`"${name}" is no name`);
  });
});

describe('the answer', () => {
  const refusal = (status: number, text: string): CallRefused => {
    try {
      answerOf(status, text, 'it answers oddly');
    } catch (error) {
      return error as CallRefused;
    }
    return expect.unreachable();
  };

  test('of a success is its JSON, or nothing', () => {
    expect(answerOf(200, '[1]', '')).toEqual([1]);
    expect(answerOf(299, 'null', '')).toBeNull();
    expect(answerOf(204, '', '')).toBeUndefined();
  });

  test('of a success that is no JSON is an error in words', () => {
    expect(() => answerOf(200, '<html>', 'it answers oddly')).toThrow('it answers oddly');
  });

  test('of a refusal says why, with the word for programs', () => {
    const error = refusal(412, JSON.stringify({ detail: 'changed meanwhile', code: 'changed', status: 412 }));
    expect(error).toBeInstanceOf(CallRefused);
    expect(error).toMatchObject({ name: 'CallRefused', message: 'changed meanwhile', status: 412, code: 'changed' });
  });

  test.each(['', '<html>', 'null', '7', '{}', '{"detail":7,"code":[]}'])('of somebody in between is a refusal, too: %s', (text) => {
    expect(refusal(502, text)).toMatchObject({ message: 'it answers oddly', status: 502, code: undefined });
  });

  test.each([199, 300, 304])('%d is no success', (status) => {
    expect(refusal(status, '{}').status).toBe(status);
  });
});
