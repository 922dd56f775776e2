// OAuth scopes: what a token has against what a request needs.

import { globMatches } from './tool-rules.ts';

export function hasScopes(granted: readonly string[], needed: readonly string[]): boolean {
  return needed.every((scope) => granted.includes(scope));
}

/**
 * All scopes that calls of these tools need when one of them is not granted; undefined when all are. A tool whose name is not known
 * could be any: it needs the scopes of all.
 */
export function missingScopes(
  granted: readonly string[],
  toolScopes: readonly (readonly [glob: string, scopes: readonly string[]])[],
  tools: Iterable<string | undefined>,
): readonly string[] | undefined {
  const needed = new Set<string>();
  for (const tool of tools) {
    for (const [glob, scopes] of toolScopes) {
      if (tool === undefined || globMatches(glob, tool)) for (const scope of scopes) needed.add(scope);
    }
  }
  const all = [...needed];
  return hasScopes(granted, all) ? undefined : all;
}
