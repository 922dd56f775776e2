// The manifests as they are applied: of a kustomization, and of the chart with values.

import { resolve } from 'node:path';
import { parseAllDocuments, stringify } from 'yaml';
import { helm } from './helm.ts';
import { createKubectl } from './kubectl.ts';

const root = resolve(import.meta.dirname, '../..');
export const CHART = resolve(root, 'k8s/chart');
export const RELEASE_NAMESPACE = 'mcp-gateway';

// biome-ignore lint/suspicious/noExplicitAny: tests read arbitrary fields of arbitrary objects.
type Fields = Record<string, any>;
/** Whatever tests look at in an object. */
export type Manifest = Fields & {
  readonly kind: string;
  readonly apiVersion: string;
  readonly metadata: Fields & { name: string; readonly namespace?: string };
};

/** `folder` as people type it: `k8s/overlays/dev`. */
export async function kustomized(folder: string): Promise<Manifest[]> {
  return manifestsIn(await createKubectl('/dev/null')(['kustomize', resolve(root, folder)]));
}

/** What the chart makes of values, custom resource definitions first. @param values an object, or the text of a values file. */
export async function charted(values: object | string = {}, args: readonly string[] = []): Promise<Manifest[]> {
  const input = typeof values === 'string' ? values : stringify(values, { version: '1.1' });
  return manifestsIn(
    await helm(['template', 'mcp-gateway', CHART, '--namespace', RELEASE_NAMESPACE, '--include-crds', '--values', '-', ...args], { input }),
  );
}

function manifestsIn(text: string): Manifest[] {
  const documents = parseAllDocuments(text, { version: '1.1' });
  return documents.flatMap((document) => {
    if (document.errors.length > 0) throw new Error(document.errors.join('\n'));
    return (document.toJS() as Manifest | null) ?? [];
  });
}

/** `Kind namespace/name`. */
export const idOf = ({ kind, metadata }: Manifest): string => `${kind} ${metadata.namespace ?? ''}/${metadata.name}`;

/** What has to be there before the rest is looked at. */
export const isFirst = ({ kind }: Manifest): boolean => kind === 'Namespace' || kind === 'CustomResourceDefinition';
