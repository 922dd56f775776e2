// What the three forms of progress print, byte for byte.

import { stripVTControlCharacters } from 'node:util';
import { expect, it } from 'vitest';
import { createProgress, type ProgressEvent, progressForm } from './progress.ts';

const events: readonly ProgressEvent[] = [
  { step: 'Envoy', state: 'start' },
  { step: 'Envoy', state: 'start', detail: 'downloading' },
  { step: 'Envoy', state: 'done', detail: '1.40.0' },
  { step: 'sidecar', state: 'start' },
  { step: 'memory', state: 'fail', detail: 'no npm' },
];

function printed(form: 'live' | 'plain' | 'json'): string {
  let text = '';
  const progress = createProgress({ stream: { write: (piece) => (text += piece) }, form });
  for (const event of events) progress(event);
  return text;
}

it('plain: one line for each event, no control characters', () => {
  expect(printed('plain')).toBe('… Envoy\n… Envoy: downloading\n✔ Envoy: 1.40.0\n… sidecar\n✘ memory: no npm\n');
});

it('live: a step overwrites its own line, never that of another step', () => {
  const visible = stripVTControlCharacters(printed('live'));
  expect(printed('live').split('\u001b[2K')).toHaveLength(3);
  expect(visible).toBe('… Envoy\r… Envoy: downloading\r✔ Envoy: 1.40.0\n… sidecar\n✘ memory: no npm\n');
});

it('json: one object per line', () => {
  const lines = printed('json').trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toEqual(events.map((event) => ({ event: 'progress', ...event })));
});

it('is live on terminals that did not ask for plain text', () => {
  const terminal = { isTTY: true, write: () => true };
  expect(progressForm({ stream: terminal, env: {}, json: false })).toBe('live');
  expect(progressForm({ stream: terminal, env: { NO_COLOR: '1' }, json: false })).toBe('plain');
  expect(progressForm({ stream: terminal, env: { TERM: 'dumb' }, json: false })).toBe('plain');
  expect(progressForm({ stream: { write: () => true }, env: {}, json: false })).toBe('plain');
  expect(progressForm({ stream: terminal, env: {}, json: true })).toBe('json');
});
