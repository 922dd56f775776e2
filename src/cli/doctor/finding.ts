// What a check has found: how it is, in one line, and what to do when it is not well.

interface Named {
  /** `redis`, `backend`, … */
  readonly check: string;
  /** Which one, where there are several. */
  readonly subject?: string | undefined;
  readonly message: string;
}

export type Finding =
  | (Named & { readonly state: 'ok'; readonly advice?: undefined })
  | (Named & { readonly state: 'warning' | 'failure'; readonly advice: string });

/** What a check is called: `redis`, or `backend` and its name. */
export type Title = readonly [check: string, subject?: string];

export function ok([check, subject]: Title, message: string): Finding {
  return { check, subject, state: 'ok', message };
}

/** Something that may be meant so. */
export function warning([check, subject]: Title, message: string, advice: string): Finding {
  return { check, subject, state: 'warning', message, advice };
}

/** Something that does not work. */
export function failure([check, subject]: Title, message: string, advice: string): Finding {
  return { check, subject, state: 'failure', message, advice };
}

/** Of an error whose line ends with what to do, after a colon, as most of ours do; else `advice` is that. */
export function failureOf(title: Title, error: unknown, advice: string): Finding {
  const { message } = error as Error;
  const at = message.lastIndexOf(': ');
  return at < 0 ? failure(title, message, advice) : failure(title, message.slice(0, at), message.slice(at + 2));
}
