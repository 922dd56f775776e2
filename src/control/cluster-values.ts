// Values of variables that come by API: they go into a Secret of the backend's own, and the declaration names their keys.

import type { ResourceDocument } from '../config/resource-document.ts';
import type { KubeApi } from '../runtime/k8s/api.ts';
import { apiVersionOf, type KubeObject, type KubeResource, MCP_BACKENDS } from '../runtime/k8s/objects.ts';

const SECRETS: KubeResource = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true };

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly secretKeyRef: { readonly name: string; readonly key: string } };
}

type SecretObject = KubeObject & { readonly data?: Readonly<Record<string, string>> };

export interface StoredValues {
  /** New values came: processes that have the old ones must go. */
  readonly changed: boolean;
  /** Before the declaration names them. */
  add(): Promise<void>;
  /** Afterwards: the Secret belongs to the backend, and holds nothing that it no longer names. */
  settle(owner: string): Promise<void>;
}

export interface ValuesOptions {
  readonly api: Pick<KubeApi, 'get' | 'create' | 'replace' | 'delete'>;
  readonly namespace: string;
}

/** The declaration without values, and how they are kept. `values` undefined: it has no variables. */
export function keepValues(
  document: ResourceDocument,
  { api, namespace }: ValuesOptions,
): { document: ResourceDocument; values: StoredValues | undefined } {
  const env = (document.spec['env'] ?? []) as readonly Variable[];
  const secret = `${document.metadata.name}-env`;
  const given = env.filter(({ value }) => value !== undefined);
  const named = new Set(
    env.filter(({ value, valueFrom }) => value !== undefined || valueFrom?.secretKeyRef.name === secret).map(({ name }) => name),
  );
  const kept = env.map(({ name, value, valueFrom }) =>
    value === undefined ? { name, valueFrom } : { name, valueFrom: { secretKeyRef: { name: secret, key: name } } },
  );
  const labels = { 'app.kubernetes.io/managed-by': 'mcp-gateway', 'mcpgateway.dev/backend': document.metadata.name };

  const values: StoredValues = {
    changed: given.length > 0,
    async add() {
      if (given.length === 0) return;
      const present = await api.get<SecretObject>(SECRETS, secret, namespace);
      const added = Object.fromEntries(given.map(({ name, value = '' }) => [name, Buffer.from(value).toString('base64')]));
      const object = {
        metadata: { ...present?.metadata, name: secret, namespace, labels },
        type: 'Opaque',
        data: { ...present?.data, ...added },
      };
      await (present ? api.replace(SECRETS, object) : api.create(SECRETS, object));
    },
    async settle(owner) {
      const present = await api.get<SecretObject>(SECRETS, secret, namespace);
      if (!present) return;
      if (named.size === 0) {
        await api.delete(SECRETS, secret, namespace, { uid: present.metadata.uid });
        return;
      }
      const data = Object.fromEntries(Object.entries(present.data ?? {}).filter(([key]) => named.has(key)));
      const ownerReferences = [
        { apiVersion: apiVersionOf(MCP_BACKENDS), kind: MCP_BACKENDS.kind, name: document.metadata.name, uid: owner, controller: true },
      ];
      await api.replace(SECRETS, { ...present, metadata: { ...present.metadata, labels, ownerReferences }, data });
    },
  };
  return {
    document: env.length === 0 ? document : { ...document, spec: { ...document.spec, env: kept } },
    values,
  };
}
