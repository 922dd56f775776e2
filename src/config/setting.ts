// One row of the settings table: what a setting is called, where it comes from and what it takes.

import type { Parser } from './settings-parsers.ts';

/** One row of the table. The key of the row is the key in gateway.yaml; units stand in it. */
export interface Setting<Value> {
  readonly env: string;
  /** The option of `mcp-gateway up`, when there is one. */
  readonly flag?: `--${string}`;
  /** What the flag's value looks like in `--help`. */
  readonly placeholder?: string;
  /** As a user would write it; `<home>` and `<cache>` at its beginning stand for those folders. */
  readonly fallback: string | undefined;
  /** One sentence for the docs page and `--help`. */
  readonly doc: string;
  /** May hold a password: never printed. */
  readonly secret?: true;
  readonly parse: Parser<Value>;
}

export const setting = <Value>(row: Setting<Value> & { readonly fallback: string }): Setting<Value> => row;
export const optional = <Value>(row: Omit<Setting<Value>, 'fallback'>): Setting<Value | undefined> => ({ ...row, fallback: undefined });
