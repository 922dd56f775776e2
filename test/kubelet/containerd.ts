// containerd for the node, in its folder and with its own socket, and the images that tests give it.

import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type Daemon, startDaemon } from '../cluster/daemon.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type ImageOptions, makeImages } from './image.ts';
import { CONTAINERD_SOCKET, FOLDER, LINKS } from './place.ts';

export const PAUSE_IMAGE = 'docker.io/test/pause:1';
export const POD_NETWORK = '10.244.0.0/24';

/** Debian's, and everybody else's. */
const PLUGIN_FOLDERS = ['/usr/lib/cni', '/opt/cni/bin'];
const IMPORT_TIMEOUT_MS = 120_000;

/** The folder with the programs that give pods their addresses. */
export const networkPlugins = (): string | undefined =>
  PLUGIN_FOLDERS.find((folder) => ['bridge', 'host-local', 'loopback'].every((name) => existsSync(join(folder, name))));

export async function startContainerd(): Promise<Daemon> {
  const networks = join(FOLDER, 'networks');
  mkdirSync(networks, { recursive: true });
  writeFileSync(join(networks, '10-bridge.conflist'), JSON.stringify(bridge));
  const config = join(FOLDER, 'containerd.toml');
  writeFileSync(config, configuration(networks, networkPlugins() ?? ''));
  const daemon = startDaemon({ command: 'containerd', args: ['--config', config], logFile: join(FOLDER, 'containerd.log') });
  await waitFor('containerd to answer', async () => {
    daemon.check();
    await ctr(['version']);
    return true;
  });
  return daemon;
}

/** Makes images from files of this machine and gives them to the node. Pods need `imagePullPolicy: Never` or `IfNotPresent`. */
export async function loadImages(...images: readonly ImageOptions[]): Promise<void> {
  const work = mkdtempSync(join(tmpdir(), 'image-'));
  try {
    const archive = join(work, 'image.tar');
    makeImages(archive, images);
    await ctr(['images', 'import', archive]);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Kills the process of a container without a word, as the machine does that has no memory left. `id`: as a pod's status names it. */
export async function killContainer(id: string): Promise<void> {
  await ctr(['tasks', 'kill', '--signal', 'SIGKILL', id.replace('containerd://', '')]);
}

const ctr = (args: readonly string[]) =>
  promisify(execFile)('ctr', ['--address', CONTAINERD_SOCKET, '--namespace', 'k8s.io', ...args], { timeout: IMPORT_TIMEOUT_MS });

const bridge = {
  cniVersion: '0.4.0',
  name: 'pods',
  plugins: [
    {
      type: 'bridge',
      bridge: LINKS.pods,
      isGateway: true,
      hairpinMode: true,
      ipam: { type: 'host-local', ranges: [[{ subnet: POD_NETWORK }]], routes: [{ dst: '0.0.0.0/0' }], dataDir: join(FOLDER, 'addresses') },
    },
  ],
};

/** The score for the killer of processes cannot be lowered where that capability is missing, as in many virtual machines; nor are there AppArmor's files. */
const configuration = (networks: string, plugins: string): string => `
version = 2
root = "${FOLDER}/containerd"
state = "${FOLDER}/containerd-state"
[grpc]
  address = "${CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE_IMAGE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${plugins}"
    conf_dir = "${networks}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
`;
