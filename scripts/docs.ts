// `npm run docs`: writes the pages that are generated from tables in the source. test/docs.test.ts fails when one is out of date.

import { writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { generatedPages } from './generated-pages.ts';

for (const { file, content } of generatedPages()) writeFileSync(resolve(import.meta.dirname, '..', file), content);
