// `mcp-gateway client-config`: what to write into the configuration of an MCP client.

import { Argument, type Command } from 'commander';
import type { Adapter } from '../api/adapter-operations.ts';
import { CLIENTS, type ClientConfig, type ClientName, clientConfig } from './client-config.ts';
import { type StdioServer, stdioClientConfig } from './client-config-stdio.ts';
import type { CliContext } from './program.ts';
import { addHomeOptions, clientEnvironment, settingsOf } from './settings-options.ts';

const examples = `
Examples:
  $ mcp-gateway client-config cursor
  $ mcp-gateway client-config vscode github jira
  $ mcp-gateway client-config claude-code github | sh
  $ mcp-gateway client-config claude-desktop --stdio

With --stdio the client starts "mcp-gateway serve" by itself; no gateway has to run for this command.
`;

type Typed = { readonly stdio?: true } & Readonly<Record<string, unknown>>;

/** Adds the command. Standard output is for the client alone; where it belongs goes to standard error. */
export function addClientConfigCommand(program: Command, { env, self, stdout, stderr }: CliContext): void {
  const command = program
    .command('client-config')
    .description('print the configuration of an MCP client for backends of a running gateway');
  addHomeOptions(command)
    .addArgument(new Argument('<CLIENT>', 'which client').choices(CLIENTS))
    .argument('[BACKEND...]', 'which backends (default: all)')
    .option('--stdio', 'have the client start the gateway’s own MCP server, instead of URLs of backends')
    .addHelpText('after', examples)
    .action(async (client: ClientName, names: readonly string[], typed: Typed) => {
      const print = ({ text, place }: ClientConfig): void => {
        stdout.write(text);
        stderr.write(`this belongs into ${place}\n`);
      };
      if (typed.stdio) {
        if (names.length > 0) command.error('--stdio is one server for all backends: leave their names out');
        return print(stdioClientConfig(client, ownServer(settingsOf(typed, env).settings.home)));
      }
      const { connectControl } = await import('./control-client.ts');
      const gateway = await connectControl(settingsOf(typed, env).settings.home, clientEnvironment(typed, env));
      const known = (await gateway.get(['adapters'])) as readonly Adapter[];
      const missing = names.filter((name) => !known.some((each) => each.name === name));
      if (missing.length > 0) throw new Error(`there is no backend ${missing.join(', ')}: see mcp-gateway backends list`);
      const chosen = known.filter(({ name }) => names.length === 0 || names.includes(name));
      if (chosen.length === 0) throw new Error('no backend is declared: put an MCPBackend into the resources folder');
      print(clientConfig(client, chosen));
    });

  /** A client has other variables than this shell, so that a home which is not the default must be named. */
  const ownServer = (home: string): StdioServer => {
    const usual = settingsOf({}, { HOME: env['HOME'] }).settings.home;
    const args = [self.main, 'serve', ...(home === usual ? [] : ['--home', home])];
    return { name: 'mcp-gateway', command: self.node, args };
  };
}
