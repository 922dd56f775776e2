// What a log line says of an error: what it is and where it came from, and nothing that somebody has hung on it.

/** An error's cause, its cause, and so on. */
const MAX_CAUSES = 4;

/** An error as it is logged. */
export interface LoggedError {
  readonly type: string;
  readonly message: string;
  readonly stack: string | undefined;
  readonly code: string | number | undefined;
  readonly cause: LoggedError | undefined;
}

/**
 * For the field `err` of a log line. Libraries hang what they were doing on their errors: ioredis the whole command with its arguments
 * (a session record, say), HTTP clients the request with its headers. Only what is named here is written.
 */
export function errorForLog(error: unknown): LoggedError {
  return described(error, MAX_CAUSES);
}

function described(error: unknown, causes: number): LoggedError {
  if (typeof error !== 'object' || error === null)
    return { type: typeof error, message: String(error), stack: undefined, code: undefined, cause: undefined };
  const { message, stack, code, cause } = error as Partial<Record<'message' | 'stack' | 'code' | 'cause', unknown>>;
  return {
    type: error.constructor?.name ?? 'object',
    message: typeof message === 'string' ? message : '',
    stack: typeof stack === 'string' ? stack : undefined,
    code: typeof code === 'string' || typeof code === 'number' ? code : undefined,
    cause: cause === undefined || causes === 0 ? undefined : described(cause, causes - 1),
  };
}
