// What this machine must have to run a node, and how to get it.

import { execFileSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { networkPlugins } from './containerd.ts';

const PROGRAMS = ['containerd', 'ctr', 'runc', 'iptables', 'ip', 'nsenter', 'umount'];
/** Debian's and Ubuntu's packages. */
const PACKAGES = ['containerd', 'runc', 'containernetworking-plugins', 'iptables', 'iproute2', 'util-linux'];

const isOnPath = (name: string): boolean =>
  (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

const missing = (): string[] => [...PROGRAMS.filter((name) => !isOnPath(name)), ...(networkPlugins() === undefined ? ['CNI plugins'] : [])];

/** One sentence that says why no node can run here, and what to do. */
export function whyNoNode(): string | undefined {
  if (process.platform !== 'linux') return 'a kubelet runs on Linux only';
  if (process.getuid?.() !== 0) return 'a kubelet needs root: run this as root';
  const absent = missing();
  if (absent.length === 0) return undefined;
  return `there is no ${absent.join(', ')}: install them (apt-get install --no-install-recommends ${PACKAGES.join(' ')})`;
}

/** For machines that are made for one run: the system's packages, as root, where apt-get is. */
export function installPackages(progress: (line: string) => void): void {
  if (process.platform !== 'linux' || process.getuid?.() !== 0 || missing().length === 0 || !isOnPath('apt-get')) return;
  progress(`installing ${PACKAGES.join(' ')}`);
  // RUNLEVEL=1: installed, but not started.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const apt = (...args: string[]) => execFileSync('apt-get', ['-qq', ...args], { env, stdio: ['ignore', 'ignore', 'ignore'] });
  try {
    apt('update');
    apt('install', '--yes', '--no-install-recommends', ...PACKAGES);
  } catch {
    progress('apt-get could not install them');
  }
}
