// The operation that writes the values file of the Helm chart. It changes nothing.

import type { ValuesControl } from '../control/values.ts';
import { valuesRequest } from '../control/values-request.ts';
import { json } from './answer.ts';
import { type Operation, operation } from './operation.ts';
import { helmValues } from './schemas.ts';

export function valuesOperations(values: ValuesControl): readonly Operation[] {
  return [
    operation({
      method: 'POST',
      path: '/helm-values',
      id: 'makeHelmValues',
      summary: 'Write a values file for the Helm chart',
      description:
        'For what is declared here, or for what is given. Changes nothing. Values of variables are never in it: it says which Secrets are needed.',
      body: valuesRequest.meta({ id: 'ValuesRequest' }),
      answers: { 200: helmValues },
      handle: ({ body, actor }) => json(200, values.make(body, actor)),
    }),
  ];
}
