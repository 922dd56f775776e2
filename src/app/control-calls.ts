// Calls of the REST interface from within the process, in the name of a caller who is known.

import type { Rest } from '../api/rest.ts';
import type { Actor } from '../control/actor.ts';
import { answerOf, type Perform, targetOf } from '../control/calls.ts';

export function performAs(rest: Rest, actor: Actor, signal: AbortSignal): Perform {
  return async ({ method, body, revision, ...target }) => {
    const { path, query } = targetOf(target);
    const text = body === undefined ? '' : JSON.stringify(body);
    const answer = await rest(
      {
        ...{ method, path, query, headers: {}, origin: undefined, accept: 'application/json', contentType: 'application/json' },
        ifMatch: revision && `"${revision}"`,
        hasBody: body !== undefined,
        body: async () => text,
        signal,
      },
      () => actor,
    );
    if (!answer) throw new Error(`${path} is no path of the REST interface`);
    const said = typeof answer.body === 'string' ? answer.body : '';
    return answerOf(answer.status, said, `the gateway answers ${answer.status}`);
  };
}
