// Reads a CPU profile: self time by part of the program and by function.

const TOP_FUNCTIONS = 45;
/** The file that starts and ends the profile (profile.ts): its own time is not the program's. */
const PROFILER = '/dist/main.js';

interface ProfileNode {
  readonly id: number;
  readonly children?: readonly number[];
  readonly callFrame: { readonly functionName: string; readonly url: string; readonly lineNumber: number };
}

/** What V8's profiler writes. */
export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  readonly samples: readonly number[];
  /** Microseconds before each sample. */
  readonly timeDeltas: readonly number[];
}

/** Times are per request, so that profiles of different length can be compared. */
export function renderProfile(profile: CpuProfile, requests: number): string {
  const byId = new Map(profile.nodes.map((node) => [node.id, node]));
  const parentOf = new Map(profile.nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node] as const)));
  const parts = new Map<string, number>();
  const callers = new Map<string, number>();
  const functions = new Map<string, number>();
  let busy = 0;
  profile.samples.forEach((id, index) => {
    const node = byId.get(id);
    if (!node || node.callFrame.functionName === '(idle)' || callerOf(node, parentOf).endsWith(PROFILER)) return;
    const time = profile.timeDeltas[index] ?? 0;
    busy += time;
    add(parts, partOf(node), time);
    add(callers, callerOf(node, parentOf), time);
    add(functions, nameOf(node), time);
  });
  const line = ([name, time]: readonly [string, number]): string =>
    `${((100 * time) / busy).toFixed(1).padStart(6)} %  ${(time / requests).toFixed(2).padStart(7)} µs  ${name}`;
  return [
    `busy: ${(busy / requests).toFixed(1)} µs per request (${requests} requests)`,
    '',
    'self time by part:',
    ...sorted(parts).map(line),
    '',
    'the same, with what a part calls in Node itself counted as its own:',
    ...sorted(callers).map(line),
    '',
    'self time by function:',
    ...sorted(functions).slice(0, TOP_FUNCTIONS).map(line),
  ].join('\n');
}

function partOf({ callFrame: { url, functionName } }: ProfileNode): string {
  const ours = /\/dist\/([^/]+)\/([^/]+)\.js$/.exec(url);
  const dependency = /\/node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(url)?.[1];
  if (dependency !== undefined) return dependency;
  if (ours) return `ours: ${ours[1]}/${ours[2]}`;
  if (url.startsWith('node:')) return 'node';
  if (url !== '') return url;
  if (functionName.startsWith('(')) return functionName;
  return functionName.includes('$') ? 'protobufjs, generated' : 'node, native';
}

/** The nearest part above that is not Node's. */
function callerOf(node: ProfileNode, parentOf: ReadonlyMap<number, ProfileNode>): string {
  const own = partOf(node);
  if (!own.startsWith('node')) return own;
  for (let at = parentOf.get(node.id); at; at = parentOf.get(at.id)) {
    const part = partOf(at);
    if (part !== '(root)' && !part.startsWith('node')) return part;
  }
  return own;
}

function nameOf({ callFrame: { url, functionName, lineNumber } }: ProfileNode): string {
  const where = url.replace(/^.*\/node_modules\//, '').replace(/^.*\/dist\//, 'dist/');
  return `${functionName || '(anonymous)'}  ${where}${where === '' ? '' : `:${lineNumber + 1}`}`;
}

function add(sums: Map<string, number>, key: string, value: number): void {
  sums.set(key, (sums.get(key) ?? 0) + value);
}

function sorted(sums: ReadonlyMap<string, number>): (readonly [string, number])[] {
  return [...sums].sort(([, a], [, b]) => b - a);
}
