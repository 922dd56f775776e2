// The custom resources before a real API server: it takes what a gateway takes, refuses what a gateway refuses, and says so in the same words.

import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { parse } from 'yaml';
import { parseResourceText } from '../../src/config/resource-files.ts';
import { parseResource } from '../../src/config/resources.ts';
import { backendOf } from '../../src/runtime/k8s/declared.ts';
import type { KubeObject } from '../../src/runtime/k8s/objects.ts';
import { waitFor } from '../harness/wait-for.ts';
import { createKubectl } from './kubectl.ts';
import { documentOf, type ResourceCase, resourceCases } from './resource-cases.ts';

const root = resolve(import.meta.dirname, '../..');
const definitions = ['mcpbackends', 'mcptenants'].map((plural) => `k8s/crds/mcpgateway.dev_${plural}.yaml`);

/** Beside something wrong that keeps rules from being tried. */
const UNCHECKED = '<nil>: Invalid value: null: some validation rules were not checked';

const NAMESPACE = 'crds';
const kubectl = createKubectl(inject('apiServer').kubeconfig);

beforeAll(async () => {
  await kubectl.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: NAMESPACE } });
  for (const file of definitions) await kubectl.apply(readFileSync(resolve(root, file), 'utf8'));
  await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s']);
});

/** Asks for resources to be taken, and keeps nothing. Empty, or what is said against them. */
async function dryRun(input: string | object): Promise<string> {
  const asked = kubectl(['create', '-n', NAMESPACE, '--dry-run=server', '--validate=strict', '-f', '-'], { input });
  return asked.then(
    () => '',
    (error: Error) => error.message,
  );
}

/** One by one; paths as in files: `spec.env.0.name: …`. */
async function refusals(document: object): Promise<string[]> {
  const lines = (await dryRun(document)).replace(/^.* is invalid: /, '').split('\n');
  const found = lines.map((line) => line.replace(/^\* /, '').trim()).filter((line) => line !== '' && !line.startsWith(UNCHECKED));
  return found.map((line) => line.replace(/^\S+(?=: )/, (path) => path.replaceAll(/\[([^\]]*)\]/g, '.$1')));
}

function localProblems(document: object): string[] {
  const parsed = parseResource(document, { file: '', label: '' });
  return 'kind' in parsed ? [] : parsed.map(({ path, message }) => `${path}: ${message}`);
}

/** Rules of a definition, with the words that each of them says for sure. */
function rulesIn(node: unknown): string[] {
  if (typeof node !== 'object' || node === null) return [];
  const rules = ((node as Record<string, unknown>)['x-kubernetes-validations'] ?? []) as { message?: string; messageExpression?: string }[];
  const certain = rules.map(({ message, messageExpression }) => {
    const literals = [...(messageExpression ?? '').matchAll(/'((?:[^'\\]|\\.)*)'/g)].map(([, text = '']) => text.replaceAll('\\', ''));
    return literals.length === 0 ? (message ?? '') : (literals.toSorted((one, other) => other.length - one.length)[0] ?? '');
  });
  return [...certain, ...Object.values(node).flatMap(rulesIn)];
}

describe('a gateway that reads files', () => {
  it.each(resourceCases)('judges $what', (one) => {
    expect(localProblems(documentOf(one))).toEqual(one.local ?? []);
  });
});

describe('an API server', () => {
  it.each(resourceCases)('judges $what', async (one: ResourceCase) => {
    const wanted = one.cluster ?? one.local ?? [];
    const said = await refusals(documentOf(one));
    // Between the path and the message stands what is wrong in Kubernetes' words, and the value.
    const matching = wanted.map((problem) => {
      const [, path = '', message = ''] = /^(.*?): (.*)$/s.exec(problem) ?? [];
      return said.find((line) => line.startsWith(`${path}: `) && line.endsWith(message)) ?? `nothing like ${problem}`;
    });
    expect(said.toSorted()).toEqual(matching.toSorted());
  });

  it('has no rule that none of these has met', () => {
    const said = resourceCases.flatMap(({ local = [], cluster = local }) => cluster).join('\n');
    const rules = definitions.flatMap((file) => rulesIn(parse(readFileSync(resolve(root, file), 'utf8'))));
    expect(rules.length).toBeGreaterThan(50);
    expect(rules.filter((words) => !said.includes(words))).toEqual([]);
  });
});

describe('examples', () => {
  const files = ['local', 'kubernetes'].flatMap((folder) =>
    readdirSync(resolve(root, 'examples', folder)).map((name) => `examples/${folder}/${name}`),
  );

  it.each(files)('%s is taken by both', async (file) => {
    const text = readFileSync(resolve(root, file), 'utf8');
    expect(parseResourceText(text, file).problems).toEqual([]);
    expect(await dryRun(text)).toBe('');
  });
});

describe('a custom resource', () => {
  const backend = (name: string, spec: object) => ({
    ...{ apiVersion: 'mcpgateway.dev/v1alpha1', kind: 'MCPBackend' },
    ...{ metadata: { name, namespace: NAMESPACE }, spec },
  });
  const apply = (name: string, spec: object, manager = 'test') => kubectl.apply(backend(name, spec), [`--field-manager=${manager}`]);
  const stored = (name: string) => kubectl.get<KubeObject & Stored>(['mcpb', name, '-n', NAMESPACE]);
  const patch = (name: string, change: object) =>
    kubectl(['patch', 'mcpb', name, '-n', NAMESPACE, '--subresource=status', '--type=merge', '-p', JSON.stringify(change)]);

  it('may have no unknown field', async () => {
    expect(await dryRun(backend('strict', { image: 'a', sessions: { idleTimout: '5m' } }))).toContain(
      'unknown field "spec.sessions.idleTimout"',
    );
  });

  it('is read back by the gateway as the file that it came from', async () => {
    const spec = { image: 'ghcr.io/a/b:1', replicas: 2, env: [{ name: 'A', value: '1' }], sessions: { idleTimeout: '5m' } };
    await apply('same', spec);
    expect(backendOf(await stored('same'))).toEqual(parseResource(backend('same', spec), { file: '', label: '' }));
  });

  it('has its defaults written into it where absent means the same', async () => {
    await apply('defaults', { url: 'https://mcp.example.com/mcp', sessions: {} });
    expect((await stored('defaults')).spec).toEqual({
      ...{ url: 'https://mcp.example.com/mcp', affinity: 'session', trustToolHints: false },
      sessions: { recovery: 'reinitialize', idleTimeout: '30m', maxAge: '30d' },
    });
  });

  it('has variables from several owners', async () => {
    await apply('owners', { image: 'a', env: [{ name: 'A', value: '1' }] }, 'one');
    await apply('owners', { env: [{ name: 'B', value: '2' }] }, 'other');
    expect((await stored('owners')).spec['env']).toEqual([
      { name: 'A', value: '1' },
      { name: 'B', value: '2' },
    ]);
    await expect(apply('owners', { env: [{ name: 'A', value: '3' }] }, 'third')).rejects.toThrow('.spec.env[name="A"].value');
  });

  it('shows how it is doing in columns', async () => {
    await apply('shown', { image: 'ghcr.io/a/b:1' });
    const condition = { type: 'Ready', status: 'True', reason: 'Available', message: '', observedGeneration: 1 };
    await patch('shown', {
      status: {
        ...{ replicas: 2, readyReplicas: 1, updatedReplicas: 1, sessions: 7, message: '1 of 2 ready', selector: 'a=b' },
        conditions: [{ ...condition, lastTransitionTime: '2026-11-28T13:17:38Z' }],
      },
    });
    const rows = async (...options: string[]) => {
      const lines = (await kubectl(['get', 'mcpb', 'shown', '-n', NAMESPACE, ...options])).trim().split('\n');
      return lines.map((line) => line.trim().split(/ {2,}/));
    };
    const [columns, values] = await rows();
    expect(columns).toEqual(['NAME', 'IMAGE', 'READY', 'REPLICAS', 'SESSIONS', 'AGE']);
    expect(values?.slice(0, 5)).toEqual(['shown', 'ghcr.io/a/b:1', 'True', '1', '7']);
    const [allColumns, allValues] = await rows('-o', 'wide');
    expect(allColumns).toEqual(['NAME', 'IMAGE', 'URL', 'READY', 'REPLICAS', 'SESSIONS', 'AGE', 'MESSAGE']);
    expect(allValues?.at(-1)).toBe('1 of 2 ready');
    expect(await kubectl(['get', 'mcp', '-n', NAMESPACE, '-o', 'name'])).toContain('mcpbackend.mcpgateway.dev/shown');
  });

  it('keeps its status when its spec is applied, and its spec when its status is written', async () => {
    await apply('apart', { image: 'a', replicas: 2 });
    await patch('apart', { spec: { replicas: 9 }, status: { sessions: 3 } });
    await apply('apart', { image: 'b', replicas: 2 });
    const { spec, status, metadata } = await stored('apart');
    expect([spec['image'], spec['replicas'], status['sessions'], metadata.generation]).toEqual(['b', 2, 3, 2]);
  });

  it('has one condition of each type', async () => {
    await apply('conditions', { image: 'a' });
    const condition = { type: 'Ready', status: 'True', reason: 'Available', message: '', lastTransitionTime: '2026-11-28T13:17:38Z' };
    const twice = patch('conditions', { status: { conditions: [condition, { ...condition, status: 'False' }] } });
    await expect(twice).rejects.toThrow('status.conditions[1]: Duplicate value');
    await expect(patch('conditions', { status: { conditions: [{ ...condition, status: 'Perhaps' }] } })).rejects.toThrow(
      'Unsupported value',
    );
  });

  it('is scaled as a Deployment is', async () => {
    const scale = (name: string, replicas: number) => kubectl(['scale', `mcpb/${name}`, '-n', NAMESPACE, `--replicas=${replicas}`]);
    await apply('scaled', { image: 'a' });
    await scale('scaled', 4);
    expect((await stored('scaled')).spec['replicas']).toBe(4);
    await expect(scale('scaled', 101)).rejects.toThrow('should be less than or equal to 100');
    await apply('elsewhere', { url: 'https://x/' });
    await expect(scale('elsewhere', 2)).rejects.toThrow('spec.replicas: Forbidden: is not used with url');
  });

  it('explains its fields', async () => {
    // The API server publishes what it has learned a moment later.
    const text = await waitFor('an explanation', () => kubectl(['explain', 'mcpbackend.spec.sessions']));
    expect(text).toContain('How long sessions live, and what becomes of lost ones.');
    expect(text.replaceAll(/\s+/g, ' ')).toContain(
      'idleTimeout <string> After this long without a request the server ends its session. Default: 30m.',
    );
    expect(text).toMatch(/recovery\s+<string>\s+enum: reinitialize, fail/);
  });

  it('has something to say of every field', () => {
    const schemas = definitions.map((file) => parse(readFileSync(resolve(root, file), 'utf8')).spec.versions[0].schema.openAPIV3Schema);
    expect(schemas.flatMap((schema: Field) => withoutDescription(schema))).toEqual([]);
  });
});

interface Stored {
  readonly spec: Readonly<Record<string, unknown>>;
  readonly status: Readonly<Record<string, unknown>>;
}

interface Field {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Field>>;
  readonly items?: Field;
}

/** Paths of fields that nothing is said of. What metadata is, is known. */
function withoutDescription(field: Field, path = ''): string[] {
  const inside = Object.entries((field.items ?? field).properties ?? {}).filter(([name]) => path !== '' || name !== 'metadata');
  return inside.flatMap(([name, each]) => [
    ...(each.description === undefined ? [`${path}.${name}`] : []),
    ...withoutDescription(each, `${path}.${name}`),
  ]);
}
