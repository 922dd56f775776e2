// What is declared at the moment: the folder of files and the registry of the API as one set, handed to directory and runtime.

import { resolve } from 'node:path';
import type { Logger } from 'pino';
import type { ResourceSet } from '../config/resource-files.ts';
import { watchResources } from '../config/resource-watch.ts';
import { formatProblem, type ResourceProblem } from '../config/resources.ts';
import { openRegistry, type Registry } from '../control/registry.ts';
import type { DirectoryWriter } from '../directory/snapshot.ts';
import type { LocalRuntime } from '../runtime/local/runtime.ts';
import { toTenantPolicy } from '../runtime/policy.ts';
import { createClosers } from './closers.ts';

export interface DeclaredOptions {
  /** Of the files. */
  readonly folder: string;
  /** Of what was declared by API. */
  readonly registered: string;
  readonly directory: Pick<DirectoryWriter, 'putTenants'>;
  readonly runtime: Pick<LocalRuntime, 'apply'>;
  readonly log: Logger;
  /** What is wrong with the files at the start. */
  readonly onProblem: (problem: string) => void;
}

export interface Declared {
  readonly registry: Registry;
  backends(): ResourceSet['backends'];
  tenants(): ResourceSet['tenants'];
  close(): Promise<void>;
}

/** Everything that is declared runs when it resolves, or begins to. */
export async function openDeclared({ folder, registered, directory, runtime, log, onProblem }: DeclaredOptions): Promise<Declared> {
  const closers = createClosers();
  let files: ResourceSet = { backends: [], tenants: [], problems: [] };
  let current = files;
  let told = new Set<string>();

  const apply = (): void => {
    current = merged(files, registry);
    const shadowed = current.problems.slice(files.problems.length).map(formatProblem);
    for (const problem of shadowed.filter((each) => !told.has(each))) log.error({ problem }, 'resource refused');
    told = new Set(shadowed);
    directory.putTenants(current.tenants.map(toTenantPolicy));
    runtime.apply(current);
  };
  const registry = await openRegistry({
    folder: registered,
    onChange: apply,
    onProblem: (problem) => log.error({ problem }, 'registered resource not read'),
  });
  const watcher = await watchResources({
    folder: resolve(folder),
    onChange(set) {
      for (const problem of set.problems) log.error({ problem: formatProblem(problem) }, 'resource refused');
      files = set;
      apply();
    },
  });
  closers.add(() => watcher.close());
  files = watcher.initial;
  for (const problem of files.problems) onProblem(formatProblem(problem));
  apply();
  return { registry, backends: () => current.backends, tenants: () => current.tenants, close: closers.close };
}

/** Who writes the files owns the machine: where both say something of a name, they count. What was registered stays, and is told of. */
function merged(files: ResourceSet, registry: Registry): ResourceSet {
  const problems: ResourceProblem[] = [...files.problems];
  const of = <T extends { readonly kind: string; readonly name: string; readonly file: string }>(
    declared: readonly T[],
    kind: string,
  ): T[] => {
    const byName = new Map(declared.map((resource) => [resource.name, resource]));
    const more = registry.list().flatMap(({ resource }) => {
      if (resource.kind !== kind) return [];
      const file = byName.get(resource.name)?.file;
      if (file === undefined) return [resource as unknown as T];
      const message = `is also declared in ${file}, which counts`;
      problems.push({ file: resource.file, resource: `${kind}/${resource.name}`, path: 'metadata.name', message });
      return [];
    });
    return [...declared, ...more];
  };
  const [backends, tenants] = [of(files.backends, 'MCPBackend'), of(files.tenants, 'MCPTenant')];
  return { backends, tenants, problems };
}
