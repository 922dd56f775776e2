// Asks a container registry which digest a tag stands for (OCI distribution specification), without a token or with an anonymous one.

const TIMEOUT_MS = 30_000;
/** Indexes first: their digest holds for every architecture. */
const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

export interface ImageName {
  /** `registry-1.docker.io`. */
  readonly registry: string;
  /** `library/node`. */
  readonly repository: string;
  readonly tag: string;
}

/** Names without a registry are Docker Hub's. @param reference with its tag, without a digest. */
export function imageNameOf(reference: string): ImageName {
  const [, path = '', tag = ''] = /^([^@]+):([\w][\w.-]*)$/.exec(reference) ?? [];
  if (tag === '') throw new Error(`${reference} has no tag`);
  const [first = '', ...rest] = path.split('/');
  if (rest.length > 0 && /[.:]|^localhost$/.test(first)) return { registry: first, repository: rest.join('/'), tag };
  return { registry: 'registry-1.docker.io', repository: rest.length === 0 ? `library/${path}` : path, tag };
}

/** `sha256:…`. @param base the URL of a registry. @throws Error with one line. */
export async function digestOf(
  reference: string,
  base: (registry: string) => string = (registry) => `https://${registry}`,
): Promise<string> {
  const { registry, repository, tag } = imageNameOf(reference);
  const url = `${base(registry)}/v2/${repository}/manifests/${tag}`;
  const ask = (authorization?: string) =>
    fetch(url, {
      method: 'HEAD',
      headers: { accept: ACCEPT, ...(authorization !== undefined && { authorization }) },
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  let answer = await ask();
  if (answer.status === 401) answer = await ask(`Bearer ${await anonymousToken(answer.headers.get('www-authenticate') ?? '', reference)}`);
  const digest = answer.headers.get('docker-content-digest') ?? '';
  if (!answer.ok || !/^sha256:[0-9a-f]{64}$/.test(digest))
    throw new Error(`${reference}: the registry answers ${answer.status}, without a digest`);
  return digest;
}

async function anonymousToken(challenge: string, reference: string): Promise<string> {
  const { realm, ...asked } = Object.fromEntries(
    [...challenge.matchAll(/(\w+)="([^"]*)"/g)].map(([, name = '', value = '']) => [name, value]),
  );
  if (realm === undefined) throw new Error(`${reference}: the registry wants a login`);
  const answer = await fetch(`${realm}?${new URLSearchParams(asked).toString()}`, { signal: AbortSignal.timeout(TIMEOUT_MS) });
  const { token, access_token: other } = (await answer.json()) as { readonly token?: string; readonly access_token?: string };
  if (token === undefined && other === undefined) throw new Error(`${reference}: the registry gives no token to nobody`);
  return token ?? other ?? '';
}
