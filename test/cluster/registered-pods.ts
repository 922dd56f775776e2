// Real processes that stand on the API server as pods of a backend, where no kubelet and no controllers run.

import { randomUUID } from 'node:crypto';
import { createKubeApi, type KubeApi } from '../../src/runtime/k8s/api.ts';
import { ENDPOINT_SLICES, type KubeObject, PODS, pathOf } from '../../src/runtime/k8s/objects.ts';
import type { Transport } from '../../src/runtime/k8s/transport.ts';
import { ownAddress } from '../harness/own-address.ts';
import { type ServerProcess, startServer } from '../harness/server-process.ts';

const RESTRICTED = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };

export interface RegisteredPod {
  readonly name: string;
  readonly uid: string;
  readonly pid: number;
  /** What the kubelet and the endpoint controller would say of it. */
  say(conditions: { readonly ready: boolean; readonly terminating?: boolean }): Promise<void>;
  /** As `kubectl delete pod`: it has to go, and may take so long. The objects stay until `remove`. */
  leave(graceSeconds: number): Promise<void>;
  /** The process is replaced, as the kubelet restarts a container. */
  restart(): Promise<void>;
  /** The process is killed; nothing is said of it. */
  kill(): Promise<void>;
  /** The process ends, and the objects go. */
  remove(): Promise<void>;
}

export interface PodWorld {
  add(backend: string, env?: Readonly<Record<string, string>>): Promise<RegisteredPod>;
  close(): Promise<void>;
}

export function createPodWorld(transport: Transport, namespace: string): PodWorld {
  const api: KubeApi = createKubeApi(transport);
  const pods = new Set<RegisteredPod>();
  const ip = ownAddress();

  const add = async (backend: string, env: Readonly<Record<string, string>> = {}): Promise<RegisteredPod> => {
    const name = `${backend}-7d9f5c6b4-${randomUUID().slice(0, 5)}`;
    let server: ServerProcess = await startServer('counter-server', { ...env, HOST: ip });
    const port = Number(new URL(server.url).port);
    let restarts = 0;
    const labels = { 'mcpgateway.dev/backend': backend };
    const { metadata } = await api.create(PODS, {
      metadata: {
        ...{ name, namespace, labels },
        ownerReferences: [{ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `${backend}-7d9f5c6b4`, uid: randomUUID(), controller: true }],
      },
      spec: {
        containers: [{ name: 'server', image: 'example.com/server:1', securityContext: RESTRICTED }],
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
        // Of no kubelet: whoever deletes it has to remove it.
        nodeName: 'node',
        terminationGracePeriodSeconds: 30,
      },
    } as KubeObject);
    const status = (): Promise<KubeObject> =>
      api.patch(
        PODS,
        name,
        namespace,
        {
          status: {
            ...{ phase: 'Running', podIP: ip, podIPs: [{ ip }] },
            containerStatuses: [
              { name: 'server', restartCount: restarts, ready: true, image: 'example.com/server:1', imageID: '', state: { running: {} } },
            ],
          },
        },
        undefined,
        'status',
      );
    await status();
    const sliceOf = (ready: boolean, terminating: boolean): KubeObject => ({
      metadata: { name, namespace, labels: { ...labels, 'kubernetes.io/service-name': backend } },
      addressType: 'IPv4',
      ports: [{ name: 'mcp', port, protocol: 'TCP' }],
      endpoints: [
        {
          addresses: [ip],
          conditions: { ready: ready && !terminating, serving: ready, terminating },
          targetRef: { kind: 'Pod', namespace, name, uid: metadata.uid },
        },
      ],
    });
    await api.apply(ENDPOINT_SLICES, sliceOf(true, false), { fieldManager: 'test', force: true });
    const pod: RegisteredPod = {
      name,
      uid: metadata.uid ?? '',
      get pid() {
        return server.pid;
      },
      async say({ ready, terminating = false }) {
        await api.apply(ENDPOINT_SLICES, sliceOf(ready, terminating), { fieldManager: 'test', force: true });
      },
      async leave(graceSeconds) {
        const path = `${pathOf(PODS, namespace, name)}?gracePeriodSeconds=${graceSeconds}`;
        await transport.ask({ method: 'DELETE', path, signal: AbortSignal.timeout(10_000) });
        await pod.say({ ready: false, terminating: true });
      },
      async restart() {
        process.kill(server.pid, 'SIGKILL');
        await server.stop();
        server = await startServer('counter-server', { ...env, HOST: ip, PORT: String(port) });
        restarts += 1;
        await status();
      },
      async kill() {
        process.kill(server.pid, 'SIGKILL');
        await server.stop();
      },
      async remove() {
        pods.delete(pod);
        await server.stop();
        await api.delete(ENDPOINT_SLICES, name, namespace);
        const path = `${pathOf(PODS, namespace, name)}?gracePeriodSeconds=0`;
        await transport.ask({ method: 'DELETE', path, signal: AbortSignal.timeout(10_000) });
      },
    };
    pods.add(pod);
    return pod;
  };

  return {
    add,
    async close() {
      await Promise.all([...pods].map((pod) => pod.remove()));
    },
  };
}
