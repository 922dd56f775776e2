// The controller's answers to the gateway's own pods: whose token it is, who is woken, and which pod may go.

import type { Logger } from 'pino';
import { createInternalApi, type InternalApi, type Reviewed } from '../api/internal-api.ts';
import type { Settings } from '../config/settings.ts';
import type { KubeApi } from '../runtime/k8s/api.ts';
import type { Controller } from '../runtime/k8s/controller/controller.ts';
import { createMayGo } from '../runtime/k8s/controller/leaving.ts';
import { WAKE_ANNOTATION } from '../runtime/k8s/controller/scale.ts';
import type { UseBoard } from '../runtime/k8s/controller/use-board.ts';
import { type Pod, RELEASED_ANNOTATION } from '../runtime/k8s/instances.ts';
import { MCP_BACKENDS, PODS } from '../runtime/k8s/objects.ts';
import type { Transport } from '../runtime/k8s/transport.ts';

const AUDIENCE = 'mcp-gateway-controller';
/** Service account of the gateway's pods. */
const GATEWAY = 'mcp-gateway';
const POD_UID = 'authentication.kubernetes.io/pod-uid';
const TIMEOUT_MS = 5_000;
/** Many gateways ask at once, and each asks again: one mark in so long is enough. */
const WAKE_AGAIN_MS = 5_000;

export interface InternalOptions {
  readonly settings: Pick<Settings, 'namespace' | 'gatewayNamespace' | 'drainIdleMs'>;
  readonly transport: Pick<Transport, 'ask'>;
  readonly api: Pick<KubeApi, 'patch'>;
  readonly board: UseBoard;
  readonly controller: Pick<Controller, 'view'>;
  readonly log: Logger;
}

export function createInternal({ settings, transport, api, board, controller, log }: InternalOptions): InternalApi {
  const { namespace, gatewayNamespace, drainIdleMs } = settings;

  const review = async (token: string): Promise<Reviewed | undefined> => {
    const asked = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', spec: { token, audiences: [AUDIENCE] } };
    const { status = {} } = (await transport.ask({
      ...{ method: 'POST', path: '/apis/authentication.k8s.io/v1/tokenreviews', body: asked, signal: AbortSignal.timeout(TIMEOUT_MS) },
    })) as {
      status?: {
        authenticated?: boolean;
        audiences?: readonly string[];
        user?: { username?: string; extra?: Readonly<Record<string, readonly string[]>> };
      };
    };
    const { authenticated = false, audiences = [], user } = status;
    // An API server that knows no audiences answers without them: the token may be for anybody.
    if (!authenticated || !audiences.includes(AUDIENCE) || user?.username === undefined) return undefined;
    return { username: user.username, podUid: user.extra?.[POD_UID]?.[0] };
  };

  const podOf = (uid: string): Pod | undefined => {
    for (const name of controller.view.backendsWithPods()) {
      const pod = controller.view.pods(name).find(({ metadata }) => metadata.uid === uid);
      if (pod) return pod;
    }
    return undefined;
  };
  const release = ({ metadata: { name, uid } }: Pod): void => {
    const metadata = { ...(uid !== undefined && { uid }), annotations: { [RELEASED_ANNOTATION]: new Date().toISOString() } };
    // It is asked for again.
    api.patch(PODS, name, namespace, { metadata }).catch((err: unknown) => log.warn({ err, pod: name }, 'pod not released'));
  };

  return createInternalApi({
    review,
    gatewayAccount: `system:serviceaccount:${gatewayNamespace}:${GATEWAY}`,
    backendAccounts: `system:serviceaccount:${namespace}:`,
    report: board.put,
    async wake(backend) {
      const object = controller.view.backends.get(`${namespace}/${backend}`);
      const { toZeroAfter } = (object?.['spec'] as { scaling?: { toZeroAfter?: string } } | undefined)?.scaling ?? {};
      // Others have as many pods as they ever will have.
      if (!object || toZeroAfter === undefined) return;
      const before = object.metadata.annotations?.[WAKE_ANNOTATION];
      if (before !== undefined && Date.now() - Date.parse(before) < WAKE_AGAIN_MS) return;
      await api.patch(MCP_BACKENDS, backend, namespace, { metadata: { annotations: { [WAKE_ANNOTATION]: new Date().toISOString() } } });
      log.info({ backend }, 'woken');
    },
    mayGo: createMayGo({ board, podOf, release, drainIdleMs }),
  });
}
