// Secrets that the controller makes and nobody has to invent: the keys of session ids, and the token of the REST interface without issuers.

import { randomBytes } from 'node:crypto';
import type { Logger } from 'pino';
import type { KubeApi } from '../runtime/k8s/api.ts';
import type { KubeObject, KubeResource } from '../runtime/k8s/objects.ts';
import { KubeError } from '../runtime/k8s/transport.ts';
import { ringDocument, rotated } from '../session/key-file.ts';
import { parseRing, type RingDocument } from '../session/key-ring.ts';

const SECRETS: KubeResource = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', namespaced: true };
export const KEYS_SECRET = 'mcp-gateway-keys';
const TOKEN_SECRET = 'mcp-gateway-token';
const RING = 'keys.json';
/** On the Secret of the keys: rotate now. The controller takes it away. */
const ROTATE_ANNOTATION = 'mcpgateway.dev/rotate';
/** Kubelets bring a changed Secret into pods within some two minutes. */
const PROPAGATION_MS = 300_000;
const ROTATE_MS = 30 * 24 * 3_600_000;

type SecretObject = KubeObject & { readonly data?: Readonly<Record<string, string>> };

export interface ClusterSecretsOptions {
  readonly api: Pick<KubeApi, 'get' | 'create' | 'replace'>;
  readonly namespace: string;
  readonly log: Logger;
}

/** Makes the keys when there are none; rotates them every 30 days, or when it is asked to. Several may do it at once. @throws KubeError. */
export async function keepKeys({ api, namespace, log }: ClusterSecretsOptions, now: number = Date.now()): Promise<void> {
  const present = await api.get<SecretObject>(SECRETS, KEYS_SECRET, namespace);
  const text = present?.data?.[RING];
  // A ring that makes no sense is not replaced: every session would be lost silently.
  const ring = text === undefined ? [] : parseRing(JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as RingDocument);
  const asked = present?.metadata.annotations?.[ROTATE_ANNOTATION] !== undefined;
  const [newest] = ring;
  if (newest && !asked && newest.sealFrom + ROTATE_MS > now) return;
  // The last rotation is still on its way.
  if (newest && newest.sealFrom > now) return;
  const next = rotated(ring, { now, propagationMs: PROPAGATION_MS });
  const data = { ...present?.data, [RING]: Buffer.from(JSON.stringify(ringDocument(next))).toString('base64') };
  const { [ROTATE_ANNOTATION]: _, ...annotations } = present?.metadata.annotations ?? {};
  await write(api, present, { metadata: { ...present?.metadata, name: KEYS_SECRET, namespace, annotations }, type: 'Opaque', data });
  log.info({ key: next[0]?.id, sealsFrom: new Date(next[0]?.sealFrom ?? 0).toISOString() }, 'key for session ids made');
}

/** The token of the REST interface where no issuer's are asked for. @throws KubeError. */
export async function loadOrCreateTokenSecret({ api, namespace, log }: ClusterSecretsOptions): Promise<string> {
  const read = async (): Promise<string | undefined> => {
    const text = (await api.get<SecretObject>(SECRETS, TOKEN_SECRET, namespace))?.data?.['token'];
    return text === undefined ? undefined : Buffer.from(text, 'base64').toString('utf8').trim();
  };
  const present = await read();
  if (present !== undefined && present !== '') return present;
  const token = randomBytes(32).toString('base64url');
  const data = { token: Buffer.from(token).toString('base64') };
  await write(api, undefined, { metadata: { name: TOKEN_SECRET, namespace }, type: 'Opaque', data });
  log.info({ secret: TOKEN_SECRET }, 'token for the REST interface made');
  return (await read()) ?? token;
}

/** Whoever is faster has made it. */
async function write(api: ClusterSecretsOptions['api'], present: SecretObject | undefined, object: SecretObject): Promise<void> {
  try {
    await (present ? api.replace(SECRETS, object) : api.create(SECRETS, object));
  } catch (error) {
    if (!(error instanceof KubeError && error.code === 409)) throw error;
  }
}
