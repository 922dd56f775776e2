// What became of a request, in one word: `ok`, or a code for the refusal of the gateway or its Envoy.

import { reasons } from '../../src/core/reasons.ts';
import type { HttpAnswer, RpcAnswer } from './mcp-http.ts';

const codes = new Map([
  ...Object.entries(reasons).map(([code, { message }]) => [message as string, code] as const),
  // Envoy's own answers.
  ['Policy service unavailable', 'policy_unavailable'],
  ['The connection to the server broke: the outcome of this request is unknown', 'outcome_unknown'],
]);

/** Anything that is neither a result nor a refusal is told as it is. */
export function outcomeOf({ status, messages, text }: HttpAnswer): string {
  const [message] = messages;
  const said = messageOf(message);
  const code = said === undefined ? undefined : codes.get(said);
  if (code !== undefined) return code;
  return status === 200 && message?.result !== undefined ? 'ok' : `HTTP ${status}: ${text.slice(0, 200)}`;
}

function messageOf(answer: RpcAnswer | undefined): string | undefined {
  if (answer?.error) return answer.error.message;
  const result = answer?.result as { readonly isError?: boolean; readonly content?: readonly { readonly text?: string }[] } | undefined;
  return result?.isError === true ? result.content?.[0]?.text : undefined;
}
