// Reads claims out of a token's payload, whatever its issuer put there.

export type Claims = Readonly<Record<string, unknown>>;

const MAX_TEXTS = 256;
const MAX_TEXT_LENGTH = 256;
/** Audiences are URLs. */
const MAX_AUDIENCE_LENGTH = 1024;
const CONTROL_CHARACTER = /\p{Cc}/u;

/** Whether a text can name somebody in a header, a log line and a hash: no two different ones become the same there. */
export function isName(value: unknown): value is string {
  // A lone surrogate has no UTF-8 form: two subjects that differ in nothing else would share their sessions.
  return (
    typeof value === 'string' && value !== '' && value.length <= MAX_TEXT_LENGTH && !CONTROL_CHARACTER.test(value) && value.isWellFormed()
  );
}

/** The texts of a claim: of a text itself, of an array its texts. What is empty, too long or holds control characters is left out. */
export function claimTexts(claims: Claims, name: string): readonly string[] {
  const value = claimValue(claims, name);
  if (isName(value)) return [value];
  return Array.isArray(value) ? value.slice(0, MAX_TEXTS).filter(isName) : [];
}

/** The texts of several claims, each once. */
export function roleTexts(claims: Claims, names: readonly string[]): readonly string[] {
  return unique(names.flatMap((name) => claimTexts(claims, name)));
}

/** The scopes of several claims, each once: a text holds them with spaces between (RFC 6749, section 3.3), an array one by one. */
export function scopeTexts(claims: Claims, names: readonly string[]): readonly string[] {
  return unique(
    names.flatMap((name) => {
      const value = claimValue(claims, name);
      return typeof value === 'string' ? value.split(' ').filter(isName) : claimTexts(claims, name);
    }),
  );
}

/** `aud`, which may be a text or an array (RFC 7519, section 4.1.3). */
export function audiencesOf({ aud }: Claims): readonly string[] {
  const values: readonly unknown[] = Array.isArray(aud) ? aud.slice(0, MAX_TEXTS) : [aud];
  return values.filter((value) => typeof value === 'string' && value !== '' && value.length <= MAX_AUDIENCE_LENGTH) as string[];
}

/**
 * The claim of that very name, or else a dotted name as a way into objects. Names may hold dots themselves, as
 * `https://example.com/roles` and the client names within `resource_access` do.
 */
export function claimValue(claims: Claims, name: string): unknown {
  if (Object.hasOwn(claims, name)) return claims[name];
  for (let dot = name.indexOf('.'); dot > 0; dot = name.indexOf('.', dot + 1)) {
    const outer = name.slice(0, dot);
    if (!Object.hasOwn(claims, outer)) continue;
    const inner = claims[outer];
    if (!isObject(inner)) continue;
    const found = claimValue(inner, name.slice(dot + 1));
    if (found !== undefined) return found;
  }
  return undefined;
}

export function isObject(value: unknown): value is Claims {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function unique(texts: readonly string[]): readonly string[] {
  return [...new Set(texts)].slice(0, MAX_TEXTS);
}
