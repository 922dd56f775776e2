// What the text of `spec.image` means: a package, a program of this machine, or a container image.

import { z } from 'zod';

/** A parsed `spec.image`. `spec` is what npm or pip gets; `bin` the program the user chose with `#name`. */
export type ImageReference =
  | { readonly kind: 'npm'; readonly text: string; readonly spec: string; readonly bin: string | undefined }
  | { readonly kind: 'pypi'; readonly text: string; readonly spec: string; readonly bin: string | undefined }
  | { readonly kind: 'exec'; readonly text: string; readonly path: string }
  | { readonly kind: 'oci'; readonly text: string };

/** A container image. */
export const OCI = /^[a-z0-9][a-z0-9._-]*(:\d+)?(\/[a-z0-9][a-z0-9._-]*)*(:[A-Za-z0-9_][A-Za-z0-9._-]{0,127})?(@sha256:[0-9a-f]{64})?$/;
/** A program of a package, after `#`. */
export const PROGRAM = /^[A-Za-z0-9_][A-Za-z0-9._-]*$/;
/** Git and tarball specs contain a `#` of their own (`github:user/repo#v1`): there the program is named after a second one. */
const HAS_OWN_FRAGMENT = /^(?!file:)[a-z+]+:/;

/** Reads `npm:@scope/pkg@1.2.3[#bin]`, `pypi:pkg==1.2.3[#script]`, `exec:./path`, or an OCI reference; a string says what is wrong. */
export function parseImage(text: string): ImageReference | string {
  if (/[\s\0]/.test(text)) {
    return 'must not contain white space';
  }
  if (text.startsWith('exec:')) {
    const path = text.slice('exec:'.length);
    return path === '' ? 'names no program: exec:./path, exec:/path or exec:name' : { kind: 'exec', text, path };
  }
  const packaged = /^(npm|pypi):(.*)$/.exec(text);
  if (packaged !== null) {
    const kind = packaged[1] as 'npm' | 'pypi';
    const { spec, bin } = splitProgram(packaged[2] ?? '');
    // A leading dash would be read as an option by npm or pip.
    if (spec === '' || spec.startsWith('-')) {
      return kind === 'npm' ? 'names no package: npm:@scope/name@1.2.3' : 'names no package: pypi:name==1.2.3';
    }
    if (bin !== undefined && !PROGRAM.test(bin)) {
      return `"#${bin}" does not name a program of the package`;
    }
    return { kind, text, spec, bin };
  }
  return OCI.test(text) ? { kind: 'oci', text } : 'must be npm:…, pypi:…, exec:… or a container image such as ghcr.io/owner/name:tag';
}

/** The schema of `spec.image`. */
export const imageSchema = z
  .string()
  .min(1)
  .max(512)
  .transform((text, context): ImageReference => {
    const parsed = parseImage(text);
    if (typeof parsed === 'string') {
      context.addIssue({ code: 'custom', message: parsed });
      return z.NEVER;
    }
    return parsed;
  });

function splitProgram(rest: string): { spec: string; bin: string | undefined } {
  const first = rest.indexOf('#');
  const at = HAS_OWN_FRAGMENT.test(rest) && first >= 0 ? rest.indexOf('#', first + 1) : first;
  return at < 0 ? { spec: rest, bin: undefined } : { spec: rest.slice(0, at), bin: rest.slice(at + 1) };
}
