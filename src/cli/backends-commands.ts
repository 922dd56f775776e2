// `mcp-gateway backends`: shows the backends of a running gateway and what they say, and gives them a new start.

import { type Command, InvalidArgumentError } from 'commander';
import type { Adapter } from '../api/adapter-operations.ts';
import { addBackendChanges } from './backends-changes.ts';
import type { CliContext } from './program.ts';
import { addHomeOptions, clientEnvironment, settingsOf } from './settings-options.ts';
import { listenForStop } from './stop-signals.ts';
import { printableText } from './table.ts';

type Typed = { readonly json?: true };
type TypedLogs = { readonly follow?: true } & Readonly<Record<'instance' | 'lines', string>>;

const listExamples = `
Examples:
  $ mcp-gateway backends list
  $ mcp-gateway backends list --json | jq -r '.[] | select(.health != "healthy") | .name'
`;

const getExamples = `
Examples:
  $ mcp-gateway backends get github
  $ mcp-gateway backends get github --json | jq '.instances[].pid'
`;

const logsExamples = `
Examples:
  $ mcp-gateway backends logs github
  $ mcp-gateway backends logs github --instance 1 --lines 500
  $ mcp-gateway backends logs github --follow
`;

const restartExamples = `
Examples:
  $ mcp-gateway backends restart github

New processes take over as soon as they are ready. The old ones have half a minute to finish what they do; then their sessions are opened
again on the new ones, without what a server kept only in its memory. Sessions of backends with "recovery: fail" end with them.
`;

/** Adds `backends list`, `get`, `add`, `update`, `rm`, `logs` and `restart`. */
export function addBackendsCommands(program: Command, context: CliContext): void {
  const { env, stdout, outputGone } = context;
  const backends = program
    .command('backends')
    .description('show, register, change or restart the backends of a running gateway')
    .helpCommand(false);
  const connect = async (typed: Readonly<Record<string, unknown>>) => {
    const { connectControl } = await import('./control-client.ts');
    return connectControl(settingsOf(typed, env).settings.home, clientEnvironment(typed, env));
  };
  const print = async <T>(answer: T, typed: Typed, text: (answer: T) => Promise<string>): Promise<void> => {
    stdout.write(typed.json ? `${JSON.stringify(answer, undefined, 2)}\n` : await text(answer));
  };

  addHomeOptions(backends.command('list').description('list backends: how they are doing, and where clients reach them'))
    .option('--json', 'print JSON, for programs')
    .addHelpText('after', listExamples)
    .action(async (typed: Typed) => {
      const list = (await (await connect(typed)).get(['adapters'])) as readonly Adapter[];
      await print(list, typed, async (answer) => (await import('./backends-output.ts')).backendTable(answer));
    });
  addHomeOptions(backends.command('get').description('show one backend, with its instances'))
    .argument('<NAME>', 'the name of the backend')
    .option('--json', 'print JSON, for programs')
    .addHelpText('after', getExamples)
    .action(async (name: string, typed: Typed) => {
      const adapter = (await (await connect(typed)).get(['adapters', name])) as Adapter;
      await print(adapter, typed, async (answer) => (await import('./backends-output.ts')).backendPage(answer, Date.now()));
    });
  addBackendChanges(backends, context);
  addHomeOptions(backends.command('logs').description('print what an instance of a backend has written'))
    .argument('<NAME>', 'the name of the backend')
    .option('--instance <N>', 'which one, in the order of `backends get`', countOf, '0')
    .option('--lines <N>', 'how many of the last lines', countOf, '100')
    .option('-f, --follow', 'go on with what is written from now on, until Ctrl+C')
    .addHelpText('after', logsExamples)
    .action(async (name: string, { instance, lines, follow, ...typed }: TypedLogs) => {
      const gateway = await connect(typed);
      const query = { instance, lines, follow: String(follow === true) };
      const { stop, release } = listenForStop();
      try {
        const signal = AbortSignal.any([stop, outputGone]);
        for await (const text of gateway.read(['adapters', name, 'logs'], query, signal)) {
          // What a server prints may come from anybody: it must not move the cursor of an administrator's terminal.
          stdout.write(stdout.isTTY ? printableText(text) : text);
        }
      } finally {
        release();
      }
    });
  addHomeOptions(backends.command('restart').description('replace the processes of a backend by new ones; its sessions go on'))
    .argument('<NAME>', 'the name of the backend')
    .addHelpText('after', restartExamples)
    .action(async (name: string, typed: Readonly<Record<string, unknown>>) => {
      await (await connect(typed)).post(['adapters', name, 'restart']);
      stdout.write(`${name} is being restarted: see mcp-gateway backends get ${name}\n`);
    });
}

function countOf(raw: string): string {
  if (!/^\d{1,5}$/.test(raw)) throw new InvalidArgumentError('Must be a number.');
  return raw;
}
