// Where the node lives on this machine: one folder, one network namespace and one group of processes; and how all of it is removed.

import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '../harness/wait-for.ts';

export interface Place {
  /** Paths of sockets in it must be short. */
  readonly folder: string;
  readonly network: string;
  readonly cgroup: string;
}

const NAME = 'mcp-gateway-kubelet';
/** The process that has made the place of these tests, and removes it; several may run side by side. */
export const OWNER_VARIABLE = 'TEST_NODE_OWNER';

export function placeOf(owner: string | undefined): Place {
  const name = owner === undefined ? NAME : `${NAME}-${owner}`;
  return { folder: join(tmpdir(), name), network: name, cgroup: name };
}

const own = placeOf(process.env[OWNER_VARIABLE]);
export const { folder: FOLDER, cgroup: CGROUP } = own;
/** Bridges: one that holds the route to Services, one to which the pods are attached. */
export const LINKS = { services: 'services', pods: 'pods' } as const;
export const CONTAINERD_SOCKET = join(FOLDER, 'containerd.sock');

const CGROUPS = '/sys/fs/cgroup';
/** The kubelet links each container's log there. */
const LOG_LINKS = '/var/log/containers';

const linesOf = (file: string): string[] => readFileSync(file, 'utf8').trim().split('\n');
const folderNames = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name);

/** With version 1 each resource has a tree of groups of its own. */
const cgroupTrees = (): string[] => {
  const mounts = linesOf('/proc/mounts').map((line) => line.split(' '));
  const found = mounts.filter(([, point = '', type = '']) => point.startsWith(CGROUPS) && type.startsWith('cgroup'));
  return [...new Set(found.map(([, point = '']) => point))];
};

export function makeCgroup(): void {
  for (const tree of cgroupTrees()) {
    const group = join(tree, CGROUP);
    mkdirSync(group, { recursive: true });
    // A new group of this kind has no processor until it is given some.
    if (tree.endsWith('/cpuset'))
      for (const name of ['cpuset.cpus', 'cpuset.mems']) writeFileSync(join(group, name), readFileSync(join(tree, name)));
  }
}

/** This group and those in it, children first. */
function groupsIn(group: string): string[] {
  try {
    return [...folderNames(group).flatMap((name) => groupsIn(join(group, name))), group];
  } catch {
    return [];
  }
}

const pidsInCgroup = ({ cgroup }: Place): number[] => {
  const files = cgroupTrees().flatMap((tree) => groupsIn(join(tree, cgroup)).map((group) => join(group, 'cgroup.procs')));
  return [...new Set(files.flatMap((file) => attempt(() => linesOf(file)) ?? []))].filter((line) => line !== '').map(Number);
};

/** Programs that were started with a path in the folder: containerd's shims outlive containerd. */
const pidsOfFolder = ({ folder }: Place): number[] =>
  readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => attempt(() => readFileSync(join('/proc', pid, 'cmdline'), 'utf8'))?.includes(`${folder}/`))
    .map(Number);

function attempt<T>(action: () => T): T | undefined {
  try {
    return action();
  } catch {
    return undefined;
  }
}

/** Ends what still runs and removes everything but the network namespace. Works after a half-failed start, and after a killed run. */
export async function removeLeftovers(place: Place = own): Promise<void> {
  const { folder, cgroup } = place;
  await waitFor('the processes of the node to end', () => {
    const left = [...pidsOfFolder(place), ...pidsInCgroup(place)];
    for (const pid of left) attempt(() => process.kill(pid, 'SIGKILL'));
    return left.length === 0;
  });
  const mounts = linesOf('/proc/self/mountinfo').map((line) => (line.split(' ')[4] ?? '').replaceAll('\\040', ' '));
  for (const point of mounts.filter((path) => path.startsWith(`${folder}/`)).toReversed()) execFileSync('umount', ['--lazy', point]);
  rmSync(folder, { recursive: true, force: true });
  for (const name of attempt(() => readdirSync(LOG_LINKS)) ?? []) {
    const link = join(LOG_LINKS, name);
    if (attempt(() => readlinkSync(link))?.startsWith(`${folder}/`)) rmSync(link, { force: true });
  }
  for (const group of cgroupTrees().flatMap((tree) => groupsIn(join(tree, cgroup)))) attempt(() => rmdirSync(group));
  if (isInNetwork())
    for (const link of Object.values(LINKS)) attempt(() => execFileSync('ip', ['link', 'delete', link], { stdio: 'ignore' }));
}

/** Removes what runs that were killed have left. */
export async function removeAbandoned(): Promise<void> {
  const owners = (attempt(() => readdirSync('/run/netns')) ?? []).map((network) => new RegExp(`^${NAME}-(\\d+)$`).exec(network)?.[1]);
  for (const owner of owners)
    if (owner !== undefined && attempt(() => process.kill(Number(owner), 0)) === undefined) await removePlace(placeOf(owner));
}

export const addNetwork = ({ network }: Place): unknown => execFileSync('ip', ['netns', 'add', network]);

/** With its network: the processes of the tests have ended. */
export async function removePlace(place: Place): Promise<void> {
  await removeLeftovers(place);
  attempt(() => execFileSync('ip', ['netns', 'delete', place.network], { stdio: 'ignore' }));
}

/** Whether this process is in the node's network. */
export const isInNetwork = (): boolean =>
  attempt(() => statSync(join('/run/netns', own.network)).ino) === Number(/\d+/.exec(readlinkSync('/proc/self/ns/net'))?.[0]);
