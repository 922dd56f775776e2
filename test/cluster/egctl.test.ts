// The policies for Envoy Gateway before Envoy Gateway's own translator, where there is one: EGCTL names it.

import { existsSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { BASE, patched, translate, type Xds } from '../beside/egctl.ts';

const egctl = process.env['EGCTL'];
if (egctl === undefined || !existsSync(egctl)) {
  console.warn('skipped: EGCTL names no egctl (go install github.com/envoyproxy/gateway/cmd/egctl@v1.9.1: about 10 minutes of CPU)');
}

it.skipIf(egctl === undefined)('are translated to what the tests run, and its patches do what ours do', async () => {
  const base = await translate(egctl as string, ({ kind }) => kind !== 'EnvoyPatchPolicy');
  expect(base).toEqual(JSON.parse(readFileSync(BASE, 'utf8')));
  const whole = await translate(egctl as string, () => true);
  const ours = patched(base);
  expect(Object.keys(whole.clusters).toSorted()).toEqual(Object.keys(ours.clusters).toSorted());
  expect(normal(whole)).toEqual(normal(ours));
});

/** The translator leaves out what is a default, writes 64-bit numbers and durations in its own way, and knows no aliases of enums. */
function normal(xds: Xds): unknown {
  return JSON.parse(JSON.stringify(xds), (_, value: unknown) => {
    if (typeof value === 'string' && /^\d+(\.\d+)?s$/.test(value)) return `${Number(value.slice(0, -1))}s`;
    if (typeof value === 'number') return String(value);
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      return Object.fromEntries(Object.entries(value).filter(([, one]) => !isDefault(one)));
    }
    return value;
  });
}

function isDefault(value: unknown): boolean {
  return value === false || value === '0' || value === '' || value === 'NONE' || value === 'EQ' || value === 'APPEND_IF_EXISTS_OR_ADD';
}
