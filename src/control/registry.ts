// What was declared by API: one file per resource in a private folder, whole after every crash, and changed by one caller at a time.

import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ResourceDocument } from '../config/resource-document.ts';
import { formatProblem, parseResource, type Resource, type ResourceProblem } from '../config/resources.ts';
import { ControlRefusal, noSuch } from './refusal.ts';

/** Of each kind. */
const MAX_RESOURCES = 1_000;
const MAX_DOCUMENT_CHARS = 1_048_576;
const FILE = /^(MCPBackend|MCPTenant)\.([a-z][-a-z0-9]{0,49})\.json$/;
const TEMPORARY = '.tmp';

type Kind = ResourceDocument['kind'];

export interface Registered {
  readonly document: ResourceDocument;
  /** What the document says, validated. */
  readonly resource: Resource;
  /** Another one after every change. */
  readonly revision: string;
}

export interface Registry {
  /** In the order of their names. */
  list(): readonly Registered[];
  find(kind: Kind, name: string): Registered | undefined;
  /**
   * Replaces a resource by what `change` makes of it, or removes it when that is undefined. Nobody else changes anything between the two, and
   * when it resolves the change is on the disk. What `change` and `check`, which sees the validated resource, throw goes to the caller, and
   * nothing has happened.
   *
   * @throws ControlRefusal `full`, `unavailable`; InvalidDocument when the document makes no sense.
   */
  change(
    kind: Kind,
    name: string,
    change: (present: Registered | undefined) => ResourceDocument | undefined,
    check?: (next: Resource) => void,
  ): Promise<Registered | undefined>;
}

/** What was to be written is no valid resource. */
export class InvalidDocument extends Error {
  readonly problems: readonly ResourceProblem[];

  constructor(problems: readonly ResourceProblem[]) {
    super(problems.map(formatProblem).join('; '));
    this.problems = problems;
  }
}

export interface RegistryOptions {
  /** Made when there is none; nobody else may read it, because the values of variables are in it. */
  readonly folder: string;
  /** After each change, before its promise resolves. */
  readonly onChange: () => void;
  /** A file that cannot be used is left as it is, and its name is refused. */
  readonly onProblem: (problem: string) => void;
}

export async function openRegistry({ folder, onChange, onProblem }: RegistryOptions): Promise<Registry> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const known = new Map<string, Registered>();
  const broken = new Set<string>();
  for (const file of (await readdir(folder)).toSorted()) {
    // A change that a crash has cut off was never promised to anybody.
    if (file.endsWith(TEMPORARY)) await rm(join(folder, file), { force: true });
    const [, kind = '', name = ''] = FILE.exec(file) ?? [];
    if (kind === '') continue;
    const read = await readRegistered(join(folder, file), kind, name);
    if (typeof read === 'string') {
      broken.add(keyOf(kind, name));
      onProblem(`${join(folder, file)}: ${read}`);
    } else known.set(keyOf(kind, name), read);
  }

  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const result = turn.then(work);
    turn = result.catch(() => {});
    return result;
  };

  return {
    list: () => [...known.keys()].toSorted().map((key) => known.get(key) as Registered),
    find: (kind, name) => known.get(keyOf(kind, name)),
    change: (kind, name, change, check) =>
      inTurn(async () => {
        const key = keyOf(kind, name);
        const file = join(folder, `${kind}.${name}.json`);
        if (broken.has(key)) throw new ControlRefusal('unavailable', `what is registered as ${name} cannot be read: see ${file}`);
        const present = known.get(key);
        const document = change(present);
        if (document === undefined) {
          if (present === undefined) return undefined;
          await orUnavailable(removeWhole(folder, file));
          known.delete(key);
        } else {
          const next = registered(document, file);
          check?.(next.resource);
          if (present === undefined && [...known.values()].filter(({ resource }) => resource.kind === kind).length >= MAX_RESOURCES) {
            throw new ControlRefusal('full', `${MAX_RESOURCES} are registered already: remove one first`);
          }
          await orUnavailable(writeWhole(folder, file, JSON.stringify(document, undefined, 2)));
          known.set(key, next);
        }
        onChange();
        return known.get(key);
      }),
  };
}

const keyOf = (kind: string, name: string): string => `${kind}/${name}`;

/** What a document says. `file` is where it lies. @throws InvalidDocument. */
export function registered(document: ResourceDocument, file: string): Registered {
  const text = JSON.stringify(document);
  if (text.length > MAX_DOCUMENT_CHARS) {
    throw new InvalidDocument([{ file: '', resource: '', path: '', message: `is larger than ${MAX_DOCUMENT_CHARS} characters` }]);
  }
  const parsed = parseResource(document, { file, label: document.metadata.name });
  if (!('kind' in parsed)) throw new InvalidDocument(parsed.map((problem) => ({ ...problem, file: '', resource: '' })));
  return { document, resource: { ...parsed, origin: 'api' }, revision: revisionOf(document) };
}

/** Of anything that can be written as JSON. */
export function revisionOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('base64url').slice(0, 22);
}

/** Two who have seen the same must not overwrite each other's change. @throws ControlRefusal `missing`, `changed`. */
export function expectRevision(
  what: 'backend' | 'tenant',
  name: string,
  present: Registered | undefined,
  expected: string | undefined,
): void {
  if (!present) throw noSuch(what, name);
  if (expected === undefined || expected === present.revision) return;
  throw new ControlRefusal('changed', `${name} has been changed meanwhile: read it again, and make your change to what it is now`);
}

async function readRegistered(file: string, kind: string, name: string): Promise<Registered | string> {
  try {
    const document = JSON.parse(await readFile(file, 'utf8')) as ResourceDocument;
    const found = registered(document, file);
    return found.resource.kind === kind && found.resource.name === name ? found : 'holds another resource than its name says';
  } catch (error) {
    return (error as Error).message;
  }
}

async function orUnavailable(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    throw new ControlRefusal('unavailable', `the change cannot be written down: ${(error as Error).message}`);
  }
}

/** Either the old content or the new one is there, whenever the machine stops. */
async function writeWhole(folder: string, file: string, text: string): Promise<void> {
  const temporary = `${file}${TEMPORARY}`;
  await rm(temporary, { force: true });
  try {
    await withHandle(await open(temporary, 'wx', 0o600), async (handle) => {
      await handle.writeFile(`${text}\n`);
      await handle.sync();
    });
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(folder);
}

/** It does not come back, whenever the machine stops. */
async function removeWhole(folder: string, file: string): Promise<void> {
  await rm(file, { force: true });
  await syncFolder(folder);
}

async function syncFolder(folder: string): Promise<void> {
  await withHandle(await open(folder, 'r'), (handle) => handle.sync());
}

async function withHandle<Handle extends { close(): Promise<void> }>(
  handle: Handle,
  work: (handle: Handle) => Promise<void>,
): Promise<void> {
  try {
    await work(handle);
  } finally {
    await handle.close();
  }
}
