// The generated pages of docs/ are what their tables say.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { generatedPages } from '../scripts/generated-pages.ts';

it.each(generatedPages())('$file is up to date (else: npm run docs)', ({ file, content }) => {
  expect(readFileSync(resolve(import.meta.dirname, '..', file), 'utf8')).toBe(content);
});
