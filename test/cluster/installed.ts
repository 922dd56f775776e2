// An API server on which the gateway is installed as `kubectl apply -k k8s` does it: custom resources, service accounts and what they may.

import { fileURLToPath } from 'node:url';
import { createKubeApi, type KubeApi } from '../../src/runtime/k8s/api.ts';
import { openTransport, type Transport } from '../../src/runtime/k8s/transport.ts';
import { type ApiServer, type ApiServerOptions, startApiServer } from './api-server.ts';

const BASE = fileURLToPath(new URL('../../k8s', import.meta.url));

export interface Installed {
  readonly server: ApiServer;
  /** An administrator's. */
  readonly transport: Transport;
  readonly api: KubeApi;
  /** With the rights of the gateway's and the controller's pods. */
  readonly kubeconfigs: { readonly gateway: string; readonly controller: string };
  readonly namespace: string;
  readonly gatewayNamespace: string;
  close(): Promise<void>;
}

export async function startInstalled(options: ApiServerOptions = {}): Promise<Installed> {
  const server = await startApiServer(options);
  try {
    await server.kubectl(['apply', '--server-side', '-k', BASE]);
    const transport = await openTransport({ kubeconfig: server.kubeconfig });
    const [namespace, gatewayNamespace] = ['mcp', 'mcp-gateway'];
    return {
      ...{ server, transport, api: createKubeApi(transport), namespace, gatewayNamespace },
      kubeconfigs: {
        gateway: await server.kubeconfigOf('mcp-gateway', gatewayNamespace),
        controller: await server.kubeconfigOf('mcp-gateway-controller', gatewayNamespace),
      },
      async close() {
        transport.close();
        await server.stop();
      },
    };
  } catch (error) {
    await server.stop();
    throw error;
  }
}
