// What a tenant has used up, as `mcp-gateway tenants get` shows it, and changes of its resource file while the gateway runs.

import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Gateway } from './gateway.ts';
import { tenant } from './tenant.ts';

/** Null for what is not limited. */
export interface TenantUse {
  readonly sessions: number | null;
  readonly concurrentRequests: number | null;
  /** Of each quota in the order of the file; null for those per subject. */
  readonly quotas: readonly (number | null)[];
}

/** Asks the gateway's admin address. @throws when it does not know. */
export async function useOf({ admin, home }: Gateway, name: string): Promise<TenantUse> {
  const authorization = `Bearer ${readFileSync(join(home, 'token'), 'utf8').trim()}`;
  const response = await fetch(`${admin}/tenants/${name}`, { headers: { authorization } });
  const said = (await response.json()) as {
    readonly use?: Omit<TenantUse, 'quotas'>;
    readonly quotas?: readonly { readonly use: { readonly used: number } | null }[];
  };
  if (response.status !== 200 || said.use === undefined) throw new Error(`tenant ${name}: HTTP ${response.status} ${JSON.stringify(said)}`);
  return { ...said.use, quotas: (said.quotas ?? []).map(({ use }) => use?.used ?? null) };
}

/** Replaces a tenant's file in one step, as an editor does. */
export function writeTenant({ home }: Gateway, name: string, spec: Readonly<Record<string, unknown>>): void {
  const { file, yaml } = tenant(name, spec);
  const temporary = join(home, `${file}.new`);
  writeFileSync(temporary, yaml);
  renameSync(temporary, join(home, 'resources', file));
}
