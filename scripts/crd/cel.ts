// Words of the Common Expression Language for the rules of custom resources.

import { DURATION, formatDuration, MAX_DURATION_MS } from '../../src/config/durations.ts';

/** An entry of `x-kubernetes-validations`. */
export interface Rule {
  readonly rule: string;
  /** What is wrong, as the gateway itself says it. */
  readonly message?: string;
  /** The same, where it depends on the value. */
  readonly messageExpression?: string;
  /** Where the complaint stands, from where the rule stands: `.healthCheck.path`. */
  readonly fieldPath?: string;
  readonly reason?: 'FieldValueInvalid' | 'FieldValueForbidden' | 'FieldValueRequired' | 'FieldValueDuplicate';
}

/** A string of CEL. */
export function literal(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'").replaceAll('\n', '\\n')}'`;
}

/** Whether a text matches; the pattern must be one that RE2 knows. */
export function matches(subject: string, { source, flags }: RegExp): string {
  return `${subject}.matches(${literal(`${flags.includes('i') ? '(?i)' : ''}${source.replaceAll('\\/', '/').replaceAll('(?:', '(')}`)})`;
}

/** With a scheme: to CEL the path of a request is a URL as well. */
export const isAbsoluteUrl = (subject: string): string => `isURL(${subject}) && url(${subject}).getScheme() != ''`;

/** Milliseconds, as a double: large numbers of days would overflow an integer. The text must be a duration. */
export function milliseconds(subject: string): string {
  const amount = (suffix: number) => `double(${subject}.substring(0, ${subject}.size() - ${suffix}))`;
  const unit = `(${subject}.endsWith('s') ? 1e3 : ${subject}.endsWith('m') ? 6e4 : ${subject}.endsWith('h') ? 3.6e6 : 8.64e7)`;
  return `(${subject}.endsWith('ms') ? ${amount(2)} : ${amount(1)} * ${unit})`;
}

/** What src/config/durations.ts says of a duration between two lengths. */
export function durationRules({ minMs, maxMs }: { minMs: number; maxMs: number }): Rule[] {
  const isDuration = matches('self', DURATION);
  const within = (limits: string) => `[${milliseconds('self')}].all(ms, ${limits})`;
  const soundness: Rule = {
    rule: `${isDuration} && ${within(`ms >= ${minMs}.0 && ms <= ${MAX_DURATION_MS}.0`)}`,
    message: `must be a duration such as 45s, 30m, 12h or 30d, at least ${formatDuration(minMs)}`,
    messageExpression: `'must be a duration such as 45s, 30m, 12h or 30d, at least ${formatDuration(minMs)}: got "' + self + '"'`,
  };
  if (maxMs === MAX_DURATION_MS) return [soundness];
  const limit: Rule = {
    rule: `!${isDuration} || ${within(`ms <= ${maxMs}.0 || ms > ${MAX_DURATION_MS}.0`)}`,
    message: `must be at most ${formatDuration(maxMs)}`,
    messageExpression: `'must be at most ${formatDuration(maxMs)}: got "' + self + '"'`,
  };
  return [soundness, limit];
}
