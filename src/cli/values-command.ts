// `mcp-gateway values`: writes the values file of the Helm chart for what a gateway, or a folder of files, has declared.

import { type Command, InvalidArgumentError, Option } from 'commander';
import { claimPresets } from '../config/issuer-presets.ts';
import type { HelmValues } from '../control/values-file.ts';
import type { CliContext } from './program.ts';
import { addHomeOptions, clientEnvironment, settingsOf } from './settings-options.ts';

interface Typed {
  readonly resources?: string;
  readonly from?: string;
  readonly issuer?: string;
  readonly preset?: string;
  readonly audience?: readonly string[];
  readonly publicUrl?: string;
  readonly replicas?: number;
  readonly backend?: readonly string[];
  readonly tenant?: readonly string[];
  readonly out?: string;
  readonly json?: true;
  readonly [other: string]: unknown;
}

const examples = `
Examples:
  $ mcp-gateway values --public-url https://mcp.example.com --out values.yaml
  $ mcp-gateway values --resources examples/local --config gateway.yaml
  $ mcp-gateway values --issuer https://login.microsoftonline.com/TENANT/v2.0 --preset entra --audience CLIENT-ID --backend github --backend jira
  $ mcp-gateway values --from request.yaml --json | jq -r .command

Without --resources a running gateway is asked: the one of this machine, or of MCP_GATEWAY_URL. What no option names is as it is declared there.
--from is a file with the keys issuers, backends, tenants, publicUrl and replicas, as POST /helm-values takes them: {name: github} is what is
declared, {name: github, image: …} something else. Values of variables are never written: standard error says which Secrets to make.
`;

/** Adds the command. Standard output is the file alone; what is to be done with it goes to standard error. */
export function addValuesCommand(program: Command, { env, stdout, stderr }: CliContext): void {
  const command = program.command('values').description('write a values file for the Helm chart: issuers, backends and tenants');
  addHomeOptions(command)
    .option('--resources <DIR>', 'read resource files of this folder, and issuers from the settings, instead of asking a gateway')
    .option('--from <FILE>', 'what is wanted, in YAML or JSON')
    .option('--issuer <URL>', 'the issuer of tokens, instead of those that are set')
    .addOption(new Option('--preset <NAME>', 'what the issuer calls roles and groups').choices(Object.keys(claimPresets)))
    .option('--audience <TEXT>', 'what tokens of the issuer say in aud; may be repeated', collected)
    .option('--public-url <URL>', 'where clients will reach the gateway')
    .option('--replicas <N>', 'how many gateways there will be', count)
    .option('--backend <NAME>', 'only this backend; may be repeated', collected)
    .option('--tenant <NAME>', 'only this tenant; may be repeated', collected)
    .option('--out <FILE>', 'where it is written to, instead of standard output')
    .option('--json', 'print JSON with the file, the command, Secrets and notes')
    .addHelpText('after', examples)
    .action(async (typed: Typed) => {
      if (typed.issuer === undefined && (typed.preset !== undefined || typed.audience !== undefined)) {
        command.error('error: --preset and --audience belong to an issuer: give --issuer');
      }
      const request = { ...(typed.from !== undefined && (await read(typed.from))), ...requestOf(typed) };
      const made = await (typed.resources === undefined ? asked(request, typed) : offline(request, typed.resources, typed));
      const { values, ...rest } = made;
      if (typed.out !== undefined) await (await import('node:fs/promises')).writeFile(typed.out, values);
      if (typed.json) {
        stdout.write(`${JSON.stringify({ values, ...rest }, undefined, 2)}\n`);
        return;
      }
      if (typed.out === undefined) stdout.write(values);
      stderr.write(afterwards(made, typed.out));
    });

  const asked = async (request: object, typed: Typed): Promise<HelmValues> => {
    const { connectControl } = await import('./control-client.ts');
    const gateway = await connectControl(settingsOf(typed, env).settings.home, clientEnvironment(typed, env));
    return (await gateway.post(['helm-values'], request)) as HelmValues;
  };

  const offline = async (request: object, folder: string, typed: Typed): Promise<HelmValues> => {
    const [{ createResourceLoader }, { formatProblem }, { valuesFor }] = await Promise.all([
      import('../config/resource-files.ts'),
      import('../config/resources.ts'),
      import('../control/values.ts'),
    ]);
    const { backends, tenants, problems } = await createResourceLoader({ folder }).load();
    if (problems.length > 0) throw new Error(problems.map(formatProblem).join('\n'));
    const { settings } = settingsOf({ ...typed, resources: undefined }, env);
    return valuesFor(request, { backends: () => backends, tenants: () => tenants }, settings);
  };
}

function requestOf({ issuer, preset, audience: audiences, publicUrl, replicas, backend, tenant }: Typed): object {
  const named = (name: string): object => ({ name });
  return {
    ...(issuer !== undefined && { issuers: [{ issuer, ...(preset && { preset }), ...(audiences && { audiences }) }] }),
    ...(publicUrl !== undefined && { publicUrl }),
    ...(replicas !== undefined && { replicas }),
    ...(backend && { backends: backend.map(named) }),
    ...(tenant && { tenants: tenant.map(named) }),
  };
}

/** @throws Error with one line. */
async function read(file: string): Promise<object> {
  const [{ readFile }, { parseDocument }] = await Promise.all([import('node:fs/promises'), import('yaml')]);
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new Error(error.code === 'ENOENT' ? `${file}: there is no such file` : `${file}: ${error.message}`);
  });
  const document = parseDocument(text);
  const [mistake] = document.errors;
  if (mistake !== undefined) throw new Error(`${file}: ${mistake.message.split('\n')[0]}`);
  const value: unknown = document.toJS();
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new Error(`${file}: must be a map with issuers, backends, tenants, publicUrl or replicas`);
  }
  return value;
}

function afterwards({ command, secrets, notes }: HelmValues, out: string | undefined): string {
  const run = out === undefined ? command : command.replace(/values\.yaml$/, out);
  const lines = [`install it: ${run}`, ...secrets.map((secret) => `then: ${secret.command}`), ...notes.map((note) => `note: ${note}`)];
  return `${lines.join('\n')}\n`;
}

const collected = (value: string, before: readonly string[] = []): readonly string[] => [...before, value];

function count(raw: string): number {
  if (!/^\d{1,3}$/.test(raw)) throw new InvalidArgumentError('Must be a number.');
  return Number(raw);
}
