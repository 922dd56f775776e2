// From a declared image to the command line that runs it here.

import { dirname, resolve } from 'node:path';
import type { BackendResource } from '../../config/resources.ts';
import { withPort } from './environment.ts';
import type { PackageStore } from './package-store.ts';

/** Why a declared backend cannot run on this machine, in one line; `undefined` when it can. */
export function whyNotHere({ name, spec }: BackendResource): string | undefined {
  return spec.image?.kind === 'oci'
    ? `${spec.image.text} is a container image: the local mode runs npm:…, pypi:…, exec:… or url (MCPBackend ${name})`
    : undefined;
}

/**
 * Everything that makes a running process another one when it changes. Policy (access, sessions, health check, replicas …) is not in it:
 * such a change never restarts anything.
 */
export function processKey({ file, spec }: BackendResource): string {
  const folder = usesFolder(spec) ? dirname(file) : '';
  const bridged = spec.transport === 'stdio' ? spec.path : '';
  return JSON.stringify([spec.image?.text, folder, spec.args, spec.env, spec.transport, spec.port, bridged]);
}

/**
 * The command line for one start on `port`. Installs a package when needed. A stdio server is run by the bridge, which gets the
 * server's command behind `--`. Throws a message for the user.
 */
export async function commandLine(options: {
  resource: BackendResource;
  port: number;
  packages: PackageStore;
  bridgeCommand: readonly string[];
  signal: AbortSignal;
}): Promise<readonly string[]> {
  const { spec } = options.resource;
  const program = await programOf(options);
  const command = [...program, ...spec.args.map((arg) => withPort(arg, options.port))];
  if (spec.transport !== 'stdio') {
    return command;
  }
  const bridge = ['--port', String(options.port), '--host', '127.0.0.1', '--path', spec.path];
  const life = ['--idle-timeout', `${spec.sessions.idleTimeout}ms`, '--exit-with-stdin'];
  return [...options.bridgeCommand, ...bridge, ...life, '--', ...command];
}

async function programOf({ resource, packages, signal }: Parameters<typeof commandLine>[0]): Promise<readonly string[]> {
  const { spec, file } = resource;
  const folder = dirname(file);
  switch (spec.image?.kind) {
    case 'npm':
    case 'pypi':
      return packages.command(spec.image, { folder, signal });
    case 'exec':
      // A bare name is looked up on PATH, as a shell would.
      return [spec.image.path.includes('/') ? resolve(folder, spec.image.path) : spec.image.path];
    case 'oci':
    case undefined:
      throw new Error(whyNotHere(resource) ?? 'nothing to run');
    default:
      return spec.image satisfies never;
  }
}

function usesFolder(spec: BackendResource['spec']): boolean {
  const text = spec.image?.kind === 'exec' ? spec.image.path : spec.image?.kind === 'oci' ? '' : (spec.image?.spec ?? '');
  return /^(file:|\.{0,2}\/)/.test(text) || (spec.image?.kind === 'exec' && text.includes('/') && !text.startsWith('/'));
}
