// What a backend may say on one machine but not in a cluster. k8s/crds has the same rules: scripts/crd/backend-rules.ts.

import type { RuleProblem } from './backend-rules.ts';
import type { BackendSpec } from './backend-spec.ts';

/** After the image. */
export const EXEC_REFUSED = 'is a program of one machine: a cluster runs container images, npm:… and pypi:…';
export const STDIO_NEEDS_COMMAND =
  'transport: stdio with a container image needs the command to run, and an image that is built on the runner image';

/** Why a declared backend cannot run in a cluster; undefined when it can. */
export function clusterProblem({ image, transport, args }: BackendSpec): RuleProblem | undefined {
  if (image?.kind === 'exec') return { path: ['spec', 'image'], message: `${image.text} ${EXEC_REFUSED}` };
  const lacksCommand = image?.kind === 'oci' && transport === 'stdio' && args.length === 0;
  return lacksCommand ? { path: ['spec', 'args'], message: STDIO_NEEDS_COMMAND } : undefined;
}
