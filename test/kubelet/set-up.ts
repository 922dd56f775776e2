// Runs once before the tests of the project `kubelet`: starts the cluster that they share.

import type { TestProject } from 'vitest/node';
import { startCluster } from './cluster.ts';
import { loadImages } from './containerd.ts';
import { NODE_FILES } from './image.ts';

/** Node.js with nothing else, for the small servers of tests. */
export const NODE_IMAGE = 'docker.io/test/node:1';

/** What tests read with `inject('cluster')`. */
interface SharedCluster {
  readonly url: string;
  /** PEM. */
  readonly ca: string;
  /** Of the group `system:masters`. */
  readonly token: string;
  readonly kubeconfig: string;
}

declare module 'vitest' {
  interface ProvidedContext {
    cluster: SharedCluster;
  }
}

/** Called by vitest, which calls what it returns at the end. */
export default async function setUp(project: TestProject): Promise<() => Promise<void>> {
  const startedAt = Date.now();
  const { stop, ...access } = await startCluster();
  process.stdout.write(`set-up: a cluster with one node, in ${((Date.now() - startedAt) / 1000).toFixed(1)} s\n`);
  project.provide('cluster', access);
  try {
    await loadImages({ reference: NODE_IMAGE, entrypoint: ['/usr/local/bin/node'], user: '65532:65532', layers: [NODE_FILES] });
  } catch (error) {
    await stop();
    throw error;
  }
  return stop;
}
