// `run` and `drain-agent` in a real pod: a stdio server behind its port, and an end that waits for the controller's word.

import { readdirSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { createKubectl } from '../cluster/kubectl.ts';
import { openSession } from '../harness/mcp-http.ts';
import { waitFor } from '../harness/wait-for.ts';
import { type Controller, startController } from '../pod/controller.ts';
import { loadImages } from './containerd.ts';
import { NODE_FILES } from './image.ts';

const namespace = 'pod-commands';
const IMAGE = 'docker.io/test/pod-commands:1';
const kubectl = createKubectl(inject('cluster').kubeconfig);
/** What the two commands load besides themselves. */
const PACKAGES =
  /^(zod|pino.*|@pinojs|sonic-boom|thread-stream|atomic-sleep|on-exit-leak-free|process-warning|quick-format-unescaped|real-require|safe-stable-stringify)$/;

/** A stdio server with one tool. */
const SERVER = `
require('node:readline').createInterface({ input: process.stdin }).on('line', (line) => {
  const { id, method } = JSON.parse(line);
  if (id === undefined) return;
  const result = method === 'initialize'
    ? { protocolVersion: '2025-11-25', capabilities: { tools: {} }, serverInfo: { name: 'x', version: '1' } }
    : { content: [{ type: 'text', text: JSON.stringify({ pid: process.pid, session: null, calls: 1, parent: process.ppid, home: process.env.HOME }) }] };
  process.stdout.write(JSON.stringify({ jsonrpc: '2.0', id, result }) + '\\n');
});
`;

interface Pod {
  readonly metadata: { readonly uid: string };
  readonly status: { readonly podIP?: string; readonly conditions?: readonly { readonly type: string; readonly status: string }[] };
}

let controller: Controller;

const locked = { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
const pod = (name: string, controllerUrl: string) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace },
  spec: {
    automountServiceAccountToken: false,
    terminationGracePeriodSeconds: 120,
    securityContext: { runAsNonRoot: true, runAsUser: 65532, fsGroup: 65532, seccompProfile: { type: 'RuntimeDefault' } },
    initContainers: [
      {
        name: 'drain',
        image: IMAGE,
        imagePullPolicy: 'Never',
        restartPolicy: 'Always',
        args: ['drain-agent'],
        env: [
          { name: 'MCP_GATEWAY_CONTROLLER_URL', value: controllerUrl },
          { name: 'MCP_GATEWAY_DRAIN_GRACE_MS', value: '120000' },
          { name: 'POD_UID', valueFrom: { fieldRef: { fieldPath: 'metadata.uid' } } },
          { name: 'POD_IP', valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } },
          { name: 'NODE_OPTIONS', value: '--max-old-space-size=32 --max-semi-space-size=1' },
        ],
        resources: { limits: { memory: '96Mi' } },
        startupProbe: { httpGet: { path: '/healthz', port: 15_080 }, periodSeconds: 1, failureThreshold: 60 },
        securityContext: locked,
        volumeMounts: [{ name: 'token', mountPath: '/var/run/secrets/mcp-gateway', readOnly: true }],
      },
    ],
    containers: [
      {
        name: 'server',
        image: IMAGE,
        imagePullPolicy: 'Never',
        args: ['run', '--stdio', '--', '/usr/local/bin/node', '-e', SERVER],
        env: [{ name: 'PORT', value: '8000' }],
        ports: [{ name: 'mcp', containerPort: 8000 }],
        readinessProbe: { httpGet: { path: '/probe', port: 15_080 }, periodSeconds: 2, timeoutSeconds: 8 },
        lifecycle: { preStop: { httpGet: { path: '/drain', port: 15_080 } } },
        securityContext: locked,
        volumeMounts: [{ name: 'tmp', mountPath: '/tmp' }],
      },
    ],
    volumes: [
      { name: 'tmp', emptyDir: {} },
      { name: 'token', projected: { sources: [{ serviceAccountToken: { audience: 'mcp-gateway-controller', path: 'token' } }] } },
    ],
  },
});

beforeAll(async () => {
  const packages = readdirSync('node_modules').filter((name) => PACKAGES.test(name));
  await loadImages({
    ...{ reference: IMAGE, entrypoint: ['/usr/local/bin/node', '/app/dist/main.js'], user: '65532:65532' },
    layers: [
      NODE_FILES,
      {
        '/app/dist': 'dist',
        '/app/package.json': 'package.json',
        ...Object.fromEntries(packages.map((name) => [`/app/node_modules/${name}`, `node_modules/${name}`])),
      },
    ],
  });
  controller = await startController({ host: '0.0.0.0' });
  await kubectl(['create', 'namespace', namespace]);
  await kubectl(['label', 'namespace', namespace, 'pod-security.kubernetes.io/enforce=restricted']);
});
afterAll(() => controller.close());

test('a server is ready when its probe in MCP says so, and stays until the controller lets its pod go', async () => {
  const own = Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  await kubectl.apply(pod('talker', `http://${own}:${controller.port}`));
  const running = await waitFor(
    'the pod to be ready',
    async () => {
      const found = await kubectl.get<Pod>(['pod', 'talker', '-n', namespace]);
      return found.status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') ? found : undefined;
    },
    { timeoutMs: 50_000 },
  );
  const session = await openSession(`http://${running.status.podIP}:8000/mcp`);
  // The bridge is process 1 of its container, and the server's parent.
  expect(await session.call('any')).toMatchObject({ parent: 1, home: '/tmp/mcp/home' });

  await kubectl(['delete', 'pod', 'talker', '-n', namespace, '--wait=false']);
  await waitFor('the agent to ask twice', () => controller.asked.length >= 2);
  expect(await session.call('any')).toMatchObject({ parent: 1 });
  const [question] = controller.asked;
  expect(question?.path).toBe(`/internal/drain/${running.metadata.uid}`);
  const claims = JSON.parse(Buffer.from(question?.authorization?.split('.')[1] ?? '', 'base64url').toString()) as object;
  expect(claims).toMatchObject({
    aud: ['mcp-gateway-controller'],
    'kubernetes.io': { pod: { name: 'talker', uid: running.metadata.uid } },
  });

  controller.say(true);
  const begin = performance.now();
  await waitFor('the pod to be gone', () =>
    kubectl(['get', 'pod', 'talker', '-n', namespace]).then(
      () => false,
      () => true,
    ),
  );
  // Neither container waited for its SIGKILL.
  expect(performance.now() - begin).toBeLessThan(20_000);
}, 120_000);
