// Tenants as `mcp-gateway tenants` shows them.

import type { TenantDetail, TenantSummary } from '../control/tenant-view.ts';
import { printable, table } from './table.ts';
import { inTime } from './times.ts';

export function tenantTable(tenants: readonly TenantSummary[]): string {
  if (tenants.length === 0) return 'no tenant is declared: every caller belongs to "default", without limits\n';
  const rows = tenants.map(({ name, priority, match, quotas, limits, onOutage }) => [
    ...[name, String(priority), quotas.map(shortQuota).join(', ') || '-', count(limits.sessions), count(limits.concurrentRequests)],
    ...[onOutage, match.map(matchText).join(' | ') || '-'],
  ]);
  return table([['NAME', 'PRIORITY', 'QUOTAS', 'SESSIONS', 'CONCURRENT', 'ON OUTAGE', 'MATCH'], ...rows]);
}

export function tenantPage({ name, priority, match, tools, quotas, limits, use, onOutage, note }: TenantDetail): string {
  const facts = [
    ['priority', String(priority)],
    ...(match.length === 0 ? [['match', '-']] : match.map((entry, n) => [n === 0 ? 'match' : '', matchText(entry)])),
    ['tools', tools === null ? 'all' : toolsText(tools)],
    ['on outage', onOutage],
  ];
  const rows = [
    ...quotas.map((quota) => [
      quotaText(quota),
      quota.use ? String(quota.use.used) : '-',
      String(quota.requests),
      quota.use ? inTime(quota.use.resetMs) : '-',
    ]),
    ['open sessions', count(use.sessions), count(limits.sessions), '-'],
    ['concurrent requests', count(use.concurrentRequests), count(limits.concurrentRequests), '-'],
  ];
  const parts = [`${printable(name)}\n${indented(table(facts))}`, table([['LIMIT', 'USED', 'OF', 'RESETS'], ...rows])];
  return note === undefined ? parts.join('\n') : `${parts.join('\n')}\n${printable(note)}\n`;
}

type Quota = TenantSummary['quotas'][number];

function shortQuota({ requests, per, scope }: Quota): string {
  return `${requests}/${per}${scope === 'subject' ? ' each' : ''}`;
}

function quotaText({ per, scope, backend, tool, countAll }: Quota): string {
  const words = [countAll ? 'requests' : 'tool calls', `per ${per}`];
  if (scope === 'subject') words.push('of each subject');
  if (backend !== null) words.push(`on ${backend}`);
  if (tool !== null) words.push(`to ${tool}`);
  return words.join(' ');
}

function matchText({ issuer, claim, values }: TenantSummary['match'][number]): string {
  return `${claim}=${values.join(',')} from ${issuer}`;
}

function toolsText({ allow, deny }: NonNullable<TenantSummary['tools']>): string {
  return [`allow ${allow.join(', ') || 'none'}`, ...(deny.length > 0 ? [`deny ${deny.join(', ')}`] : [])].join('; ');
}

function count(value: number | null): string {
  return value === null ? '-' : String(value);
}

function indented(text: string): string {
  return text.replaceAll(/^/gm, '  ').replace(/ {2}$/, '');
}
