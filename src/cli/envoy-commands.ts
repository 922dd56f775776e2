// `mcp-gateway envoy`: gets the proxy in place before it is needed, for images and machines without a network later.

import type { Command } from 'commander';
import type { CliContext } from './program.ts';
import { addSettingsOptions, settingsOf } from './settings-options.ts';
import { listenForStop } from './stop-signals.ts';

/** Adds `envoy fetch`, which prints the path of the binary. */
export function addEnvoyCommands(program: Command, { env, stdout, stderr }: CliContext): void {
  const envoy = program.command('envoy').description('find or fetch the Envoy binary').helpCommand(false);
  addSettingsOptions(envoy.command('fetch').description('download Envoy unless there is a usable one, and print where it is')).action(
    async (typed: Record<string, unknown>) => {
      const { settings } = settingsOf(typed, env);
      const { findEnvoy } = await import('../envoy/binary.ts');
      const { stop, release } = listenForStop();
      try {
        const progress = (line: string) => void stderr.write(`${line}\n`);
        const { envoyBin, cacheDir } = settings;
        const found = await findEnvoy({ envoyBin, path: env['PATH'], cacheDir, env, progress, signal: stop });
        stdout.write(`${found.file}\n`);
      } finally {
        release();
      }
    },
  );
}
