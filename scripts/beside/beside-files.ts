// The files of k8s/beside that are made of envoy/envoy.yaml.

import { envoyGatewayPolicies } from './envoy-gateway.ts';
import { istioFilter } from './istio.ts';
import { plainEnvoy, plainEnvoySecrets } from './plain-envoy.ts';

export function besideFiles(): { readonly file: string; readonly content: string }[] {
  return [
    { file: 'k8s/beside/envoy/envoy.yaml', content: plainEnvoy() },
    ...plainEnvoySecrets().map(({ name, text }) => ({ file: `k8s/beside/envoy/${name}`, content: text })),
    { file: 'k8s/beside/envoy-gateway/policies.yaml', content: envoyGatewayPolicies() },
    { file: 'k8s/beside/istio/envoy-filter.yaml', content: istioFilter() },
  ];
}
