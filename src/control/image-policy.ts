// Which images may be registered by API: running one is running code, and a prompt may be asking.

import type { ImageReference } from '../config/image-reference.ts';

/** Says why an image may not be registered; undefined when it may. */
export type ImagePolicy = (image: ImageReference) => string | undefined;

/** Of a package as its registry names it; git repositories, archives, folders and ranges of versions are something else. */
const EXACT = {
  npm: /^(?<name>(?:@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*)@(?:0|[1-9]\d{0,8})(?:\.(?:0|[1-9]\d{0,8})){2}(?:-[0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)?$/,
  pypi: /^(?<name>[A-Za-z0-9][A-Za-z0-9._-]*)==\d{1,9}(?:\.\d{1,9})*(?:(?:a|b|rc)\d{1,9})?(?:\.post\d{1,9})?(?:\.dev\d{1,9})?$/,
} as const;

/**
 * @param allowed what images may begin with: `ghcr.io/acme/`, `npm:@acme/` (a whole namespace, hence the slash), or one name without its
 * version, `npm:@acme/server` or `ghcr.io/acme/server`.
 */
export function createImagePolicy(allowed: readonly string[]): ImagePolicy {
  return (image) => {
    // Also for administrators: whoever may put files into the resources folder may run what they like, and nobody else.
    if (image.kind === 'exec') return 'programs of this machine are declared in files only';
    const name = image.kind === 'oci' ? ociName(image.text) : exactName(image.kind, image.spec);
    if (name === undefined) {
      return image.kind === 'npm'
        ? 'a package needs its exact version: npm:@scope/name@1.2.3'
        : 'a package needs its exact version: pypi:name==1.2.3';
    }
    if (allowed.some((entry) => name === entry || (entry.endsWith('/') && name.startsWith(entry)))) return undefined;
    return `${name} is not among the images that may be registered by API: add it to allowedImages (MCP_GATEWAY_ALLOWED_IMAGES) and restart the gateway, or declare the backend in a file`;
  };
}

function exactName(kind: 'npm' | 'pypi', spec: string): string | undefined {
  const name = EXACT[kind].exec(spec)?.groups?.['name'];
  return name === undefined ? undefined : `${kind}:${name}`;
}

/** Without tag and digest. */
function ociName(text: string): string {
  const [bare = ''] = text.split('@');
  const colon = bare.lastIndexOf(':');
  return colon > bare.lastIndexOf('/') ? bare.slice(0, colon) : bare;
}
