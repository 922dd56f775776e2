// Which pages of docs/ are generated, and from what.

import { errorsPage } from '../src/core/reasons.ts';
import { settingsPage } from './settings-page.ts';

/** `file` is relative to the repository. */
export interface GeneratedPage {
  readonly file: string;
  readonly content: string;
}

/** Every generated page with what it must hold now. */
export function generatedPages(): readonly GeneratedPage[] {
  return [
    { file: 'docs/config.md', content: settingsPage() },
    { file: 'docs/errors.md', content: errorsPage() },
  ];
}
