// The commands of `mcp-gateway`: what they are called, what they take, and how they fail.

import { Command, CommanderError } from 'commander';
import { SettingsError } from '../config/settings-load.ts';
import { version } from '../config/version.ts';
import { addBackendsCommands } from './backends-commands.ts';
import { addClientConfigCommand } from './client-config-command.ts';
import { addCompletionCommand } from './completion-command.ts';
import { addConfigCommands } from './config-commands.ts';
import { addDoctorCommand } from './doctor-command.ts';
import { addEnvoyCommands } from './envoy-commands.ts';
import { addInternalCommands } from './internal-commands.ts';
import { addKeysCommands } from './keys-commands.ts';
import { addKubernetesCommands } from './kubernetes-commands.ts';
import type { Terminal } from './progress.ts';
import { addServeCommand } from './serve-command.ts';
import { addSessionsCommands } from './sessions-commands.ts';
import { addTenantsCommands } from './tenants-commands.ts';
import { addUpCommand } from './up-command.ts';
import { addValuesCommand } from './values-command.ts';

/** What a command may use of the process around it. `argv` starts with the command's name. */
export interface CliContext {
  readonly argv: readonly string[];
  readonly env: NodeJS.ProcessEnv;
  /** How others start this very program: absolute paths of Node and of `main.js`. */
  readonly self: { readonly node: string; readonly main: string };
  readonly stdout: Terminal;
  readonly stderr: Terminal;
  /** Aborts when nobody reads standard output any more. */
  readonly outputGone: AbortSignal;
}

const USAGE = 2;
const FAILURE = 1;

const examples = `
Examples:
  $ mcp-gateway up --resources examples/local
  $ mcp-gateway up --listen 127.0.0.1:9000 --home /tmp/gateway
  $ mcp-gateway config print --config gateway.yaml
  $ mcp-gateway backends list
  $ mcp-gateway sessions list
  $ mcp-gateway values --out values.yaml
  $ mcp-gateway doctor
`;

/** Runs one command to its end and gives the exit code: 0, 1 for failures, 2 for what was typed or configured wrongly. */
export async function runCli(context: CliContext): Promise<number> {
  const { argv, stdout, stderr } = context;
  const program = new Command('mcp-gateway')
    .description('One URL for stateful MCP servers: Envoy carries the traffic, each session stays with its own process.')
    .version(version(), '--version', 'print the version')
    .helpOption('--help', 'print this help')
    .helpCommand(false)
    .enablePositionalOptions()
    .addHelpText('after', examples)
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      writeErr: (text) => stderr.write(text),
      outputError: (text, write) => write(oneLine(text)),
    })
    .exitOverride();
  addUpCommand(program, context);
  addBackendsCommands(program, context);
  addClientConfigCommand(program, context);
  addCompletionCommand(program, context);
  addConfigCommands(program, context);
  addDoctorCommand(program, context);
  addEnvoyCommands(program, context);
  addKeysCommands(program, context);
  addServeCommand(program, context);
  addSessionsCommands(program, context);
  addTenantsCommands(program, context);
  addValuesCommand(program, context);
  addKubernetesCommands(program, context);
  addInternalCommands(program, context);
  try {
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    // Commander has printed its own errors, and help and version are among them.
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
    stderr.write(`mcp-gateway: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof SettingsError ? USAGE : FAILURE;
  }
}

/** Commander's `error: …`, with its suggestion in the same line. */
function oneLine(text: string): string {
  return `mcp-gateway: ${text
    .replace(/^error: /, '')
    .trim()
    .replaceAll(/\s+/g, ' ')}\n`;
}
