// Why a use case of control was not carried out: one kind of error for all of them, which each interface renders in its own way.

import type { z } from 'zod';
import type { ResourceProblem } from '../config/resources.ts';

/**
 * `invalid`: what was given makes no sense, see `problems`. `forbidden`: not for this caller. `missing`: there is none, or the caller may not
 * know of it. `exists`: the name is taken. `changed`: it is another one than the caller has seen. `elsewhere`: it is declared where the API
 * has no say. `full`: there are as many as there may be. `too-large`: more than is read. `unavailable`: try again.
 */
export type RefusalCode = 'invalid' | 'forbidden' | 'missing' | 'exists' | 'changed' | 'elsewhere' | 'full' | 'too-large' | 'unavailable';

/** A field of what was given, as whoever gave it calls it, and what is wrong with it. */
export interface FieldProblem {
  readonly field: string;
  readonly message: string;
}

export class ControlRefusal extends Error {
  readonly code: RefusalCode;
  readonly problems: readonly FieldProblem[];

  /** `message` is one sentence for people. */
  constructor(code: RefusalCode, message: string, problems: readonly FieldProblem[] = []) {
    super(message);
    this.name = 'ControlRefusal';
    this.code = code;
    this.problems = problems;
  }
}

/** All that is wrong in one sentence, field by field. */
export function invalid(problems: readonly FieldProblem[]): ControlRefusal {
  const said = problems.map(({ field, message }) => (field === '' ? message : `${field}: ${message}`));
  return new ControlRefusal('invalid', said.join('; '), problems);
}

/** Every problem that a schema has found. */
export function fieldProblems(error: z.ZodError): FieldProblem[] {
  return error.issues.flatMap((issue) => {
    const at = issue.path.map(String);
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => ({ field: [...at, key].join('.'), message: 'unknown field' }));
    // What is wrong with a name among others, such as that of a variable.
    const [inner] = issue.code === 'invalid_key' ? issue.issues : [];
    return [{ field: at.join('.'), message: inner?.message ?? issue.message }];
  });
}

/** The object that was sent. @throws ControlRefusal `invalid`. */
export function objectOf(body: unknown): Readonly<Record<string, unknown>> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) throw invalid([{ field: '', message: 'a JSON object is needed' }]);
  return body as Readonly<Record<string, unknown>>;
}

/** @param rename gives a field of the resource the name that whoever gave it uses. */
export function invalidResource(problems: readonly ResourceProblem[], rename: (path: string) => string): ControlRefusal {
  return invalid(problems.map(({ path, message }) => ({ field: rename(path), message })));
}

export const noSuch = (what: 'backend' | 'tenant', name: string): ControlRefusal =>
  new ControlRefusal('missing', `there is no ${what} ${name}`);

/** Of a resource that is not the API's. `file`: its file, or `kubernetes:…` for one that was made with kubectl. */
export function declaredElsewhere(name: string, file: string): ControlRefusal {
  if (file.startsWith('kubernetes:')) return new ControlRefusal('elsewhere', `${name} was made with kubectl or a chart: change it there`);
  return new ControlRefusal('elsewhere', `${name} is declared in a file, ${file.split('/').at(-1)}: change it there`);
}
