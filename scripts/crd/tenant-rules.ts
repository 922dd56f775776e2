// What an MCPTenant has to keep beyond types and limits, for the API server: the rules of src/config in the same words.

import { DURATION } from '../../src/config/durations.ts';
import { isAbsoluteUrl, matches, milliseconds, type Rule } from './cel.ts';

const isSame = (field: string, fallback: string): string =>
  `(has(a.${field}) ? a.${field} : ${fallback}) == (has(b.${field}) ? b.${field} : ${fallback})`;

/** Two with the same one would be one counter, charged twice. Texts that are no durations are complained about where they stand. */
const isSameCounter = [
  `(a.per == b.per || ${matches('a.per', DURATION)} && ${matches('b.per', DURATION)} && ${milliseconds('a.per')} == ${milliseconds('b.per')})`,
  isSame('scope', "'tenant'"),
  isSame('backend', "''"),
  isSame('tool', "''"),
  isSame('countAll', 'false'),
].join(' && ');

/** By field of `spec`. */
export const tenantRules: Readonly<Record<string, readonly Rule[]>> = {
  quotas: [
    {
      rule: `self.all(a, self.exists_one(b, ${isSameCounter}))`,
      message: 'two of them differ in their requests alone: keep the lower one',
    },
  ],
  'match[].issuer': [{ rule: isAbsoluteUrl('self'), message: 'must be an absolute URL' }],
};
