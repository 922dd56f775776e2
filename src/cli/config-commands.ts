// `mcp-gateway config`: shows what the gateway would run with, without running it.

import type { Command } from 'commander';
import { stringify } from 'yaml';
import { formatDuration } from '../config/durations.ts';
import type { Setting } from '../config/setting.ts';
import { type Settings, settingsTable } from '../config/settings.ts';
import { formatAddress } from '../config/settings-parsers.ts';
import type { CliContext } from './program.ts';
import { addSettingsOptions, settingsOf } from './settings-options.ts';

/** Adds `config check` and `config print`. */
export function addConfigCommands(program: Command, { env, stdout, stderr }: CliContext): void {
  const config = program.command('config').description('check or print the settings').helpCommand(false);
  addSettingsOptions(config.command('check').description('say whether the settings are valid, and everything that is wrong')).action(
    (typed: Record<string, unknown>) => {
      const { warnings } = settingsOf(typed, env);
      for (const warning of warnings) stderr.write(`mcp-gateway: ${warning}\n`);
      stdout.write('the settings are valid\n');
    },
  );
  addSettingsOptions(config.command('print').description('print the settings as a complete gateway.yaml')).action(
    (typed: Record<string, unknown>) => {
      stdout.write(asGatewayYaml(settingsOf(typed, env).settings));
    },
  );
}

/** In the form that gateway.yaml takes; settings without a value are left out, and so is what may hold a password. */
function asGatewayYaml({ listen, admin, probes, controlListen, ...others }: Settings): string {
  const secrets = Object.entries<Setting<unknown>>(settingsTable).flatMap(([name, { secret }]) => (secret ? [name] : []));
  const shown = Object.fromEntries(Object.entries(others).filter(([name]) => !secrets.includes(name)));
  const issuers = others.issuers.map((issuer) => ({ ...issuer, leeway: formatDuration(issuer.leeway) }));
  return stringify(
    {
      ...{ listen: formatAddress(listen), admin: formatAddress(admin), ...shown, issuers },
      ...{ probes: formatAddress(probes), controlListen: formatAddress(controlListen) },
    },
    { keepUndefined: false, aliasDuplicateObjects: false },
  );
}
