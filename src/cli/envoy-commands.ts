// `mcp-gateway envoy`: gets the proxy in place before it is needed, for images and machines without a network later.

import type { Command } from 'commander';
import type { CliContext } from './program.ts';
import { addSettingsOptions, settingsOf } from './settings-options.ts';
import { listenForStop } from './stop-signals.ts';

const configExamples = `
Examples:
  $ mcp-gateway envoy config --out /run/mcp-gateway/envoy.json
  $ mcp-gateway envoy config | jq .static_resources.listeners
`;

/** Adds `envoy fetch`, which prints the path of the binary, and `envoy config`, for an Envoy that somebody else starts. */
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
  addSettingsOptions(
    envoy
      .command('config')
      .description('print the configuration of the Envoy that runs beside `mcp-gateway sidecar`, or write it to a file')
      .option('--out <file>', 'where it is written to, instead of standard output')
      .addHelpText('after', configExamples),
  ).action(async (typed: Record<string, unknown>) => {
    const { settings } = settingsOf(typed, env);
    const { envoyOptions } = await import('../app/envoy-options.ts');
    const { out } = typed;
    if (typeof out === 'string') {
      const { writeEnvoyConfig } = await import('../app/envoy-runner.ts');
      await writeEnvoyConfig(out, envoyOptions(settings, env));
      return;
    }
    const { renderBootstrap } = await import('../envoy/bootstrap.ts');
    stdout.write(`${renderBootstrap(envoyOptions(settings, env))}\n`);
  });
}
