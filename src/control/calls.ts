// Calls of the REST interface as its users in this project make them: over HTTP from the command line, or within the process.

/** `path` are the segments of the resource; a `query` without a value is left out. */
export interface ControlCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly path: readonly string[];
  readonly query?: Readonly<Record<string, string | undefined>> | undefined;
  readonly body?: unknown;
  /** The revision that is to be changed. */
  readonly revision?: string | undefined;
}

/** Resolves with what the answer holds; undefined when it is empty. Rejects with CallRefused, or an Error of one line. */
export type Perform = (call: ControlCall) => Promise<unknown>;

/** The gateway has answered, and says why not. */
export class CallRefused extends Error {
  readonly status: number;
  /** The word for programs in problem details, such as `changed`. */
  readonly code: string | undefined;

  constructor(message: string, status: number, code?: string) {
    super(message);
    this.name = 'CallRefused';
    this.status = status;
    this.code = code;
  }
}

/** The target of a request. @throws Error for a segment with which it would be the one of another resource. */
export function targetOf({ path, query = {} }: Pick<ControlCall, 'path' | 'query'>): { readonly path: string; readonly query: string } {
  for (const segment of path) if (/^\.{0,2}$/.test(segment)) throw new Error(`"${segment}" is no name`);
  const given = Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return { path: `/${path.map(encodeURIComponent).join('/')}`, query: new URLSearchParams(given).toString() };
}

/** @throws CallRefused when the status is no success, or the answer is no JSON. @param otherwise what is said when the answer does not say why. */
export function answerOf(status: number, text: string, otherwise: string): unknown {
  if (status >= 200 && status <= 299) {
    if (text === '') return undefined;
    try {
      return JSON.parse(text) as unknown;
    } catch {
      throw new CallRefused(otherwise, status);
    }
  }
  const { detail, code } = problemIn(text);
  throw new CallRefused(detail ?? otherwise, status, code);
}

function problemIn(text: string): { readonly detail?: string | undefined; readonly code?: string | undefined } {
  try {
    const { detail, code } = JSON.parse(text) as { readonly detail?: unknown; readonly code?: unknown };
    return { detail: typeof detail === 'string' ? detail : undefined, code: typeof code === 'string' ? code : undefined };
  } catch {
    return {};
  }
}
