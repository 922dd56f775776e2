// Two sets of tests: pure modules beside their source, and everything with processes or sockets in test/.

import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // The summary comes last, but for the closing line.
    reporters: ['./test/setup/closing-line.ts', 'default'],
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts'],
          // No test changes anything global, so that all can share two threads: a third of the time.
          pool: 'threads',
          isolate: false,
          testTimeout: 10_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          name: 'integration',
          include: ['test/**/*.test.ts'],
          exclude: ['test/cluster/**', 'test/kubelet/**'],
          globalSetup: 'test/setup/set-up.ts',
          // Each of these files runs an Envoy and several servers: more at once would measure the machine, not the gateway.
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 1 },
        },
      },
      // `npm run test:cluster`: a real Kubernetes API server.
      {
        test: {
          name: 'cluster',
          include: ['test/cluster/**/*.test.ts'],
          globalSetup: 'test/cluster/set-up.ts',
          maxWorkers: 2,
          testTimeout: 60_000,
          hookTimeout: 120_000,
          sequence: { groupOrder: 2 },
        },
      },
      // `npm run test:kubelet`: a whole Kubernetes with one node, whose tests take turns.
      {
        test: {
          name: 'kubelet',
          include: ['test/kubelet/**/*.test.ts'],
          globalSetup: 'test/kubelet/set-up.ts',
          maxWorkers: 1,
          testTimeout: 120_000,
          hookTimeout: 180_000,
          sequence: { groupOrder: 3 },
        },
      },
    ],
  },
});
