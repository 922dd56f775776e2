// ext_proc messages through real protobuf bytes: what the sealing is told, and what Envoy is told to do.

import { expect, test } from 'vitest';
import type { Opening } from '../gateway/request.ts';
import type { SealedAnswer } from '../gateway/seal-answer.ts';
import { answerProcessing, type WireProcessingRequest } from './initialize-answer.ts';
import { loadServices } from './services.ts';

const method = loadServices().externalProcessor['Process'];
const opening: Opening = {
  backend: 'memory',
  instance: 'i1',
  issuer: 'local',
  subject: 'ä',
  tenant: 't',
  params: '{"a":"\\u00e4"}',
  slot: undefined,
  stateless: false,
};

async function process(
  sealed: SealedAnswer,
  {
    headers = [
      [':status', '200'],
      ['mcp-session-id', 'up-1'],
    ],
    metadata = true,
  } = {},
) {
  const wire = {
    response_headers: { headers: { headers: headers.map(([key, value]) => ({ key, raw_value: Buffer.from(value ?? '') })) } },
    ...(metadata
      ? {
          metadata_context: {
            filter_metadata: { 'envoy.filters.http.ext_authz': { fields: { opening: { stringValue: JSON.stringify(opening) } } } },
          },
        }
      : {}),
  };
  const asked: unknown[] = [];
  const request = method?.requestDeserialize(method.requestSerialize(wire)) as WireProcessingRequest;
  const answer = await answerProcessing(request, async (...of) => {
    asked.push(of);
    return sealed;
  });
  return { asked, answer: method?.responseDeserialize(method.responseSerialize(answer)) };
}

test('the sealing learns what was decided, the status, and the id', async () => {
  expect((await process({ kind: 'keep' })).asked).toEqual([[opening, 200, 'up-1']]);
  expect((await process({ kind: 'keep' }, { headers: [[':status', '404']], metadata: false })).asked).toEqual([
    [undefined, 404, undefined],
  ]);
  expect((await process({ kind: 'keep' }, { headers: [], metadata: false })).asked).toEqual([[undefined, 0, undefined]]);
});

test('nothing to do', async () => {
  expect((await process({ kind: 'keep' })).answer).toMatchObject({ response_headers: { response: {} } });
});

test('the upstream’s id is replaced', async () => {
  const { answer } = await process({ kind: 'replace', sessionId: 'sealed' });
  expect(answer).toMatchObject({
    response_headers: {
      response: {
        header_mutation: { set_headers: [{ header: { key: 'mcp-session-id', raw_value: Buffer.from('sealed') }, append_action: 2 }] },
      },
    },
  });
});

test('the upstream’s id is removed', async () => {
  const { answer } = await process({ kind: 'remove' });
  expect(answer).toMatchObject({ response_headers: { response: { header_mutation: { remove_headers: ['mcp-session-id'] } } } });
});

test('an answer that cannot be given is an error that a JSON-RPC client reads', async () => {
  const { answer } = await process({ kind: 'refuse', why: 'a "quoted" reason' });
  const { immediate_response } = answer as unknown as { immediate_response: { status: { code: unknown }; body: Buffer } };
  expect(immediate_response.status.code).toSatisfy((code) => code === 502 || code === 'BadGateway');
  expect(JSON.parse(immediate_response.body.toString()).error.message).toBe('Bad gateway: a "quoted" reason');
});
