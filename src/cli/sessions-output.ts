// Sessions as `mcp-gateway sessions list` shows them.

import type { ListedSession } from '../control/sessions.ts';
import { table } from './table.ts';
import { ago } from './times.ts';

const HEADING = ['KEY', 'BACKEND', 'TENANT', 'SUBJECT', 'LAST USED', 'OPENED', 'INSTANCE', 'ISSUER'];

export function sessionTable(sessions: readonly ListedSession[], now: number): string {
  if (sessions.length === 0) return 'no open sessions\n';
  const rows = sessions.map(({ key, backend, tenant, subject, lastUsed, createdAt, instance, issuer }) => [
    ...[key, backend, tenant, subject, ago(lastUsed, now), ago(createdAt, now), instance ?? '(idle)', issuer],
  ]);
  return table([HEADING, ...rows]);
}
