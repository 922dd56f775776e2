// The gateway's folder: made private, checked, and owned by one gateway at a time.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { reapLeftovers } from '../runtime/local/children-file.ts';
import { removeAnnouncement, writeAnnouncement } from './announcement.ts';
import { lockHome, OwnedBy } from './home-lock.ts';

/** The kernel's limit for the path of a unix socket is 108 bytes on Linux and 104 on macOS. */
const MAX_SOCKET_PATH = 103;

export interface Home {
  readonly path: string;
  readonly sessions: string;
  readonly logs: string;
  /** The control token's file. */
  readonly token: string;
  readonly link: string;
  /** Where Envoy brings requests for the REST interface. */
  readonly control: string;
  /** What was declared by API. */
  readonly registry: string;
  readonly envoyAdmin: string;
  readonly envoyConfig: string;
  /** Where the record of Envoy's and the sidecars' processes lies; the servers' own is in the home itself. */
  readonly gatewayProcesses: string;
  sidecarSockets(index: number): { readonly grpc: string; readonly http: string };
  /** Says where this gateway is to be reached, for programs. */
  announce(state: { readonly url: string; readonly admin: string }): Promise<void>;
  forget(): Promise<void>;
  /** Lets another gateway have this home. */
  unlock(): Promise<void>;
}

/** Why no gateway can run in a folder of this name, in one line; undefined when it can. */
export function pathProblem(path: string, workers: number): string | undefined {
  const excess = Buffer.byteLength(socketsIn(join(path, 'run'), workers - 1).http) - MAX_SOCKET_PATH;
  if (excess <= 0) return undefined;
  return `the home folder's path is ${excess} bytes too long for unix sockets: choose a shorter one with --home`;
}

/** Of one sidecar process; `run` is the folder of sockets. */
export function socketsIn(run: string, index: number): { readonly grpc: string; readonly http: string } {
  return { grpc: join(run, `sidecar-${index}.sock`), http: join(run, `sidecar-${index}-http.sock`) };
}

/** @throws Error with one line when the folder cannot be used or another gateway runs in it. */
export async function openHome(path: string, workers: number): Promise<Home> {
  const run = join(path, 'run');
  const sidecarSockets = (index: number) => socketsIn(run, index);
  const problem = pathProblem(path, workers);
  if (problem !== undefined) throw new Error(problem);
  const gatewayProcesses = join(run, 'gateway');
  try {
    for (const folder of [path, run, join(path, 'logs'), join(path, 'resources'), gatewayProcesses])
      await mkdir(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new Error(`the home folder ${path} cannot be made: ${(error as Error).message}`);
  }
  const taken = (pid: number) => new Error(`another gateway (pid ${pid}) runs in ${path}: stop it, or choose another folder with --home`);
  const unlock = await lockHome(join(run, 'lock')).catch((error: unknown) => {
    throw error instanceof OwnedBy ? taken(error.pid) : error;
  });
  for (const place of [path, gatewayProcesses]) {
    const { ownedBy } = await reapLeftovers(place);
    if (ownedBy !== undefined) throw taken(ownedBy);
  }
  await removeAnnouncement(path);
  return {
    path,
    sessions: join(path, 'sessions.jsonl'),
    logs: join(path, 'logs'),
    token: join(path, 'token'),
    link: join(run, 'link.sock'),
    control: join(run, 'control.sock'),
    registry: join(path, 'registry'),
    envoyAdmin: join(run, 'envoy.sock'),
    envoyConfig: join(run, 'envoy.json'),
    gatewayProcesses,
    sidecarSockets,
    announce: ({ url, admin }) => writeAnnouncement(path, { pid: process.pid, url, admin }),
    forget: () => removeAnnouncement(path),
    unlock,
  };
}
