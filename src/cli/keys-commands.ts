// `mcp-gateway keys`: the keys that session ids are sealed with.

import type { Command } from 'commander';
import type { CliContext } from './program.ts';
import { addSettingsOptions, settingsOf } from './settings-options.ts';

/** Adds `keys list` and `keys rotate`. Neither ever prints a secret. */
export function addKeysCommands(program: Command, { env, stdout }: CliContext): void {
  const keys = program.command('keys').description('list or rotate the keys that session ids are sealed with').helpCommand(false);
  addSettingsOptions(keys.command('list').description('list the ids of the keys, the newest first')).action(
    async (typed: Record<string, unknown>) => {
      const { loadOrCreateRing } = await import('../session/key-file.ts');
      const ring = await loadOrCreateRing(fileOf(typed, env));
      for (const { id, sealFrom } of ring) stdout.write(`${id}  seals from ${new Date(sealFrom).toISOString()}\n`);
    },
  );
  addSettingsOptions(
    keys.command('rotate').description('add a key that seals new ids as soon as every process can open with it; old ids stay valid'),
  ).action(async (typed: Record<string, unknown>) => {
    const { rotateRing } = await import('../session/key-file.ts');
    const [newest] = await rotateRing(fileOf(typed, env));
    if (newest) stdout.write(`key ${newest.id} seals new session ids from ${new Date(newest.sealFrom).toISOString()} on\n`);
  });
}

function fileOf(typed: Readonly<Record<string, unknown>>, env: NodeJS.ProcessEnv): string {
  return settingsOf(typed, env).settings.keyFile;
}
