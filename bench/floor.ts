// The floor: the gateway's bootstrap, sockets and codec, with nothing to decide. What it costs, any design with a call-out costs.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { SIDECAR_NODE_FLAGS } from '../src/app/sidecar-options.ts';
import { renderBootstrap } from '../src/envoy/bootstrap.ts';
import { type Started, startProcess } from './child-process.ts';
import { startEnvoy } from './envoy-process.ts';
import type { FloorSidecarOptions } from './floor-sidecar.ts';
import type { BenchSettings, Pod } from './variant.ts';

const SIDECAR = fileURLToPath(new URL('./floor-sidecar.ts', import.meta.url));
const START_TIMEOUT_MS = 30_000;

export interface FloorOptions {
  readonly binary: string;
  readonly folder: string;
  /** Where the built gateway is. */
  readonly dist: string;
  readonly pods: readonly Pod[];
  readonly settings: BenchSettings;
}

export interface Floor {
  readonly port: number;
  readonly pids: { readonly envoy: readonly number[]; readonly sidecar: readonly number[] };
  stop(): Promise<void>;
}

export async function startFloor({ binary, folder, dist, pods, settings }: FloorOptions, signal: AbortSignal): Promise<Floor> {
  const sidecars: Started[] = [];
  const stopSidecars = async (): Promise<void> => void (await Promise.all(sidecars.map((sidecar) => sidecar.stop())));
  try {
    const sockets: { grpc: string; http: string }[] = [];
    for (let index = 0; index < settings.workers; index += 1) {
      // Nobody listens on the HTTP socket: in the benchmark nothing has to be recovered.
      const socket = { grpc: join(folder, `floor-${index}.sock`), http: join(folder, `floor-${index}-http.sock`) };
      const options: FloorSidecarOptions = {
        socket: socket.grpc,
        pods,
        policyServer: pathToFileURL(join(dist, 'envoy/policy-server.js')).href,
      };
      const command = [process.execPath, ...SIDECAR_NODE_FLAGS, '--import', 'tsx', SIDECAR, JSON.stringify(options)];
      const sidecar = startProcess({ name: 'floor sidecar', command }, signal);
      sidecars.push(sidecar);
      sockets.push(socket);
      await sidecar.until('listening', () => existsSync(socket.grpc) || undefined, START_TIMEOUT_MS);
    }
    const envoy = await startEnvoy(
      {
        name: 'floor',
        binary,
        folder,
        threads: settings.envoyThreads,
        bootstrap: (adminSocket) =>
          renderBootstrap({
            listen: { host: '127.0.0.1', port: 0 },
            adminSocket,
            sidecars: sockets,
            // Nobody asks for it.
            control: join(folder, 'control.sock'),
          }),
      },
      signal,
    );
    return {
      port: envoy.port,
      pids: { envoy: [envoy.pid], sidecar: sidecars.map(({ pid }) => pid) },
      async stop() {
        await envoy.stop();
        await stopSidecars();
      },
    };
  } catch (error) {
    await stopSidecars();
    throw error;
  }
}
