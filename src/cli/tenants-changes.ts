// `mcp-gateway tenants set-quota` and `rm`: changes of tenants that a running gateway was told of by its API.

import { type Command, InvalidArgumentError } from 'commander';
import { CallRefused, type Perform } from '../control/calls.ts';
import type { TenantDetail } from '../control/tenant-view.ts';
import type { CliContext } from './program.ts';
import { addHomeOptions, settingsOf } from './settings-options.ts';

/** Commander takes null for a value that was not given. */
type Count = number | 'none';

interface Typed {
  readonly requests?: Count;
  readonly per?: string;
  readonly perSubject?: true;
  readonly backend?: string;
  readonly tool?: string;
  readonly sessions?: Count;
  readonly concurrentRequests?: Count;
  readonly create?: true;
  readonly json?: true;
  readonly [other: string]: unknown;
}

const setExamples = `
Examples:
  $ mcp-gateway tenants set-quota engineering --requests 1000 --per 1h
  $ mcp-gateway tenants set-quota engineering --requests 60 --per 1m --per-subject --backend github --tool 'search_*'
  $ mcp-gateway tenants set-quota engineering --sessions 200 --concurrent-requests none
  $ mcp-gateway tenants set-quota engineering --requests none --per 1h
  $ mcp-gateway tenants set-quota marketing --create --requests 100 --per 1h

A quota is known by whom and what it counts, and in which time: its number is changed, or there is one more. What is used up goes on to count.
`;

const rmExamples = `
Examples:
  $ mcp-gateway tenants rm marketing
`;

export function addTenantChanges(tenants: Command, { env, stdout }: CliContext): void {
  const connect = async (typed: Readonly<Record<string, unknown>>): Promise<Perform> => {
    const { connectControl } = await import('./control-client.ts');
    return (await connectControl(settingsOf(typed, env).settings.home, env)).perform;
  };

  const set = tenants.command('set-quota').description('change a quota or a limit of a tenant that was registered by API');
  addHomeOptions(set)
    .argument('<NAME>', 'the name of the tenant')
    .option('--requests <N>', 'how many requests a quota allows; none: no such quota', countOrNone)
    .option('--per <TIME>', 'in which time: 1m, 1h, 1d')
    .option('--per-subject', 'the quota is for each caller, not for all together')
    .option('--backend <NAME>', 'the quota is for this backend')
    .option('--tool <NAME>', 'the quota is for this tool')
    .option('--sessions <N>', 'how many sessions may be open; none: any number', countOrNone)
    .option('--concurrent-requests <N>', 'how many requests may be under way; none: any number', countOrNone)
    .option('--create', 'create the tenant when there is none')
    .option('--json', 'print JSON, for programs')
    .addHelpText('after', setExamples)
    .action(async (name: string, typed: Typed) => {
      const { requests, per, perSubject, backend, tool, sessions, concurrentRequests, create, json } = typed;
      if ((requests === undefined) !== (per === undefined)) set.error('error: --requests and --per belong together');
      if (requests === undefined && sessions === undefined && concurrentRequests === undefined) {
        set.error('error: name what is to be changed: --requests with --per, --sessions or --concurrent-requests');
      }
      if (requests === undefined && (perSubject || backend !== undefined || tool !== undefined)) {
        set.error('error: --per-subject, --backend and --tool belong to a quota: give its --requests and --per');
      }
      const perform = await connect(typed);
      const body = {
        ...(requests !== undefined && {
          quotas: [{ requests: orNull(requests), per, ...(perSubject && { scope: 'subject' }), backend, tool }],
        }),
        limits: { sessions: orNull(sessions), concurrentRequests: orNull(concurrentRequests) },
      };
      const created = create ? await createUnlessThere({ name, ...body }, perform) : undefined;
      const tenant = (created ?? (await perform({ method: 'PATCH', path: ['tenants', name], body }))) as TenantDetail;
      const { tenantPage } = await import('./tenants-output.ts');
      stdout.write(json ? `${JSON.stringify(tenant, undefined, 2)}\n` : tenantPage(tenant));
    });

  addHomeOptions(tenants.command('rm').description('remove a tenant that was registered by API'))
    .argument('<NAME...>', 'the names of the tenants')
    .addHelpText('after', rmExamples)
    .action(async (names: readonly string[], typed: Typed) => {
      const perform = await connect(typed);
      for (const name of names) {
        await perform({ method: 'DELETE', path: ['tenants', name] });
        stdout.write(`${name} is removed\n`);
      }
    });
}

/** With its limits at once: what is wrong with them leaves no half tenant behind. Undefined when there is one of this name. */
async function createUnlessThere({ quotas = [], ...tenant }: NewTenant, perform: Perform): Promise<unknown> {
  try {
    const body = { ...tenant, quotas: quotas.filter(({ requests }) => requests !== null) };
    return await perform({ method: 'POST', path: ['tenants'], body });
  } catch (error) {
    if (!(error instanceof CallRefused) || error.code !== 'exists') throw error;
    return undefined;
  }
}

interface NewTenant {
  readonly name: string;
  readonly quotas?: readonly { readonly requests: number | null | undefined }[];
  readonly limits: object;
}

const orNull = (count: Count | undefined): number | null | undefined => (count === 'none' ? null : count);

function countOrNone(raw: string): Count {
  if (raw === 'none') return raw;
  if (!/^\d{1,12}$/.test(raw)) throw new InvalidArgumentError('Must be a number or none.');
  return Number(raw);
}
