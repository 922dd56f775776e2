// A change by an administrator leaves its line in the audit log, whatever becomes of it.

import type { AuditEntry } from '../telemetry/audit-line.ts';
import { type Actor, nameOf } from './actor.ts';
import { ControlRefusal } from './refusal.ts';

export async function audited<T>(
  audit: (entry: AuditEntry) => void,
  { actor, ...what }: { readonly action: string; readonly target: string; readonly session?: string; readonly actor: Actor },
  change: () => Promise<T>,
): Promise<T> {
  const say = (outcome: AuditEntry['outcome']): void => audit({ event: 'admin', ...what, ...nameOf(actor), outcome });
  try {
    const result = await change();
    say('done');
    return result;
  } catch (error) {
    say(error instanceof ControlRefusal && error.code !== 'unavailable' ? 'refused' : 'failed');
    throw error;
  }
}

/** The target of a creation, whatever was sent. */
export function nameIn(body: unknown): string {
  const { name } = (typeof body === 'object' && body !== null ? body : {}) as { readonly name?: unknown };
  return typeof name === 'string' ? name.slice(0, 64) : '';
}
