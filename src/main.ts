#!/usr/bin/env node
// The command `mcp-gateway`: hands over what the operating system gave this process.

import { fileURLToPath } from 'node:url';
import { environment } from './config/environment.ts';

// Whoever read the output has gone (`… | head`): that ends no gateway, and is no error of a command.
const outputGone = new AbortController();
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (stream === process.stdout) outputGone.abort();
  });
}

const argv = process.argv.slice(2);
// These stay in every pod of a cluster, and do without what the other commands load.
const inPod = argv[0] === 'run' || argv[0] === 'drain-agent';
const { runCli } = inPod ? await import('./cli/pod-commands.ts') : await import('./cli/program.ts');

process.exitCode = await runCli({
  argv,
  env: environment(),
  self: { node: process.execPath, main: fileURLToPath(import.meta.url) },
  stdout: process.stdout,
  stderr: process.stderr,
  outputGone: outputGone.signal,
});
