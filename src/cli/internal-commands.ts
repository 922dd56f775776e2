// Commands that the gateway starts itself with; hidden from `--help`, and no promise to anyone.

import type { Command } from 'commander';
import type { CliContext } from './program.ts';
import { listenForStop } from './stop-signals.ts';

/** Adds `worker` (one deciding process of a sidecar) and `bridge` (a stdio server behind an HTTP port). */
export function addInternalCommands(program: Command, { env }: CliContext): void {
  program
    .command('worker', { hidden: true })
    .argument('<options>', 'a JSON object')
    .action(async (options: string) => {
      const { runSidecar } = await import('../app/sidecar.ts');
      const { stop, release } = listenForStop();
      try {
        await runSidecar(JSON.parse(options), { signal: stop, env });
      } finally {
        release();
      }
    });
  program
    .command('bridge', { hidden: true })
    .argument('[argv...]')
    .helpOption(false)
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (argv: readonly string[]) => {
      const { runBridge } = await import('../runtime/bridge/main.ts');
      await runBridge(argv);
    });
}
