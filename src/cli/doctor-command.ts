// `mcp-gateway doctor`: says of this machine, and of a gateway that runs on it, what is well and what to do about the rest.

import type { Command } from 'commander';
import { type LoadedSettings, SettingsError } from '../config/settings-load.ts';
import type { Finding } from './doctor/finding.ts';
import type { CliContext } from './program.ts';
import { progressForm } from './progress.ts';
import { addHomeOptions, settingsOf } from './settings-options.ts';
import { listenForStop } from './stop-signals.ts';

type Typed = { readonly json?: true; readonly tokenFile?: string } & Readonly<Record<string, unknown>>;

const examples = `
Examples:
  $ mcp-gateway doctor
  $ mcp-gateway doctor --config gateway.yaml --token-file token.txt
  $ mcp-gateway doctor --json | jq -r '.checks[] | select(.state == "failure") | .message'

A token is checked here, with the keys of its issuer. It is sent to the running gateway alone, when that would take it, and never printed.
Each healthy backend is asked for its tools in a session of its own, which is ended afterwards.
`;

/** Adds the command. It fails when a check does; warnings are no failures. */
export function addDoctorCommand(program: Command, { env, stdout }: CliContext): void {
  const command = program.command('doctor').description('check this machine and the gateway that runs on it, and say what to do');
  addHomeOptions(command)
    .option('--token-file <FILE>', 'a bearer token to check against the issuers')
    .option('--json', 'print JSON, for programs')
    .addHelpText('after', examples)
    .action(async (typed: Typed) => {
      const { counts, findingsJson, findingText, summaryText } = await import('./doctor/render.ts');
      const json = typed.json === true;
      const coloured = progressForm({ stream: stdout, env, json }) === 'live';
      const findings: Finding[] = [];
      const { stop, release } = listenForStop();
      try {
        for await (const finding of examined(typed, env, stop)) {
          if (stop.aborted) throw new Error('stopped before all was checked');
          findings.push(finding);
          if (!json) stdout.write(findingText(finding, coloured));
        }
      } finally {
        release();
      }
      stdout.write(json ? findingsJson(findings) : summaryText(findings));
      const { failures } = counts(findings);
      if (failures > 0) throw new Error(failures === 1 ? 'one check has failed' : `${failures} checks have failed`);
    });
}

async function* examined(typed: Typed, env: NodeJS.ProcessEnv, stop: AbortSignal): AsyncGenerator<Finding> {
  const nodeVersion = process.versions.node;
  const loaded = load(typed, env);
  if (loaded instanceof SettingsError) {
    const [{ checkNode }, { failure }] = await Promise.all([import('./doctor/machine.ts'), import('./doctor/finding.ts')]);
    yield checkNode(nodeVersion);
    for (const problem of loaded.problems)
      yield failure(['settings'], problem, 'correct it: docs/config.md has every setting; the other checks need them');
    return;
  }
  const { examine } = await import('./doctor/doctor.ts');
  yield* examine({ loaded, nodeVersion, path: env['PATH'], tokenFile: typed.tokenFile, fetch, stop });
}

function load(typed: Typed, env: NodeJS.ProcessEnv): LoadedSettings | SettingsError {
  try {
    return settingsOf(typed, env);
  } catch (error) {
    if (error instanceof SettingsError) return error;
    throw error;
  }
}
