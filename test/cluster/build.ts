// Builds the Kubernetes binaries that are missing: `npx tsx test/cluster/build.ts [cluster|kubelet|NAME…]`; with `--check`, only says by its exit code whether all are there.

import { type Binary, haveBinaries, provideBinaries, SUITES } from './assets.ts';

const words = process.argv.slice(2);
const named = words.filter((word) => !word.startsWith('--'));
const binaries = (named.length === 0 ? ['cluster'] : named).flatMap((word) => SUITES[word as keyof typeof SUITES] ?? [word as Binary]);

// The compiler is stopped with it.
process.once('SIGTERM', () => process.exit(143));

if (words.includes('--check')) process.exitCode = haveBinaries(binaries) ? 0 : 1;
else {
  await provideBinaries(binaries, (line) => process.stdout.write(`kubernetes: ${line}\n`)).catch((error: Error) => {
    process.stderr.write(`kubernetes: ${error.message}\n`);
    process.exitCode = 1;
  });
}
