// Log lines as server-sent events, one for each, with a sign of life while nothing is written.

const KEEP_ALIVE_MS = 15_000;
/** What has no line feed for so long is sent in pieces. */
const MAX_LINE_CHARS = 65_536;

/** Ends with its source, or when `signal` aborts. */
export async function* asEvents(source: Iterable<string> | AsyncIterable<string>, signal: AbortSignal): AsyncGenerator<string> {
  const pieces = (async function* () {
    yield* source;
  })();
  let rest = '';
  let next = pieces.next();
  try {
    while (!signal.aborted) {
      const piece = await orNothing(next, KEEP_ALIVE_MS);
      if (piece === undefined) {
        yield ': nothing new\n\n';
        continue;
      }
      if (piece.done) break;
      next = pieces.next();
      const all = (rest + piece.value).split(/\r?\n|\r(?!$)/);
      rest = all.pop() ?? '';
      if (rest.length > MAX_LINE_CHARS) {
        all.push(rest);
        rest = '';
      }
      if (all.length > 0) yield all.map(eventOf).join('');
    }
    if (rest !== '') yield eventOf(rest);
  } finally {
    // The one that is waited for ends with the signal; whatever it says then is nobody's.
    next.catch(() => {});
    void pieces.return(undefined).catch(() => {});
  }
}

const eventOf = (line: string): string => `data: ${line.replaceAll('\r', '')}\n\n`;

async function orNothing<T>(waited: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([waited, late]);
  } finally {
    clearTimeout(timer);
  }
}
