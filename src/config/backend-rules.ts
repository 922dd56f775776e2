// Rules across the fields of an MCPBackend's `spec`. k8s/crds has the same ones for the API server: scripts/crd/backend-rules.ts.

import { repeatedNames } from './env-spec.ts';
import { clearTextProblem } from './upstream-auth.ts';

export interface RuleProblem {
  readonly path: readonly string[];
  readonly message: string;
}

/** What only a server that the gateway runs has. */
const RUN_FIELDS = ['args', 'env', 'transport', 'port', 'path', 'replicas', 'resources', 'storage'];

/** From the raw input: what the fields say of themselves is reported by their schemas. */
export function crossFieldProblems(raw: Readonly<Record<string, unknown>>): readonly RuleProblem[] {
  return [...sourceProblems(raw), ...stdioProblems(raw), ...scalingProblems(raw), ...repeatedVariables(raw)];
}

function sourceProblems(raw: Readonly<Record<string, unknown>>): RuleProblem[] {
  const problems: RuleProblem[] = [];
  const has = (field: string): boolean => raw[field] !== undefined;
  if (has('image') === has('url')) {
    problems.push({ path: ['image'], message: has('url') ? 'image and url exclude each other' : 'either image or url is needed' });
  }
  if (has('upstreamAuth') && !has('url')) {
    problems.push({ path: ['upstreamAuth'], message: 'is only used with url' });
  }
  const readable = has('upstreamAuth') ? clearTextProblem(raw['url']) : undefined;
  if (readable !== undefined) {
    problems.push({ path: ['upstreamAuth'], message: readable });
  }
  if (has('url')) {
    const unused = RUN_FIELDS.filter(has);
    problems.push(...unused.map((field) => ({ path: [field], message: field === 'path' ? 'is part of url' : 'is not used with url' })));
  }
  return problems;
}

function stdioProblems(raw: Readonly<Record<string, unknown>>): RuleProblem[] {
  if (raw['transport'] !== 'stdio') return [];
  const problems: RuleProblem[] = [];
  if (raw['affinity'] === 'none') {
    const message = 'none needs a stateless server; transport: stdio runs one process per session';
    problems.push({ path: ['affinity'], message });
  }
  const probed = (raw['healthCheck'] as { path?: unknown } | null | undefined)?.path;
  if (probed !== undefined && probed !== '/healthz') {
    const message = 'path is not used with transport: stdio: the bridge answers at /healthz; { type: mcp } asks the server itself';
    problems.push({ path: ['healthCheck'], message });
  }
  return problems;
}

function scalingProblems(raw: Readonly<Record<string, unknown>>): RuleProblem[] {
  const { max, sessionsPerReplica } = (raw['scaling'] ?? {}) as { max?: unknown; sessionsPerReplica?: unknown };
  const problems: RuleProblem[] = [];
  if (max !== undefined && raw['url'] !== undefined) {
    problems.push({ path: ['scaling', 'max'], message: 'is not used with url' });
  }
  const replicas = raw['replicas'] ?? 1;
  if (typeof max === 'number' && typeof replicas === 'number' && max < replicas) {
    problems.push({ path: ['scaling', 'max'], message: 'must not be less than replicas' });
  }
  if (sessionsPerReplica !== undefined && raw['affinity'] === 'none') {
    problems.push({ path: ['scaling', 'sessionsPerReplica'], message: 'affinity: none has no sessions to count; use requestsPerReplica' });
  }
  return problems;
}

function repeatedVariables(raw: Readonly<Record<string, unknown>>): RuleProblem[] {
  return repeatedNames(raw['env']).map((name) => ({ path: ['env'], message: `${name} is given twice` }));
}
