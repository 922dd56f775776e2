// The query of a request target, as it was written.

/** With its question mark; empty when there is none. */
export function queryOf(target: string): string {
  const at = target.indexOf('?');
  return at < 0 ? '' : target.slice(at);
}
