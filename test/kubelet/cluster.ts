// A whole Kubernetes with one node, in a network of its own: API server, controllers, scheduler, containerd, kubelet, kube-proxy and DNS.

import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { apiServerArgs, controllerManagerArgs, etcdArgs, untilReady, writeCredentials } from '../cluster/api-server.ts';
import { type Binary, binary } from '../cluster/assets.ts';
import { type Daemon, startDaemon } from '../cluster/daemon.ts';
import { writeKubeconfig } from '../cluster/kubeconfig.ts';
import { createKubectl } from '../cluster/kubectl.ts';
import { waitFor } from '../harness/wait-for.ts';
import { loadImages, PAUSE_IMAGE, startContainerd } from './containerd.ts';
import { startDns } from './dns.ts';
import { CGROUP, CONTAINERD_SOCKET, FOLDER, isInNetwork, LINKS, makeCgroup, removeLeftovers } from './place.ts';

const NODE = 'node1';
/** Addresses of the node, of the Service `kubernetes` and of DNS: all on loopback, where pods reach them through their gateway. */
const NODE_IP = '10.77.0.1';
const API_SERVICE_IP = '10.96.0.1';
const SERVICE_NETWORK = '10.96.0.0/16';
const DNS_SERVICE_IP = '10.96.0.10';

export interface Cluster {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  /** Of the group `system:masters`. */
  readonly token: string;
  readonly kubeconfig: string;
  stop(): Promise<void>;
}

/** @throws Error with the last words of what did not start */
export async function startCluster(): Promise<Cluster> {
  if (!isInNetwork()) throw new Error('the node needs a network of its own: start these tests by `npm run test:kubelet`');
  await removeLeftovers();
  mkdirSync(FOLDER);
  let dns: { close(): void } | undefined;
  const stop = async (): Promise<void> => {
    dns?.close();
    await removeLeftovers();
  };
  try {
    setUpNetwork();
    makeCgroup();
    const [server] = await Promise.all([startControlPlane(), startContainerd().then(loadPause)]);
    dns = await startDns(DNS_SERVICE_IP, server);
    startNode(server);
    await untilNodeIsReady(server);
    return { url: server.url, ca: server.ca, token: server.token, kubeconfig: server.kubeconfig, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

const loadPause = (): Promise<void> =>
  loadImages({ reference: PAUSE_IMAGE, entrypoint: ['/pause'], layers: [{ '/pause': binary('pause') }] });

/** Processes of the node need a route to a Service before kube-proxy can send them elsewhere. */
function setUpNetwork(): void {
  const ip = (...args: string[]) => execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  ip('link', 'set', 'lo', 'up');
  for (const address of [NODE_IP, API_SERVICE_IP, DNS_SERVICE_IP]) ip('address', 'replace', `${address}/32`, 'dev', 'lo');
  ip('link', 'add', LINKS.services, 'type', 'bridge');
  ip('link', 'set', LINKS.services, 'up');
  ip('route', 'add', SERVICE_NETWORK, 'dev', LINKS.services, 'src', NODE_IP);
  writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
}

interface ControlPlane {
  readonly url: string;
  readonly ca: string;
  readonly token: string;
  readonly kubeconfig: string;
  kubeconfigOf(user: User): string;
}

/** What Kubernetes calls them, and the group that gives rights to those whom no binding names. */
const USERS = {
  controllers: ['system:kube-controller-manager', ''],
  scheduler: ['system:kube-scheduler', ''],
  node: [`system:node:${NODE}`, 'system:nodes'],
  proxy: ['system:kube-proxy', ''],
} as const;
type User = keyof typeof USERS;

const launch = (name: Binary, args: readonly string[]): Daemon =>
  startDaemon({ command: binary(name), args, logFile: join(FOLDER, `${name}.log`) });

async function startControlPlane(): Promise<ControlPlane> {
  const [url, etcdUrl] = [`https://${NODE_IP}`, 'http://127.0.0.1:2379'];
  const token = randomBytes(16).toString('hex');
  const tokens = Object.fromEntries(Object.keys(USERS).map((user) => [user, randomBytes(16).toString('hex')])) as Record<User, string>;
  const users = Object.entries(USERS).map(([user, [name, group]]) => [tokens[user as User], name, group] as const);
  const files = writeCredentials(FOLDER, [[token, 'admin', 'system:masters'], ...users]);
  launch('etcd', etcdArgs(FOLDER, etcdUrl, 'http://127.0.0.1:2380'));
  const daemon = launch('kube-apiserver', [
    ...[`--etcd-servers=${etcdUrl}`, '--secure-port=443', '--bind-address=0.0.0.0', `--advertise-address=${NODE_IP}`],
    ...apiServerArgs(files),
    '--authorization-mode=Node,RBAC',
    '--enable-admission-plugins=NodeRestriction',
    '--kubelet-preferred-address-types=InternalIP',
  ]);
  await untilReady({ url, caFile: files.ca, token, daemon });
  const ca = readFileSync(files.ca, 'utf8');
  const kubeconfigOf = (user: User) => writeKubeconfig(join(FOLDER, `${user}.kubeconfig`), { url, ca, token: tokens[user] });
  // A node that says nothing is lost after 20 s instead of 50.
  launch('kube-controller-manager', [...controllerManagerArgs(kubeconfigOf('controllers'), files), '--node-monitor-grace-period=20s']);
  const scheduler = kubeconfigOf('scheduler');
  const access = ['--kubeconfig', '--authentication-kubeconfig', '--authorization-kubeconfig'].map((flag) => `${flag}=${scheduler}`);
  launch('kube-scheduler', [...access, '--leader-elect=false', '--bind-address=127.0.0.1']);
  return { url, ca, token, kubeconfig: writeKubeconfig(join(FOLDER, 'admin.kubeconfig'), { url, ca, token }), kubeconfigOf };
}

function startNode({ kubeconfigOf }: ControlPlane): void {
  const write = (name: string, config: object): string => {
    writeFileSync(join(FOLDER, name), JSON.stringify(config));
    return join(FOLDER, name);
  };
  const root = join(FOLDER, 'kubelet');
  const folders = [`--root-dir=${root}`, `--cert-dir=${join(root, 'pki')}`];
  const who = [`--kubeconfig=${kubeconfigOf('node')}`, `--hostname-override=${NODE}`, `--node-ip=${NODE_IP}`];
  launch('kubelet', [`--config=${write('kubelet.json', kubeletConfig)}`, ...who, ...folders]);
  launch('kube-proxy', [`--config=${write('kube-proxy.json', proxyConfig(kubeconfigOf('proxy')))}`]);
}

const kubeletConfig = {
  apiVersion: 'kubelet.config.k8s.io/v1beta1',
  kind: 'KubeletConfiguration',
  containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
  ...{ cgroupDriver: 'cgroupfs', cgroupRoot: `/${CGROUP}`, failCgroupV1: false, failSwapOn: false, enforceNodeAllocatable: [] },
  // Nobody but the tests and their pods can reach it.
  ...{ authentication: { anonymous: { enabled: true }, webhook: { enabled: false } }, authorization: { mode: 'AlwaysAllow' } },
  ...{ address: NODE_IP, healthzBindAddress: '127.0.0.1', makeIPTablesUtilChains: false },
  ...{ resolvConf: '/dev/null', clusterDNS: [DNS_SERVICE_IP], clusterDomain: 'cluster.local' },
  // The machine's own disk may be as full as it likes.
  evictionHard: {
    'memory.available': '1Mi',
    'nodefs.available': '0%',
    'imagefs.available': '0%',
    'nodefs.inodesFree': '0%',
    'imagefs.inodesFree': '0%',
  },
  ...{ imageGCHighThresholdPercent: 100, imageGCLowThresholdPercent: 99, imagePullCredentialsVerificationPolicy: 'NeverVerify' },
  ...{ podLogsDir: join(FOLDER, 'pod-logs'), volumePluginDir: join(FOLDER, 'volume-plugins') },
  ...{ maxPods: 60, nodeStatusUpdateFrequency: '5s', syncFrequency: '10s' },
};

const proxyConfig = (kubeconfig: string) => ({
  apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
  kind: 'KubeProxyConfiguration',
  mode: 'iptables',
  clientConnection: { kubeconfig },
  clusterCIDR: '10.244.0.0/16',
  hostnameOverride: NODE,
  // The limits of the machine are not ours to change.
  conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  healthzBindAddress: '127.0.0.1:10256',
  metricsBindAddress: '127.0.0.1:10249',
});

async function untilNodeIsReady({ kubeconfig }: ControlPlane): Promise<void> {
  const kubectl = createKubectl(kubeconfig);
  await waitFor(
    'the node to be ready',
    async () => {
      const ready = '-o=jsonpath={.status.conditions[?(@.type=="Ready")].status}';
      return (await kubectl(['get', 'node', NODE, ready])) === 'True';
    },
    { timeoutMs: 90_000 },
  );
}
