// `mcp-gateway tenants`: shows the tenants of a running gateway, and how much of their limits is used.

import type { Command } from 'commander';
import type { TenantDetail, TenantSummary } from '../control/tenant-view.ts';
import type { CliContext } from './program.ts';
import { addHomeOptions, clientEnvironment, settingsOf } from './settings-options.ts';
import { addTenantChanges } from './tenants-changes.ts';

type Typed = { readonly json?: true };

const listExamples = `
Examples:
  $ mcp-gateway tenants list
  $ mcp-gateway tenants list --json | jq -r '.tenants[].name'
`;

const getExamples = `
Examples:
  $ mcp-gateway tenants get engineering
  $ mcp-gateway tenants get engineering --json | jq .use.sessions
`;

/** Adds `tenants list`, `get`, `set-quota` and `rm`. */
export function addTenantsCommands(program: Command, context: CliContext): void {
  const { env, stdout } = context;
  const tenants = program
    .command('tenants')
    .description('show the tenants of a running gateway, and change their limits')
    .helpCommand(false);
  const ask = async (path: readonly string[], typed: Typed): Promise<unknown> => {
    const { connectControl } = await import('./control-client.ts');
    return (await connectControl(settingsOf(typed, env).settings.home, clientEnvironment(typed, env))).get(path);
  };
  const print = async <T>(answer: T, typed: Typed, text: (answer: T) => Promise<string>): Promise<void> => {
    stdout.write(typed.json ? `${JSON.stringify(answer, undefined, 2)}\n` : await text(answer));
  };

  addHomeOptions(tenants.command('list').description('list tenants in the order in which callers are matched'))
    .option('--json', 'print JSON, for programs')
    .addHelpText('after', listExamples)
    .action(async (typed: Typed) => {
      const list = (await ask(['tenants'], typed)) as { readonly tenants: readonly TenantSummary[] };
      await print(list, typed, async (answer) => (await import('./tenants-output.ts')).tenantTable(answer.tenants));
    });
  addHomeOptions(tenants.command('get').description('show one tenant, with the use of its quotas and limits'))
    .argument('<NAME>', 'the name of the tenant')
    .option('--json', 'print JSON, for programs')
    .addHelpText('after', getExamples)
    .action(async (name: string, typed: Typed) => {
      const tenant = (await ask(['tenants', name], typed)) as TenantDetail;
      await print(tenant, typed, async (answer) => (await import('./tenants-output.ts')).tenantPage(answer));
    });
  addTenantChanges(tenants, context);
}
