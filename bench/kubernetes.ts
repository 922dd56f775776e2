// How soon a change of an EndpointSlice is what requests are routed by, and what a large cluster costs a sidecar: `npm run bench:kubernetes`.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { ENDPOINT_SLICES, type KubeObject, MCP_BACKENDS, PODS } from '../src/runtime/k8s/objects.ts';
import { haveBinaries, provideBinaries, SUITES } from '../test/cluster/assets.ts';
import { startGatewayPod } from '../test/cluster/gateway-pod.ts';
import { type Installed, startInstalled } from '../test/cluster/installed.ts';
import { runLoad } from '../test/harness/load.ts';
import { ownAddress } from '../test/harness/own-address.ts';
import { startServer } from '../test/harness/server-process.ts';
import { provideBuild, provideEnvoy } from '../test/setup/tools.ts';
import { describeMachine } from './machine.ts';

const IN_FLIGHT = 32;
const PROBE = 'probe';
const SILENT_PORT = 8000;

interface Wishes {
  readonly backends: number;
  readonly podsEach: number;
  readonly changes: number;
  readonly out: string;
}

const options = new Command('npm run bench:kubernetes --')
  .description(
    'Measures a sidecar against a real API server: time from an EndpointSlice’s change to routing, memory and start in a large cluster.',
  )
  .option('--backends <n>', 'backends besides the one that is measured', Number, 1_000)
  .option('--pods-each <n>', 'pods of each', Number, 5)
  .option('--changes <n>', 'changes that are measured', Number, 300)
  .option('--out <folder>', 'where the results are written', fileURLToPath(new URL('./results', import.meta.url)))
  .parse();
const { backends, podsEach, changes, out } = options.opts<Wishes>();
const say = (line: string) => process.stderr.write(`bench: ${line}\n`);

const owner = (backend: string) => ({
  apiVersion: 'apps/v1',
  kind: 'ReplicaSet',
  name: `${backend}-7d9f5c6b4`,
  uid: 'replica-set',
  controller: true,
});
const ip = ownAddress();

async function makePod({ api }: Installed, backend: string, name: string, address: string): Promise<string> {
  const labels = { 'mcpgateway.dev/backend': backend };
  const { metadata } = await api.create(PODS, {
    metadata: { name, namespace: 'mcp', labels, ownerReferences: [owner(backend)] },
    spec: {
      containers: [{ name: 'server', image: 'x', securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } } }],
      securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    },
  } as KubeObject);
  const status = { phase: 'Running', podIP: address, podIPs: [{ ip: address }] };
  await api.patch(PODS, name, 'mcp', { status }, undefined, 'status');
  return metadata.uid ?? '';
}

const sliceOf = (backend: string, port: number, pods: readonly { name: string; uid: string; address: string }[]): KubeObject => ({
  metadata: { name: backend, namespace: 'mcp', labels: { 'mcpgateway.dev/backend': backend, 'kubernetes.io/service-name': backend } },
  addressType: 'IPv4',
  ports: [{ name: 'mcp', port, protocol: 'TCP' }],
  endpoints: pods.map(({ name, uid, address }) => ({
    addresses: [address],
    conditions: { ready: true, serving: true, terminating: false },
    targetRef: { kind: 'Pod', namespace: 'mcp', name, uid },
  })),
});

const apply = ({ api }: Installed, kind: typeof MCP_BACKENDS, object: KubeObject) =>
  api.apply(kind, object, { fieldManager: 'bench', force: true });

/** Many backends whose pods nobody calls. */
async function fill(installed: Installed): Promise<void> {
  let done = 0;
  await runLoad(backends, IN_FLIGHT, async (index) => {
    const name = `backend-${index}`;
    await apply(installed, MCP_BACKENDS, {
      metadata: { name, namespace: 'mcp' },
      spec: { image: 'ghcr.io/acme/server:1', replicas: podsEach },
    });
    const pods = await Promise.all(
      Array.from({ length: podsEach }, async (_, at) => {
        const address = `10.${1 + Math.floor(index / 250)}.${index % 250}.${at + 1}`;
        const pod = `${name}-7d9f5c6b4-${at}`;
        return { name: pod, address, uid: await makePod(installed, name, pod, address) };
      }),
    );
    await apply(installed, ENDPOINT_SLICES, sliceOf(name, SILENT_PORT, pods));
    done += 1;
    if (done % 250 === 0) say(`${done} of ${backends} backends are there`);
  });
}

function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024;
}

const childrenOf = (pid: number): number[] =>
  execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)], { encoding: 'utf8' })
    .split('\n')
    .map(Number)
    .filter((each) => each > 0);

const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;

if (!haveBinaries(SUITES.cluster)) say('building a Kubernetes API server: that takes some minutes, once');
await provideBinaries(SUITES.cluster, say);
await Promise.all([provideBuild(say), provideEnvoy(say)]);
const folder = mkdtempSync(join(tmpdir(), 'bench-'));
const keyFile = join(folder, 'keys.json');
writeFileSync(keyFile, JSON.stringify({ keys: [{ id: '00000001', secret: Buffer.alloc(32, 7).toString('base64'), sealFrom: 0 }] }));
const installed = await startInstalled();
const [one, two] = [await startServer('stateless-server', { HOST: ip }), await startServer('stateless-server', { HOST: ip })];
const machine = describeMachine('1.40.0', fileURLToPath(new URL('..', import.meta.url)));

/** The time from the API server's answer to the change until a request is answered by the other process; the requests go one after another. */
async function timeOfChanges(url: string, uid: string): Promise<number[]> {
  const times: number[] = [];
  const headers = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' };
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name: 'whoami', arguments: {} } });
  const answeredBy = async (pid: number): Promise<boolean> =>
    (await (await fetch(url, { method: 'POST', headers, body })).text()).includes(`\\"pid\\":${pid}`);
  for (let change = 0; change < changes; change += 1) {
    const target = change % 2 === 0 ? two : one;
    await apply(installed, ENDPOINT_SLICES, sliceOf(PROBE, Number(new URL(target.url).port), [{ name: 'probe', uid, address: ip }]));
    const from = performance.now();
    while (!(await answeredBy(target.pid))) if (performance.now() - from > 30_000) throw new Error('a change was not seen within 30 s');
    times.push(performance.now() - from);
  }
  return times.toSorted((a, b) => a - b);
}

interface Figures {
  readonly title: string;
  readonly syncedMs: number;
  readonly supervisorMiB: number;
  readonly workerMiB: number;
  readonly times: readonly number[];
}

async function measure(title: string, uid: string): Promise<Figures> {
  say(`${title}: the gateway’s pod starts`);
  const began = performance.now();
  const gateway = await startGatewayPod({ kubeconfig: installed.kubeconfigs.gateway, namespace: 'mcp', keyFile });
  try {
    const syncedMs = performance.now() - began;
    say(`${title}: ${changes} changes`);
    const times = await timeOfChanges(gateway.backendUrl(PROBE), uid);
    const [worker = 0] = childrenOf(gateway.sidecarPid);
    return { title, syncedMs, supervisorMiB: memoryOf(gateway.sidecarPid), workerMiB: memoryOf(worker), times };
  } finally {
    await gateway.stop();
  }
}

try {
  await apply(installed, MCP_BACKENDS, {
    metadata: { name: PROBE, namespace: 'mcp' },
    spec: { image: 'ghcr.io/acme/server:1', affinity: 'none' },
  });
  const uid = await makePod(installed, PROBE, 'probe', ip);
  await apply(installed, ENDPOINT_SLICES, sliceOf(PROBE, Number(new URL(one.url).port), [{ name: 'probe', uid, address: ip }]));
  const results = [await measure('1 backend, 1 pod', uid)];
  await fill(installed);
  results.push(await measure(`${backends + 1} backends, ${backends * podsEach + 1} pods`, uid));
  const rows = results.map(({ title, syncedMs, supervisorMiB, workerMiB, times }) => [
    ...[title, (syncedMs / 1000).toFixed(1), supervisorMiB.toFixed(0), workerMiB.toFixed(0)],
    ...[0.5, 0.99, 1].map((share) => quantile(times, share).toFixed(1)),
  ]);
  const worst = Math.max(...results.map(({ times }) => quantile(times, 0.99)));
  const date = new Date().toISOString().slice(0, 10);
  const text = [
    `# Kubernetes: changes and size, ${date}`,
    '',
    `${machine.cores} × ${machine.cpu}, ${machine.memoryGiB} GiB, ${machine.system}; Node ${machine.node}, Envoy ${machine.envoy}; commit ${machine.commit ?? 'unknown'}; load before the run: ${machine.loadBefore}.`,
    'API server, etcd, Envoy, sidecar, servers and the caller share the machine.',
    '',
    '| cluster | start to ready, s | supervisor, MiB | worker, MiB | change to routing p50, ms | p99, ms | slowest, ms |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...rows.map((row) => `| ${row.join(' | ')} |`),
    '',
    `${changes} changes each, one after another: from the API server’s answer until a request is answered by the pod that the slice names now. Target: p99 below 250 ms: ${worst < 250 ? 'met' : 'MISSED'}.`,
    '',
  ].join('\n');
  writeFileSync(join(out, `kubernetes-${date}.md`), text);
  process.stdout.write(text);
} finally {
  await Promise.all([one.stop(), two.stop()]);
  await installed.close();
  rmSync(folder, { recursive: true, force: true });
}
