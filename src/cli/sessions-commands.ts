// `mcp-gateway sessions`: shows the open sessions of a running gateway, and ends them.

import { type Command, InvalidArgumentError } from 'commander';
import type { SessionList } from '../control/sessions.ts';
import { MAX_LISTED } from '../session/store.ts';
import type { CliContext } from './program.ts';
import { addHomeOptions, clientEnvironment, settingsOf } from './settings-options.ts';

/** What commander makes of the options below. */
type Typed = { readonly json?: true } & Readonly<Partial<Record<'backend' | 'issuer' | 'subject' | 'tenant' | 'limit', string>>>;

const listExamples = `
Examples:
  $ mcp-gateway sessions list --backend github --limit 20
  $ mcp-gateway sessions list --json | jq -r '.sessions[].key'
`;

const endExamples = `
Examples:
  $ mcp-gateway sessions end uT0pJmQ1yq3o6y8l2l0f3w
  $ mcp-gateway sessions end --issuer https://login.example.com/ --subject ann@example.com

All that a caller has begun is refused then, also sessions that are not listed. It does not keep the caller from opening new ones:
that is for whoever issues the tokens.
`;

/** Adds `sessions list` and `sessions end`. */
export function addSessionsCommands(program: Command, context: CliContext): void {
  const sessions = program.command('sessions').description('list or end the open sessions of a running gateway').helpCommand(false);
  addHomeOptions(sessions.command('list').description('list open sessions, the one that was used last first'))
    .option('--backend <NAME>', 'only those of this backend')
    .option('--issuer <URL>', 'only those of callers with a token of this issuer (`local`: without a token)')
    .option('--subject <NAME>', 'only those of callers with this subject')
    .option('--tenant <NAME>', 'only those of this tenant')
    .option('--limit <N>', `how many at most (1 to ${MAX_LISTED})`, limitOf, '100')
    .option('--json', 'print JSON, for programs')
    .addHelpText('after', listExamples)
    .action((typed: Typed) => listSessions(typed, context));
  const end = addHomeOptions(sessions.command('end').description('end one session, or all of a caller: every gateway refuses them'))
    .argument('[KEY]', 'the key of the session, as `sessions list` shows it')
    .option('--issuer <URL>', 'with --subject: the issuer of the caller whose sessions end (`local`: without a token)')
    .option('--subject <NAME>', 'with --issuer: the subject of the caller')
    .addHelpText('after', endExamples)
    .action((key: string | undefined, typed: Typed) => endSessions(key, typed, context, end));
}

async function listSessions(typed: Typed, { env, stdout, stderr }: CliContext): Promise<void> {
  const { json, backend, issuer, subject, tenant, limit } = typed;
  const gateway = await connect(typed, env);
  const found = (await gateway.get(['sessions'], { backend, issuer, subject, tenant, limit })) as SessionList;
  if (json) {
    stdout.write(`${JSON.stringify(found, undefined, 2)}\n`);
    return;
  }
  const { sessionTable } = await import('./sessions-output.ts');
  stdout.write(sessionTable(found.sessions, Date.now()));
  if (found.more) stderr.write('there are more: raise --limit, or name a backend, tenant or caller\n');
}

async function endSessions(key: string | undefined, typed: Typed, { env, stdout }: CliContext, command: Command): Promise<void> {
  const { issuer, subject } = typed;
  if (key !== undefined && issuer === undefined && subject === undefined) {
    const gateway = await connect(typed, env);
    await gateway.delete(['sessions', key]);
    stdout.write(`session ${key} is ended\n`);
    return;
  }
  if (key !== undefined || issuer === undefined || subject === undefined) {
    command.error('error: name either the KEY of a session, or a caller with both --issuer and --subject');
  }
  const gateway = await connect(typed, env);
  const { ended } = (await gateway.delete(['sessions'], { issuer, subject })) as { readonly ended: number };
  stdout.write(`${ended === 1 ? '1 open session' : `${ended} open sessions`} of ${subject} (${issuer}) ended\n`);
}

async function connect(typed: Typed, env: NodeJS.ProcessEnv) {
  const { connectControl } = await import('./control-client.ts');
  return connectControl(settingsOf(typed, env).settings.home, clientEnvironment(typed, env));
}

function limitOf(raw: string): string {
  const count = Number(raw);
  if (!Number.isInteger(count) || count < 1 || count > MAX_LISTED)
    throw new InvalidArgumentError(`Must be a number from 1 to ${MAX_LISTED}.`);
  return raw;
}
