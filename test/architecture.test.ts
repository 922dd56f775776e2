// The shape of the source: imports go one way, one file reads the environment, files are small and say what they own.

import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { describe, expect, it } from 'vitest';

const MAX_LINES = 300;

/** Folders of src/ from top to bottom; a folder may import those of lower rows only, and its own files. */
const rows = [
  ['main.ts'],
  ['cli'],
  ['app'],
  ['envoy', 'http', 'api', 'mcp'],
  ['gateway', 'control'],
  ['identity', 'session', 'quota', 'directory', 'runtime'],
  ['telemetry', 'config'],
  ['core'],
];

/** The one contract that siblings share: its types, never its code. */
const sharedTypes = 'directory/snapshot.ts';

const src = resolve(import.meta.dirname, '../src');
const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => ({ name, text: readFileSync(join(src, name), 'utf8') }));
const productive = files.filter(({ name }) => !name.endsWith('.test.ts'));

/** `cli` for `cli/program.ts`, and `main.ts` for itself. */
const folderOf = (name: string) => name.split('/')[0] ?? name;
const rowOf = (name: string) => rows.findIndex((row) => row.includes(folderOf(name)));

interface Import {
  readonly from: string;
  readonly to: string;
  readonly typeOnly: boolean;
}

/** Relative imports of a file, static and dynamic, by the names of what they point to. */
function importsOf({ name, text }: { name: string; text: string }): Import[] {
  const found = text.matchAll(
    /(?:^|\n)\s*(?:import|export)\s+(type\s)?[^'";]*?from\s+'(\.[^']+)'|import\(\s*'(\.[^']+)'\s*\)|(?:^|\n)import\s+'(\.[^']+)'/g,
  );
  return [...found].map(([, type, from, dynamic, effect]) => ({
    from: name,
    to: relative(src, resolve(src, dirname(name), from ?? dynamic ?? effect ?? '')),
    typeOnly: type !== undefined,
  }));
}

function isAllowed({ from, to, typeOnly }: Import): boolean {
  if (folderOf(from) === folderOf(to)) return true;
  if (to === sharedTypes && typeOnly && rowOf(from) === rowOf(to)) return true;
  return rowOf(from) < rowOf(to);
}

describe('source files', () => {
  it('are found, with their imports', () => {
    expect(files.length).toBeGreaterThan(30);
    const upCommand = files.find(({ name }) => name === 'cli/up-command.ts');
    expect(upCommand && importsOf(upCommand).map(({ to }) => to)).toEqual(expect.arrayContaining(['app/up.ts', 'cli/program.ts']));
  });

  it('lie in a known folder', () => {
    expect(files.filter(({ name }) => rowOf(name) === -1).map(({ name }) => name)).toEqual([]);
  });

  it('import downwards only, and no siblings', () => {
    const wrong = productive.flatMap(importsOf).filter((one) => !isAllowed(one));
    expect(wrong.map(({ from, to }) => `${from} → ${to}`)).toEqual([]);
  });

  it('read the environment in one place', () => {
    const readers = productive.filter(({ text }) => {
      const code = text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
      return /\bprocess\s*\.\s*env\b|\bprocess\s*\[|=\s*process\s*;|from '(node:)?process'/.test(code);
    });
    expect(readers.map(({ name }) => name)).toEqual(['config/environment.ts']);
  });

  it(`have at most ${MAX_LINES} lines`, () => {
    const long = productive
      .map(({ name, text }) => ({ name, lines: text.trimEnd().split('\n').length }))
      .filter(({ lines }) => lines > MAX_LINES);
    expect(long).toEqual([]);
  });

  it('open with a sentence that says what they own', () => {
    const mute = files.filter(({ text }) => !opensWithSentence(text));
    expect(mute.map(({ name }) => name)).toEqual([]);
  });
});

/** A comment whose first paragraph ends like a sentence; a `#!` line may stand before it. */
function opensWithSentence(text: string): boolean {
  const lines = text.replace(/^#!.*\n/, '').split('\n');
  const end = lines.findIndex((line) => !line.startsWith('//'));
  const comment = lines
    .slice(0, end)
    .map((line) => line.slice(2).trim())
    .join(' ');
  return /^\S.{15,}[.!?]/.test(comment);
}
