// `mcp-gateway up`: runs the whole gateway on this machine until it is told to stop.

import { Socket } from 'node:net';
import { type Command, Option } from 'commander';
import type { CliContext } from './program.ts';
import { createProgress, type ProgressEvent, progressForm } from './progress.ts';
import { addSettingsOptions, settingsOf } from './settings-options.ts';
import { listenForStop } from './stop-signals.ts';
import { type WelcomeInfo, welcome } from './welcome.ts';

/** Adds the command. Its work is in app/, loaded when it is needed so that `--help` is quick. */
export function addUpCommand(program: Command, { env, stdout, stderr }: CliContext): void {
  const command = program
    .command('up')
    .description('start Envoy, the sidecar and the MCP servers of a folder of resource files, and stay')
    .option('--json', 'print progress and the final addresses as JSON lines')
    // For whoever starts it and may be killed.
    .addOption(new Option('--until-input-ends').hideHelp());
  addSettingsOptions(command).action(async (typed: Record<string, unknown>) => {
    const json = typed['json'] === true;
    const { settings, warnings } = settingsOf(typed, env);
    for (const warning of warnings) stderr.write(`mcp-gateway: ${warning}\n`);
    const progress = createProgress({ stream: stdout, form: progressForm({ stream: stdout, env, json }) });
    const out = {
      progress: (event: ProgressEvent) => progress(event),
      ready: (info: WelcomeInfo) => void stdout.write(json ? `${JSON.stringify({ event: 'ready', ...info })}\n` : welcome(info)),
    };
    const { stop: signalled, hurry, release } = listenForStop();
    const stop = typed['untilInputEnds'] === true ? AbortSignal.any([signalled, inputEnded()]) : signalled;
    try {
      const { runUp } = await import('../app/up.ts');
      await runUp(settings, { signal: stop, hurry, env, out });
    } catch (error) {
      if (!isStop(error, stop)) throw error;
    } finally {
      release();
    }
  });
}

function inputEnded(): AbortSignal {
  const ended = new AbortController();
  const end = (): void => ended.abort(new Error('the input has ended'));
  const stdin: NodeJS.ReadStream = process.stdin;
  stdin.once('end', end).once('close', end).once('error', end).resume();
  // A start that fails must not wait for it.
  if (stdin instanceof Socket) stdin.unref();
  return ended.signal;
}

/** Being stopped while starting is what the user asked for; Node wraps the signal's reason in an AbortError. */
function isStop(error: unknown, { aborted, reason }: AbortSignal): boolean {
  return aborted && (error === reason || (error instanceof Error && error.cause === reason));
}
