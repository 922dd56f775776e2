// Runs once before the tests of the project `cluster`: builds what is missing and starts the API server that they share.

import type { TestProject } from 'vitest/node';
import { provideRedis } from '../setup/redis.ts';
import { provideBuild, provideEnvoy } from '../setup/tools.ts';
import { startApiServer } from './api-server.ts';
import { provideBinaries, SUITES } from './assets.ts';

/** What tests read with `inject('apiServer')`: no controllers run, and namespaces are not shared with other files. */
interface SharedApiServer {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  /** Of the group `system:masters`. */
  readonly token: string;
  readonly kubeconfig: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    apiServer: SharedApiServer;
  }
}

/** Called by vitest, which calls what it returns at the end. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const progress = (line: string) => process.stdout.write(`set-up: ${line}\n`);
  await Promise.all([provideBinaries(SUITES.cluster, progress), provideBuild(progress), provideEnvoy(progress), provideRedis(progress)]);
  const { url, ca, token, kubeconfig, stop } = await startApiServer();
  project.provide('apiServer', { url, ca, token, kubeconfig });
  return stop;
}
