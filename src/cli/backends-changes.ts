// `mcp-gateway backends add`, `update` and `rm`: what a running gateway takes in by its API, next to its files.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { CallRefused, type Perform } from '../control/calls.ts';
import type { CliContext } from './program.ts';
import { addHomeOptions, clientEnvironment, settingsOf } from './settings-options.ts';
import { listenForStop } from './stop-signals.ts';

/** Somebody else has changed it meanwhile: then it is read again, and changed again. */
const MAX_TRIES = 5;

interface Typed {
  readonly image?: string;
  readonly env?: readonly string[];
  readonly unset?: readonly string[];
  readonly transport?: string;
  readonly port?: number;
  readonly path?: string;
  readonly replicas?: number;
  readonly affinity?: string;
  readonly healthPath?: string;
  readonly healthMcp?: true;
  readonly tenant?: readonly string[];
  readonly role?: readonly string[];
  readonly description?: string;
  readonly wait?: true;
  readonly [other: string]: unknown;
}

/** The part of an adapter that is changed. */
interface Present {
  readonly revision: string;
  readonly environmentVariables: Readonly<Record<string, null>>;
  readonly access: Readonly<Record<string, unknown>> | null;
  readonly [field: string]: unknown;
}

const addExamples = `
Examples:
  $ mcp-gateway backends add memory --image npm:@modelcontextprotocol/server-memory@2026.8.31 --transport stdio --wait
  $ mcp-gateway backends add github --image ghcr.io/github/github-mcp-server:0.9 --env GITHUB_TOKEN --tenant engineering
  $ mcp-gateway backends add jira --image https://mcp.example.com/mcp --health-mcp
  $ mcp-gateway backends add files --image npm:@acme/files@1.2.3 -- --root /srv

Packages need their exact version, and the gateway's setting allowedImages says which images are taken. "exec:" programs are declared in files.
--env NAME takes the value from this shell, where no other user of the machine can read it.
`;

const updateExamples = `
Examples:
  $ mcp-gateway backends update memory --replicas 3
  $ mcp-gateway backends update github --env GITHUB_TOKEN --unset DEBUG --wait

What is not named stays as it is.
`;

const rmExamples = `
Examples:
  $ mcp-gateway backends rm memory
`;

export function addBackendChanges(backends: Command, { env, stdout, stderr }: CliContext): void {
  const connect = async (typed: Readonly<Record<string, unknown>>): Promise<Perform> => {
    const { connectControl } = await import('./control-client.ts');
    return (await connectControl(settingsOf(typed, env).settings.home, clientEnvironment(typed, env))).perform;
  };

  const finished = async (name: string, done: string, answer: unknown, { wait }: Typed, perform: Perform): Promise<void> => {
    if (!wait) {
      stdout.write(`${name} is ${done}: see mcp-gateway backends get ${name}\n`);
      return;
    }
    const { adapterPart, untilHealthy } = await import('../control/until-healthy.ts');
    const { stop, release } = listenForStop();
    try {
      const tell = (text: string): void => void stderr.write(`${text}\n`);
      const { adapter, state, seconds } = await untilHealthy(adapterPart.parse(answer), perform, { signal: stop, tell });
      if (state === 'not healthy') throw new Error(`${name} is ${done}, but not healthy after ${seconds} s: ${adapter.message}`);
      stdout.write(state === 'healthy' ? `${name} is healthy: ${adapter.url}\n` : `${name} is ${done}, with 0 replicas\n`);
    } catch (error) {
      if (stop.aborted) throw new Error(`${name} is ${done}; nobody waits for it any more`);
      throw error;
    } finally {
      release();
    }
  };

  const add = backends.command('add').description('register a backend by API');
  addFields(addHomeOptions(add).argument('<NAME>', 'how the backend is called').argument('[ARG...]', 'arguments of its program, after --'))
    .addHelpText('after', addExamples)
    .action(async (name: string, args: readonly string[], typed: Typed) => {
      if (typed.image === undefined) add.error('error: --image is needed');
      const perform = await connect(typed);
      const body = { name, ...(args.length > 0 && { args }), ...changed(typed, env, undefined) };
      await finished(name, 'registered', await perform({ method: 'POST', path: ['adapters'], body }), typed, perform);
    });

  const update = backends.command('update').description('change a backend that was registered by API');
  addFields(
    addHomeOptions(update).argument('<NAME>', 'the name of the backend').argument('[ARG...]', 'new arguments of its program, after --'),
  )
    .option('--unset <NAME>', 'remove a variable (repeatable)', collect)
    .addHelpText('after', updateExamples)
    .action(async (name: string, args: readonly string[], typed: Typed) => {
      if (args.length === 0 && Object.keys(changed(typed, env, undefined)).length === 0) update.error('error: name what is to be changed');
      const perform = await connect(typed);
      const path = ['adapters', name];
      for (let attempt = 1; ; attempt += 1) {
        const present = (await perform({ method: 'GET', path })) as Present;
        const { imageName: _name, imageVersion: _version, requiredRoles: _roles, ...same } = present;
        const body = { ...same, ...(args.length > 0 && { args }), ...changed(typed, env, present) };
        try {
          const answer = await perform({ method: 'PUT', path, body, revision: present.revision });
          await finished(name, 'changed', answer, typed, perform);
          return;
        } catch (error) {
          if (!(error instanceof CallRefused) || error.code !== 'changed' || attempt === MAX_TRIES) throw error;
        }
      }
    });

  addHomeOptions(backends.command('rm').description('remove a backend that was registered by API; its sessions end'))
    .argument('<NAME...>', 'the names of the backends')
    .addHelpText('after', rmExamples)
    .action(async (names: readonly string[], typed: Typed) => {
      const perform = await connect(typed);
      for (const name of names) {
        await perform({ method: 'DELETE', path: ['adapters', name] });
        stdout.write(`${name} is removed\n`);
      }
    });
}

function addFields(command: Command): Command {
  return command
    .option('--image <IMAGE>', 'npm:@scope/name@1.2.3, pypi:name==1.2.3, a container image, or the URL of a server elsewhere')
    .option('--env <NAME[=VALUE]>', 'a variable of its environment (repeatable)', collect)
    .addOption(new Option('--transport <NAME>', 'what the server speaks').choices(['streamable-http', 'stdio']))
    .option('--port <N>', 'the port of a container', wholeNumber)
    .option('--path <PATH>', 'where it takes MCP requests')
    .option('--replicas <N>', 'how many run', wholeNumber)
    .addOption(new Option('--affinity <KIND>', 'whether requests of a session stay together').choices(['session', 'none']))
    .option('--health-path <PATH>', 'probe it with GET of this path')
    .addOption(new Option('--health-mcp', 'probe it with an MCP request').conflicts('healthPath'))
    .option('--tenant <NAME>', 'a tenant that may use it, * for all (repeatable)', collect)
    .option('--role <NAME>', 'a role whose holders may use it (repeatable)', collect)
    .option('--description <TEXT>', 'what it is for')
    .option('--wait', 'wait until it is healthy');
}

/** The fields that were named, as the API calls them. */
function changed(typed: Typed, env: NodeJS.ProcessEnv, present: Present | undefined): Record<string, unknown> {
  const { image, transport, port, path, replicas, affinity, healthPath, healthMcp, tenant, role, description } = typed;
  if (/^https?:/.test(image ?? String(present?.['image']))) {
    const unused = Object.entries({ transport, port, path, replicas }).find(([, value]) => value !== undefined);
    if (unused) throw new Error(`--${unused[0]} is not used with the URL of a server that runs elsewhere`);
  }
  const fields: Record<string, unknown> = { image, transport, port, path, replicaCount: replicas, affinity, description };
  if (healthPath !== undefined) fields['healthCheck'] = { path: healthPath };
  if (healthMcp) fields['healthCheck'] = { type: 'mcp' };
  if (tenant || role) {
    fields['access'] = { ...present?.access, ...(tenant && { tenants: tenant }), ...(role && { roles: role }) };
  }
  if (typed.env || typed.unset) {
    const variables = new Map<string, string | null>(Object.entries(present?.environmentVariables ?? {}));
    for (const name of typed.unset ?? []) variables.delete(name);
    for (const text of typed.env ?? []) variables.set(...variableOf(text, env));
    fields['environmentVariables'] = Object.fromEntries(variables);
  }
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

function variableOf(text: string, env: NodeJS.ProcessEnv): [name: string, value: string] {
  const at = text.indexOf('=');
  if (at >= 0) return [text.slice(0, at), text.slice(at + 1)];
  const value = env[text];
  if (value === undefined) throw new Error(`--env ${text}: there is no such variable here; give its value as ${text}=VALUE`);
  return [text, value];
}

const collect = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

function wholeNumber(raw: string): number {
  if (!/^\d{1,5}$/.test(raw)) throw new InvalidArgumentError('Must be a number.');
  return Number(raw);
}
