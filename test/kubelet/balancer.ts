// One address for all gateways that are ready, as a Service or a load balancer gives it: each new connection goes to one of them, by `kubectl port-forward`.

import { type ChildProcess, spawn } from 'node:child_process';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';
import { inject } from 'vitest';
import { binary } from '../cluster/assets.ts';
import { waitFor } from '../harness/wait-for.ts';
import { isReady, kubectl, type Seen } from './product.ts';

const LOOK_MS = 500;
const GATEWAYS = ['-n', 'mcp-gateway', '-l', 'app.kubernetes.io/component=gateway'];

export interface Forward {
  readonly port: number;
  readonly url: string;
  backendUrl(name: string): string;
  readonly isAlive: () => boolean;
  stop(): void;
}

/** `target`: as kubectl names it, e.g. `deploy/mcp-gateway`. */
export async function portForward(namespace: string, target: string, port: number): Promise<Forward> {
  const args = ['--kubeconfig', inject('cluster').kubeconfig, 'port-forward', '-n', namespace, target, `:${port}`];
  const child: ChildProcess = spawn(binary('kubectl'), args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  const keep = (chunk: Buffer): void => {
    said = (said + chunk.toString('utf8')).slice(-10_000);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  const isAlive = (): boolean => child.exitCode === null && child.signalCode === null;
  try {
    const local = await waitFor(`the port of ${target}`, () => {
      if (!isAlive()) throw new Error('kubectl has ended');
      return /127\.0\.0\.1:(\d+) ->/.exec(said)?.[1];
    });
    const url = `http://127.0.0.1:${local}`;
    return { port: Number(local), url, backendUrl: (name) => `${url}/adapters/${name}/mcp`, isAlive, stop: () => void child.kill() };
  } catch (error) {
    child.kill();
    throw new Error(`${(error as Error).message}: ${said}`, { cause: error });
  }
}

export interface Balancer {
  readonly url: string;
  backendUrl(name: string): string;
  stop(): Promise<void>;
}

export async function startBalancer(): Promise<Balancer> {
  const forwards = new Map<string, Forward>();
  let open: string[] = [];
  let turn = 0;
  const sockets = new Set<Socket>();

  const look = async (): Promise<void> => {
    const { items } = await kubectl.get<{ items: (Seen & { metadata: { deletionTimestamp?: string } })[] }>(['pods', ...GATEWAYS]);
    const ready = items.filter((pod) => pod.metadata.deletionTimestamp === undefined && isReady(pod)).map(({ metadata }) => metadata.name);
    for (const name of ready)
      if (forwards.get(name)?.isAlive() !== true) forwards.set(name, await portForward('mcp-gateway', `pod/${name}`, 8080));
    open = ready;
    const there = new Set(items.map(({ metadata }) => metadata.name));
    for (const [name, forward] of forwards) {
      if (there.has(name)) continue;
      forward.stop();
      forwards.delete(name);
    }
  };

  const server = createServer((inner) => {
    turn += 1;
    const port = forwards.get(open[turn % open.length] ?? '')?.port;
    if (port === undefined) return void inner.destroy();
    const outer = connect(port, '127.0.0.1');
    for (const [one, other] of [
      [inner, outer],
      [outer, inner],
    ] as const) {
      sockets.add(one);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  });
  await look();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  let looking: Promise<void> | undefined;
  const timer = setInterval(() => {
    looking ??= look()
      .catch(() => {})
      .finally(() => {
        looking = undefined;
      });
  }, LOOK_MS);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    url,
    backendUrl: (name) => `${url}/adapters/${name}/mcp`,
    async stop() {
      clearInterval(timer);
      await looking;
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
      for (const forward of forwards.values()) forward.stop();
    },
  };
}
