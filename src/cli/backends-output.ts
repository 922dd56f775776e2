// Backends as `mcp-gateway backends` shows them.

import type { Adapter } from '../api/adapter-operations.ts';
import { printable, table } from './table.ts';
import { ago } from './times.ts';

export function backendTable(backends: readonly Adapter[]): string {
  if (backends.length === 0) return 'no backend is declared: put an MCPBackend into the resources folder\n';
  const rows = backends.map(({ name, health, replicas, sessions, image, url }) => [
    ...[name, health, `${replicas.ready}/${replicas.desired}`, sessions === null ? '-' : String(sessions), image, url],
  ]);
  const wrong = backends.filter(({ message }) => message !== '').map(({ name, message }) => `${printable(name)}: ${printable(message)}\n`);
  return [table([['NAME', 'HEALTH', 'READY', 'SESSIONS', 'IMAGE', 'URL'], ...rows]), ...(wrong.length > 0 ? ['\n', ...wrong] : [])].join(
    '',
  );
}

/** `now`: milliseconds since 1970. */
export function backendPage(backend: Adapter, now: number): string {
  const {
    name,
    description,
    health,
    message,
    image,
    url,
    affinity,
    transport,
    access,
    sessionRules,
    args,
    env,
    createdBy,
    source,
    instances,
  } = backend;
  const { recovery, idleTimeout, maxAge } = sessionRules;
  const facts = [
    ...(description === '' ? [] : [['description', description]]),
    ['health', message === '' ? health : `${health}: ${message}`],
    ['url', url],
    ['image', image],
    ...(args.length > 0 ? [['args', args.join(' ')]] : []),
    ...(env.length > 0
      ? [['env', env.map(({ name: variable, from }) => (from === 'secret' ? `${variable} (secret)` : variable)).join(', ')]]
      : []),
    ['transport', transport],
    ['affinity', affinity],
    ['sessions', `recovery ${recovery}, idle timeout ${idleTimeout}, at most ${maxAge}`],
    ['access', !access ? 'administrators; without issuers everyone on this machine' : accessText(access)],
    ['declared in', source],
    ...(createdBy === null ? [] : [['created by', createdBy]]),
  ];
  const rows = instances.map(({ id, state, pid, address, restarts, since, error, sessions }, n) => [
    ...[String(n), id ?? '-', state, pid === null ? '-' : String(pid), address ?? '-', sessions === null ? '-' : String(sessions)],
    ...[String(restarts), ago(since, now), error ?? ''],
  ]);
  const parts = [`${printable(name)}\n${table(facts).replaceAll(/^(?=.)/gm, '  ')}`];
  if (rows.length > 0) parts.push(table([['#', 'INSTANCE', 'STATE', 'PID', 'ADDRESS', 'SESSIONS', 'RESTARTS', 'SINCE', 'ERROR'], ...rows]));
  return parts.join('\n');
}

function accessText({ tenants, roles, scopes, tools }: NonNullable<Adapter['access']>): string {
  const parts = [
    ...(tenants.length > 0 ? [`tenants ${tenants.join(', ')}`] : []),
    ...(roles.length > 0 ? [`roles ${roles.join(', ')}`] : []),
    ...(scopes.length > 0 ? [`scopes ${scopes.join(', ')}`] : []),
    ...(tools.deny.length > 0 ? [`not the tools ${tools.deny.join(', ')}`] : []),
  ];
  return parts.join('; ') || 'its creator and administrators';
}
