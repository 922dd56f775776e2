// What clients are told of a session that is lost and was not opened again.

import { expect, test } from 'vitest';
import { summary } from '../../test/fakes/decision.ts';
import { answerNotRecovered } from './not-recovered.ts';
import type { NotRecovered } from './recover.ts';

const facts = { backend: 'memory', tenant: 'red' };

test.each<[NotRecovered, string, object]>([
  [{ kind: 'dropped' }, '202', { recovered: true }],
  [{ kind: 'ended' }, '200', {}],
  [{ kind: 'not-found' }, '404 session_not_found', {}],
  [{ kind: 'unavailable', code: 'no_instance' }, '503 no_instance', {}],
  [{ kind: 'unavailable', code: 'recovery_failed' }, '503 recovery_failed', {}],
])('%j: %s', (outcome, expected, more) => {
  const answer = answerNotRecovered(outcome, 'ping', { rpcId: '7', facts });
  expect(summary(answer)).toBe(expected);
  expect(answer.facts).toMatchObject({ ...facts, ...more });
  if (answer.body !== '') expect(JSON.parse(answer.body.toString())).toMatchObject({ id: 7, error: { code: expect.any(Number) } });
});

test('a tool call for which there is no room gets a result that a model can read', () => {
  const answer = answerNotRecovered({ kind: 'unavailable', code: 'no_instance' }, 'tools/call', { rpcId: '7' });
  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.body.toString())).toMatchObject({ id: 7, result: { isError: true } });
});
