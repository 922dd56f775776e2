// Which files are generated, and from what.

import { errorsPage } from '../src/core/reasons.ts';
import { envoyGatewayPolicies } from './beside/envoy-gateway.ts';
import { plainEnvoy, plainEnvoySecrets } from './beside/plain-envoy.ts';
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
    { file: 'k8s/beside/envoy-gateway/policies.yaml', content: envoyGatewayPolicies() },
    { file: 'k8s/beside/envoy/envoy.yaml', content: plainEnvoy() },
    ...plainEnvoySecrets().map(({ name, text }) => ({ file: `k8s/beside/envoy/${name}`, content: text })),
  ];
}
