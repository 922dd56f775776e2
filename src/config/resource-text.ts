// What validated resources and issuers say, as somebody would write it down: durations are text, and what is assumed anyway is left out.

import { isDeepStrictEqual } from 'node:util';
import { type BackendSpec, backendFields } from './backend-spec.ts';
import { formatDuration } from './durations.ts';
import { type IssuerSpec, issuerSpec } from './issuer-spec.ts';
import { type TenantSpec, tenantSpec } from './tenant-spec.ts';

type Fields = Readonly<Record<string, unknown>>;
export type SpecText = Record<string, unknown>;

/** The `spec` of an MCPBackend. */
export function backendText(spec: BackendSpec): SpecText {
  // Given or not: that says something of itself.
  const present = { ...(spec.access && { access: {} }), ...(spec.storage && { storage: {} }) };
  const text = differing(written(spec), written(backendFields.parse(present)));
  return inOrder({ ...present, ...text }, spec);
}

function written({ image, sessions, scaling, ...rest }: BackendSpec): Fields {
  const { toZeroAfter, startTimeout } = scaling;
  return {
    ...rest,
    image: image?.text,
    sessions: { ...sessions, idleTimeout: formatDuration(sessions.idleTimeout), maxAge: formatDuration(sessions.maxAge) },
    scaling: {
      ...scaling,
      toZeroAfter: toZeroAfter === undefined ? undefined : formatDuration(toZeroAfter),
      startTimeout: formatDuration(startTimeout),
    },
  };
}

/** The `spec` of an MCPTenant. */
export function tenantText(spec: TenantSpec): SpecText {
  const quotas = spec.quotas.map(({ per, ...quota }) => {
    const { requests, ...rest } = quota;
    return { requests, per: formatDuration(per), ...differing(rest, { scope: 'tenant', countAll: false }) };
  });
  return differing({ ...spec, quotas }, tenantSpec.parse({}));
}

/** An entry of `issuers`. */
export function issuerText(spec: IssuerSpec): SpecText {
  const { issuer, preset } = spec;
  const assumed = issuerSpec.parse({ issuer, ...(preset && { preset }) });
  const text = (each: IssuerSpec): Fields => ({ ...each, leeway: formatDuration(each.leeway) });
  return { issuer, ...(preset && { preset }), ...differing(text(spec), text(assumed)) };
}

/** What is not as assumed; lists as a whole, objects field by field. */
function differing(value: Fields, assumed: Fields): SpecText {
  const kept = Object.entries(value).flatMap(([field, each]): [string, unknown][] => {
    const other = assumed[field];
    if (each === undefined || isDeepStrictEqual(each, other)) return [];
    return [[field, isFields(each) && isFields(other) ? differing(each, other) : plain(each)]];
  });
  return Object.fromEntries(kept);
}

function inOrder(text: SpecText, like: object): SpecText {
  const names = [...new Set(['image', ...Object.keys(like)])];
  return Object.fromEntries(names.filter((name) => name in text).map((name) => [name, text[name]]));
}

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Without fields that are not set. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!isFields(value)) return value;
  const set = Object.entries(value).filter(([, each]) => each !== undefined);
  return Object.fromEntries(set.map(([field, each]) => [field, plain(each)]));
}
