#!/usr/bin/env node
// The command `mcp-gateway`: hands over what the operating system gave this process.

import { fileURLToPath } from 'node:url';
import { runCli } from './cli/program.ts';
import { environment } from './config/settings.ts';

// Whoever read the output has gone (`… | head`): that ends no gateway, and is no error of a command.
const outputGone = new AbortController();
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    if (stream === process.stdout) outputGone.abort();
  });
}

process.exitCode = await runCli({
  argv: process.argv.slice(2),
  env: environment(),
  self: { node: process.execPath, main: fileURLToPath(import.meta.url) },
  stdout: process.stdout,
  stderr: process.stderr,
  outputGone: outputGone.signal,
});
