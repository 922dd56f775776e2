// Which files are generated, and from what: pages of docs/, the custom resources in k8s/crds, parts of the chart, and what stands beside other gateways.

import { errorsPage } from '../src/core/reasons.ts';
import { besideFiles } from './beside/beside-files.ts';
import { chartFiles } from './chart/chart-files.ts';
import { crdFiles } from './crd/crds.ts';
import { resourcesPage } from './resources-page.ts';
import { settingsPage } from './settings-page.ts';

/** `file` is relative to the repository. */
export interface GeneratedPage {
  readonly file: string;
  readonly content: string;
}

/** Every generated file with what it must hold now. */
export function generatedPages(): readonly GeneratedPage[] {
  return [
    { file: 'docs/config.md', content: settingsPage() },
    { file: 'docs/errors.md', content: errorsPage() },
    { file: 'docs/resources.md', content: resourcesPage() },
    ...crdFiles,
    ...chartFiles,
    ...besideFiles(),
  ];
}
