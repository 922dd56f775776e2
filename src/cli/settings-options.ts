// Makes command line options of the rows of the settings table, and settings of what was typed.

import type { Command } from 'commander';
import type { Setting } from '../config/setting.ts';
import { type SettingName, settingsTable } from '../config/settings.ts';
import { type LoadedSettings, loadSettings } from '../config/settings-load.ts';

/** Adds `--config` and every option that the table has; nothing is parsed or defaulted here, the table does that. */
export function addSettingsOptions(command: Command): Command {
  return addOptions(command, optionRows());
}

/** For commands that ask a running gateway: where its home is, is all that they need to know. */
export function addHomeOptions(command: Command): Command {
  return addOptions(
    command,
    optionRows().filter(([name]) => name === 'home'),
  );
}

function addOptions(command: Command, options: readonly [SettingName, Setting<unknown>][]): Command {
  command.option('--config <FILE>', 'settings file (gateway.yaml); also MCP_GATEWAY_CONFIG');
  for (const [, row] of options) {
    command.option(
      `${row.flag} <${row.placeholder ?? 'VALUE'}>`,
      `${row.doc.replaceAll('`', '')} Default: ${row.fallback}; also ${row.env}`,
    );
  }
  return command;
}

/** For commands that may be for a gateway elsewhere: whoever names a home means the gateway of that home. */
export function clientEnvironment(typed: Readonly<Record<string, unknown>>, env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return typed['home'] === undefined ? env : { ...env, MCP_GATEWAY_URL: undefined };
}

/** Loads the settings of a command whose options were added above. Throws SettingsError. */
export function settingsOf(typed: Readonly<Record<string, unknown>>, env: NodeJS.ProcessEnv): LoadedSettings {
  const flags: Partial<Record<SettingName, string>> = {};
  for (const [name] of optionRows()) {
    const value = typed[name];
    if (typeof value === 'string') flags[name] = value;
  }
  const configFile = typeof typed['config'] === 'string' ? typed['config'] : undefined;
  return loadSettings({ flags, configFile, env, workingDir: process.cwd() });
}

function optionRows(): [SettingName, Setting<unknown>][] {
  const all = Object.entries(settingsTable) as [SettingName, Setting<unknown>][];
  return all.filter(([, row]) => row.flag !== undefined);
}
