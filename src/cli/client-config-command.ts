// `mcp-gateway client-config`: what to write into the configuration of an MCP client.

import { Argument, type Command } from 'commander';
import type { Adapter } from '../api/adapter-operations.ts';
import { CLIENTS, type ClientName, clientConfig } from './client-config.ts';
import type { CliContext } from './program.ts';
import { addHomeOptions, settingsOf } from './settings-options.ts';

const examples = `
Examples:
  $ mcp-gateway client-config cursor
  $ mcp-gateway client-config vscode github jira
  $ mcp-gateway client-config claude-code github | sh
`;

/** Adds the command. Standard output is for the client alone; where it belongs goes to standard error. */
export function addClientConfigCommand(program: Command, { env, stdout, stderr }: CliContext): void {
  const command = program
    .command('client-config')
    .description('print the configuration of an MCP client for backends of a running gateway');
  addHomeOptions(command)
    .addArgument(new Argument('<CLIENT>', 'which client').choices(CLIENTS))
    .argument('[BACKEND...]', 'which backends (default: all)')
    .addHelpText('after', examples)
    .action(async (client: ClientName, names: readonly string[], typed: Readonly<Record<string, unknown>>) => {
      const { connectControl } = await import('./control-client.ts');
      const gateway = await connectControl(settingsOf(typed, env).settings.home);
      const known = (await gateway.get(['adapters'])) as readonly Adapter[];
      const missing = names.filter((name) => !known.some((each) => each.name === name));
      if (missing.length > 0) throw new Error(`there is no backend ${missing.join(', ')}: see mcp-gateway backends list`);
      const chosen = known.filter(({ name }) => names.length === 0 || names.includes(name));
      if (chosen.length === 0) throw new Error('no backend is declared: put an MCPBackend into the resources folder');
      const { text, place } = clientConfig(client, chosen);
      stdout.write(text);
      stderr.write(`this belongs into ${place}\n`);
    });
}
