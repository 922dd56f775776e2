// A real Kubernetes API server with its etcd, on free ports of loopback and in a temporary folder; the controllers too, if asked for.

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../harness/free-port.ts';
import { waitFor } from '../harness/wait-for.ts';
import { binary } from './assets.ts';
import { type Daemon, startDaemon } from './daemon.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { createKubectl, type Kubectl } from './kubectl.ts';

const START_TIMEOUT_MS = 120_000;
/** Somebody else may take a free port first. */
const STARTS = 3;
const HEALTH_PATHS = ['/healthz', '/livez', '/readyz'];

export interface ApiServer {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  readonly caFile: string;
  /** Of the group `system:masters`. */
  readonly token: string;
  /** Of the same. */
  readonly kubeconfig: string;
  readonly kubectl: Kubectl;
  /** Its temporary folder, with logs in it. */
  readonly folder: string;
  /** A kubeconfig for a service account, which is made if it is not there. */
  kubeconfigOf(serviceAccount: string, namespace: string): Promise<string>;
  /** A token of a service account as a pod has it mounted. */
  tokenOf(serviceAccount: string, namespace: string, audience?: string): Promise<string>;
  /** Kills the API server, as a crash does: whoever watches sees a broken connection. Its data stay. */
  kill(): Promise<void>;
  /** Starts it again, at the same address; waits until it is ready. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface ApiServerOptions {
  /** Runs kube-controller-manager: all of its controllers, or those that are named (`garbage-collector-controller`). */
  readonly controllers?: boolean | readonly string[];
  /** Further flags of kube-apiserver. */
  readonly args?: readonly string[];
}

/** @throws Error with the last words of what did not start */
export async function startApiServer(options: ApiServerOptions = {}): Promise<ApiServer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startOnce(options);
    } catch (error) {
      if (attempt === STARTS || !/address already in use/.test((error as Error).message)) throw error;
    }
  }
}

async function startOnce({ controllers = false, args = [] }: ApiServerOptions): Promise<ApiServer> {
  const folder = mkdtempSync(join(tmpdir(), 'api-server-'));
  const [etcdPort, peerPort, port] = [await freePort(), await freePort(), await freePort()];
  const url = `https://127.0.0.1:${port}`;
  const token = randomBytes(16).toString('hex');
  const controllerToken = randomBytes(16).toString('hex');
  const files = writeCredentials(folder, [
    [token, 'admin', 'system:masters'],
    [controllerToken, 'system:kube-controller-manager', ''],
  ]);
  const running: Daemon[] = [];
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once('exit', remove);
  const stop = async (): Promise<void> => {
    for (const daemon of running.toReversed()) await daemon.stop('SIGKILL');
    remove();
    process.off('exit', remove);
  };
  const launch = (name: 'etcd' | 'kube-apiserver' | 'kube-controller-manager', all: readonly string[]): Daemon => {
    const daemon = startDaemon({ command: binary(name), args: all, logFile: join(folder, `${name}.log`) });
    running.push(daemon);
    return daemon;
  };

  const etcdUrl = `http://127.0.0.1:${etcdPort}`;
  let server: Daemon | undefined;
  const start = async (): Promise<void> => {
    const daemon = launch('kube-apiserver', [
      ...[`--etcd-servers=${etcdUrl}`, `--secure-port=${port}`, '--bind-address=127.0.0.1', '--advertise-address=127.0.0.1'],
      ...apiServerArgs(files),
      '--authorization-mode=RBAC',
      '--endpoint-reconciler-type=none',
      // Without controllers nobody makes the account that this plugin wants for each pod.
      ...(controllers === true ? [] : ['--disable-admission-plugins=ServiceAccount']),
      ...args,
    ]);
    server = daemon;
    await untilReady({ url, caFile: files.ca, token, daemon });
  };

  try {
    launch('etcd', etcdArgs(folder, etcdUrl, `http://127.0.0.1:${peerPort}`));
    await start();
    const ca = readFileSync(files.ca, 'utf8');
    const kubeconfig = writeKubeconfig(join(folder, 'admin.kubeconfig'), { url, ca, token });
    const kubectl = createKubectl(kubeconfig);
    if (controllers !== false) {
      const own = writeKubeconfig(join(folder, 'controllers.kubeconfig'), { url, ca, token: controllerToken });
      const which = controllers === true ? [] : [`--controllers=${controllers.join(',')}`];
      launch('kube-controller-manager', [...controllerManagerArgs(own, files), '--secure-port=0', ...which]);
    }
    const tokenOf = async (serviceAccount: string, namespace: string, audience?: string): Promise<string> => {
      await kubectl.apply({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: serviceAccount, namespace } });
      const asked = audience === undefined ? [] : ['--audience', audience];
      return (await kubectl(['create', 'token', serviceAccount, '-n', namespace, ...asked])).trim();
    };
    return {
      ...{ url, ca, caFile: files.ca, token, kubeconfig, kubectl, folder, tokenOf, start, stop },
      async kubeconfigOf(serviceAccount, namespace) {
        const file = join(folder, `${namespace}.${serviceAccount}.kubeconfig`);
        return writeKubeconfig(file, { url, ca, token: await tokenOf(serviceAccount, namespace) });
      },
      kill: async () => server?.stop('SIGKILL'),
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

export interface CredentialFiles {
  /** The API server makes its own certificate, and the authority for it, when it starts for the first time. */
  readonly ca: string;
  readonly certificates: string;
  readonly serviceAccountKey: string;
  readonly serviceAccountPublicKey: string;
  readonly tokens: string;
  readonly authentication: string;
}

/** @param users token, name and group of each */
export function writeCredentials(
  folder: string,
  users: readonly (readonly [token: string, name: string, group: string])[],
): CredentialFiles {
  const certificates = join(folder, 'certificates');
  mkdirSync(certificates);
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  // Nobody may ask anything without credentials, but whether the server is up.
  const authentication = {
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    anonymous: { enabled: true, conditions: HEALTH_PATHS.map((path) => ({ path })) },
  };
  return {
    ca: join(certificates, 'apiserver.crt'),
    certificates,
    serviceAccountKey: write('service-accounts.key', privateKey.export({ type: 'sec1', format: 'pem' }) as string),
    serviceAccountPublicKey: write('service-accounts.pub', publicKey.export({ type: 'spki', format: 'pem' }) as string),
    tokens: write('tokens.csv', users.map(([token, name, group]) => `${token},${name},${name},"${group}"\n`).join('')),
    authentication: write('authentication.json', JSON.stringify(authentication)),
  };
}

export const etcdArgs = (folder: string, url: string, peerUrl: string): string[] => [
  `--data-dir=${join(folder, 'etcd')}`,
  // Killing the process loses nothing without it; only a crash of the machine would.
  '--unsafe-no-fsync',
  ...[`--listen-client-urls=${url}`, `--advertise-client-urls=${url}`],
  ...[`--listen-peer-urls=${peerUrl}`, `--initial-advertise-peer-urls=${peerUrl}`, `--initial-cluster=default=${peerUrl}`],
];

export const apiServerArgs = (files: CredentialFiles): string[] => [
  `--cert-dir=${files.certificates}`,
  `--token-auth-file=${files.tokens}`,
  `--authentication-config=${files.authentication}`,
  '--service-account-issuer=https://kubernetes.default.svc',
  `--service-account-key-file=${files.serviceAccountPublicKey}`,
  `--service-account-signing-key-file=${files.serviceAccountKey}`,
  '--service-cluster-ip-range=10.96.0.0/16',
  '--allow-privileged=true',
  '--profiling=false',
];

export const controllerManagerArgs = (kubeconfig: string, files: CredentialFiles): string[] => [
  ...[`--kubeconfig=${kubeconfig}`, `--authentication-kubeconfig=${kubeconfig}`, `--authorization-kubeconfig=${kubeconfig}`],
  `--service-account-private-key-file=${files.serviceAccountKey}`,
  `--root-ca-file=${files.ca}`,
  '--use-service-account-credentials',
  '--leader-elect=false',
  '--bind-address=127.0.0.1',
  // With its own limit of 20 requests a second, tests with many objects would wait for it.
  ...['--kube-api-qps=200', '--kube-api-burst=400'],
];

export interface Readiness {
  readonly url: string;
  readonly caFile: string;
  readonly token: string;
  readonly daemon: Daemon;
}

/** Ready, with the roles and the flow schemas that it makes for itself. */
export async function untilReady({ url, caFile, token, daemon }: Readiness): Promise<void> {
  const died = new AbortController();
  const isReady = async (): Promise<boolean> => {
    if (!daemon.isAlive()) died.abort(new Error(`kube-apiserver has ended:\n${daemon.tail()}`));
    return existsSync(caFile) && (await statusOf(`${url}/readyz`, caFile, token)) === 200;
  };
  await waitFor('the API server to be ready', isReady, { timeoutMs: START_TIMEOUT_MS, signal: died.signal });
}

function statusOf(url: string, caFile: string, token: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const options = { ca: readFileSync(caFile), headers: { authorization: `Bearer ${token}` }, agent: false as const, timeout: 10_000 };
    const asked = request(url, options, (answer) => {
      answer.resume();
      resolve(answer.statusCode ?? 0);
    });
    asked.once('error', reject).once('timeout', () => asked.destroy(new Error('no answer in time')));
    asked.end();
  });
}
