// Shows the steps of a start: one line that changes on a terminal, plain lines in a pipe, JSON lines for programs.

/** A step begins, begins anew with another detail, or ends. `detail` is for people. */
export interface ProgressEvent {
  readonly step: string;
  readonly state: 'start' | 'done' | 'fail';
  readonly detail?: string;
}

/** The part of a stream that is needed here. */
export interface Terminal {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

const signs = { start: '…', done: '✔', fail: '✘' } as const;
const colours = { start: '2', done: '32', fail: '31' } as const;
const clearLine = '\r\u001b[2K';

/** `form` is `live` for terminals, where a step's beginning is overwritten by its end. */
export function createProgress({ stream, form }: { stream: Terminal; form: 'live' | 'plain' | 'json' }): (event: ProgressEvent) => void {
  if (form === 'json') return (event) => void stream.write(`${JSON.stringify({ event: 'progress', ...event })}\n`);
  if (form === 'plain') return (event) => void stream.write(`${line(event)}\n`);
  let unfinished: string | undefined;
  return (event) => {
    const before = unfinished === event.step ? clearLine : unfinished === undefined ? '' : '\n';
    const coloured = `\u001b[${colours[event.state]}m${signs[event.state]}\u001b[0m${line(event).slice(1)}`;
    unfinished = event.state === 'start' ? event.step : undefined;
    stream.write(before + coloured + (unfinished === undefined ? '\n' : ''));
  };
}

/** Which form suits the stream; colours and cursor movements only where a terminal asks for no plain text. */
export function progressForm({
  stream,
  env,
  json,
}: {
  stream: Terminal;
  env: NodeJS.ProcessEnv;
  json: boolean;
}): 'live' | 'plain' | 'json' {
  if (json) return 'json';
  const wantsPlain = Boolean(env['NO_COLOR']) || env['TERM'] === 'dumb';
  return stream.isTTY === true && !wantsPlain ? 'live' : 'plain';
}

function line({ step, state, detail }: ProgressEvent): string {
  return `${signs[state]} ${step}${detail === undefined ? '' : `: ${detail}`}`;
}
