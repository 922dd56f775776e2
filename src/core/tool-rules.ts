// Which tools a caller may see and call: globs in which `*` stands for any run of characters, deny before allow.

/** Rules as they are declared. Absent from both lists means not allowed. */
export interface ToolRuleLists {
  readonly allow: readonly string[];
  readonly deny: readonly string[];
}

/** Rules prepared once, so that a request costs one set look-up and the globs that really hold a star. */
export interface CompiledToolRules {
  readonly allow: CompiledGlobs;
  readonly deny: CompiledGlobs;
}

interface CompiledGlobs {
  /** Patterns without a star: a name is either in here or it is not. */
  readonly names: ReadonlySet<string>;
  readonly globs: readonly string[];
}

export function compileToolRules({ allow, deny }: ToolRuleLists): CompiledToolRules {
  return { allow: compileGlobs(allow), deny: compileGlobs(deny) };
}

/** Names are compared as they are, case and all. The empty lists allow nothing. */
export function toolAllowed(rules: CompiledToolRules, name: string): boolean {
  return !matchesAny(rules.deny, name) && matchesAny(rules.allow, name);
}

/**
 * Does the whole of `text` match? Only `*` is special, and it matches line breaks and nothing at all too.
 * Only the last star is ever retried: at worst pattern × text steps, in practice about as many as `text` is long.
 * No pattern and no tool name can blow it up, as they can a regular expression.
 */
export function globMatches(pattern: string, text: string): boolean {
  let at = 0;
  let star = -1;
  let retry = 0;
  let index = 0;
  while (index < text.length) {
    const unit = pattern.charCodeAt(at);
    if (unit === STAR) {
      star = at;
      retry = index;
      at += 1;
    } else if (unit === text.charCodeAt(index)) {
      at += 1;
      index += 1;
    } else if (star >= 0) {
      at = star + 1;
      retry += 1;
      index = retry;
    } else {
      return false;
    }
  }
  while (pattern.charCodeAt(at) === STAR) at += 1;
  return at === pattern.length;
}

const STAR = '*'.charCodeAt(0);

function compileGlobs(patterns: readonly string[]): CompiledGlobs {
  const isGlob = (pattern: string): boolean => pattern.includes('*');
  return { names: new Set(patterns.filter((pattern) => !isGlob(pattern))), globs: patterns.filter(isGlob) };
}

function matchesAny({ names, globs }: CompiledGlobs, name: string): boolean {
  return names.has(name) || globs.some((glob) => globMatches(glob, name));
}
