// A folder of resource files read as one set: each file counts whole or not at all, and a broken file keeps what it last said.

import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join, resolve } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { type BackendResource, parseResource, type Resource, type ResourceProblem, type TenantResource } from './resources.ts';

/** Larger files are refused unread. */
export const MAX_FILE_BYTES = 1_048_576;
export const MAX_FILES = 1000;
export const MAX_DOCUMENTS_PER_FILE = 200;
/** Anchors are welcome; exponential expansion of them is not. */
const MAX_ALIASES = 100;
const EXTENSIONS = new Set(['.yaml', '.yml', '.json']);

/** Everything that a folder declares at one moment, and everything that is wrong with it. */
export interface ResourceSet {
  readonly backends: readonly BackendResource[];
  readonly tenants: readonly TenantResource[];
  readonly problems: readonly ResourceProblem[];
}

/** Reads the folder again at each call; remembers the last good contents of each file. */
export interface ResourceLoader {
  load(): Promise<ResourceSet>;
}

interface ParsedFile {
  readonly resources: readonly Resource[];
  readonly problems: readonly ResourceProblem[];
}

/**
 * A loader for the `.yaml`, `.yml` and `.json` files directly in `folder`. `load` never throws: a folder or file that cannot be read
 * is a problem, and what it last said stays in force.
 */
export function createResourceLoader({ folder }: { folder: string }): ResourceLoader {
  const root = resolve(folder);
  let accepted = new Map<string, readonly Resource[]>();

  async function load(): Promise<ResourceSet> {
    const problems: ResourceProblem[] = [];
    const files = await listResourceFiles(root);
    if (typeof files === 'string') {
      problems.push({ file: root, resource: '', path: '', message: files });
      return toSet(accepted, problems);
    }
    const candidates = new Map<string, readonly Resource[]>();
    for (const file of files) {
      const parsed = await readResourceFile(file);
      problems.push(...parsed.problems);
      candidates.set(file, parsed.problems.length === 0 ? parsed.resources : (accepted.get(file) ?? []));
    }
    accepted = withoutDuplicates({ candidates, accepted, problems });
    return toSet(accepted, problems);
  }

  return { load };
}

/** Absolute paths of the resource files in a folder, sorted; or what prevents it from being read. Editors' hidden files are left out. */
export async function listResourceFiles(folder: string): Promise<readonly string[] | string> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    return `cannot be read (${errorCode(error)}); what was declared stays in force`;
  }
  const files = names.filter((name) => !name.startsWith('.') && EXTENSIONS.has(extname(name).toLowerCase())).sort();
  return files.length > MAX_FILES ? `holds more than ${MAX_FILES} resource files` : files.map((name) => join(folder, name));
}

/**
 * A name belongs to the file that had it before, else to the first file in order. A file that claims a name of another one
 * is a file with problems: it keeps its last good contents.
 */
function withoutDuplicates(input: {
  candidates: ReadonlyMap<string, readonly Resource[]>;
  accepted: ReadonlyMap<string, readonly Resource[]>;
  problems: ResourceProblem[];
}): Map<string, readonly Resource[]> {
  const owners = new Map<string, string>();
  for (const [file, resources] of input.accepted) {
    const still = new Set((input.candidates.get(file) ?? []).map(key));
    for (const resource of resources.filter((resource) => still.has(key(resource)))) {
      owners.set(key(resource), file);
    }
  }
  const result = new Map<string, readonly Resource[]>();
  for (const [file, resources] of input.candidates) {
    const foreign = resources.filter((resource) => (owners.get(key(resource)) ?? file) !== file);
    for (const resource of foreign) {
      const message = `is already declared in ${owners.get(key(resource))}`;
      input.problems.push({ file, resource: key(resource), path: 'metadata.name', message });
    }
    const kept = foreign.length === 0 ? resources : (input.accepted.get(file) ?? []);
    const own = kept.filter((resource) => (owners.get(key(resource)) ?? file) === file);
    for (const resource of own) {
      owners.set(key(resource), file);
    }
    result.set(file, own);
  }
  return result;
}

async function readResourceFile(file: string): Promise<ParsedFile> {
  const refuse = (message: string): ParsedFile => ({ resources: [], problems: [{ file, resource: '', path: '', message }] });
  let text: string;
  try {
    const about = await stat(file);
    if (!about.isFile()) {
      return refuse('is not a regular file');
    }
    if (about.size > MAX_FILE_BYTES) {
      return refuse(`is larger than ${MAX_FILE_BYTES} bytes`);
    }
    text = new TextDecoder('utf-8', { fatal: true }).decode((await readFile(file)).subarray(0, MAX_FILE_BYTES));
  } catch (error) {
    return refuse(`cannot be read (${errorCode(error)})`);
  }
  return parseResourceText(text, file);
}

/** The resources of one file's text. With any problem none of them counts. */
export function parseResourceText(text: string, file: string): ParsedFile {
  const documents = parseAllDocuments(text, { logLevel: 'error', uniqueKeys: true });
  if (!Array.isArray(documents)) {
    return { resources: [], problems: [] };
  }
  const problems: ResourceProblem[] = [];
  const resources: Resource[] = [];
  if (documents.length > MAX_DOCUMENTS_PER_FILE) {
    return { resources, problems: [{ file, resource: '', path: '', message: `holds more than ${MAX_DOCUMENTS_PER_FILE} documents` }] };
  }
  for (const [at, document] of documents.entries()) {
    const label = `document ${at + 1}`;
    const broken = [...document.errors, ...document.warnings];
    problems.push(...broken.map((error) => ({ file, resource: label, path: '', message: error.message.split('\n')[0] ?? error.code })));
    if (broken.length > 0 || document.contents === null) {
      continue;
    }
    let value: unknown;
    try {
      value = document.toJS({ maxAliasCount: MAX_ALIASES });
    } catch (error) {
      problems.push({ file, resource: label, path: '', message: (error as Error).message });
      continue;
    }
    if (value === null) {
      continue;
    }
    const parsed = parseResource(value, { file, label });
    if (!('kind' in parsed)) {
      problems.push(...parsed);
    } else if (resources.some((other) => key(other) === key(parsed))) {
      problems.push({ file, resource: key(parsed), path: 'metadata.name', message: 'is declared twice in this file' });
    } else {
      resources.push(parsed);
    }
  }
  return { resources, problems };
}

function toSet(accepted: ReadonlyMap<string, readonly Resource[]>, problems: readonly ResourceProblem[]): ResourceSet {
  const all = [...accepted.values()].flat();
  return {
    backends: all.filter((resource) => resource.kind === 'MCPBackend'),
    tenants: all.filter((resource) => resource.kind === 'MCPTenant'),
    problems,
  };
}

function key(resource: Resource): string {
  return `${resource.kind}/${resource.name}`;
}

function errorCode(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? (error as Error).message;
}
