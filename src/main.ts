#!/usr/bin/env node
// The command `mcp-gateway`: hands over what the operating system gave this process.

import { runCli } from './cli/program.ts';
import { environment } from './config/settings.ts';

process.exitCode = await runCli({ argv: process.argv.slice(2), env: environment(), stdout: process.stdout, stderr: process.stderr });
