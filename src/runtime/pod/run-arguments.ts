// What `mcp-gateway run` takes: which server, and how it is reached.

import { parseArgs } from 'node:util';
import { formatDuration, parseDuration } from '../../config/durations.ts';
import { parseImage } from '../../config/image-reference.ts';
import { BRIDGE_LIMITS } from '../bridge/limits.ts';
import type { PackageImage } from '../local/package-store.ts';
import { UsageError } from './usage-error.ts';

const DEFAULT_PORT = '8000';
const DEFAULT_HOME = '/tmp/mcp';
const MAX_PORT = 65_535;

export const RUN_USAGE = `Usage: mcp-gateway run <IMAGE> [options] [-- ARGUMENT…]
       mcp-gateway run [options] -- COMMAND [ARGUMENT…]

Installs an npm or PyPI package and runs its MCP server as the main process of a container: signals are handed on, the exit code is the
server's. A stdio server is put behind an HTTP port, one process per session.

Options:
  --port <N>          the server's port, also in its variable PORT (default: the variable PORT, else ${DEFAULT_PORT})
  --path <P>          where a stdio server is served (default: /mcp)
  --stdio             the server speaks MCP on its standard input and output
  --idle-timeout <D>  a stdio session without requests is ended after so long (default: ${formatDuration(BRIDGE_LIMITS.idleMs)})
  --home <DIR>        where packages are installed (default: ${DEFAULT_HOME})
  --help              print this help

Examples:
  $ mcp-gateway run npm:@modelcontextprotocol/server-everything@2026.8.31 -- streamableHttp
  $ mcp-gateway run pypi:mcp-server-time --stdio --port 8000
  $ mcp-gateway run --stdio -- /usr/local/bin/my-server --verbose
`;

/** One server to run. Without an image, `args` is the whole command. */
export interface RunArguments {
  readonly image: PackageImage | undefined;
  readonly args: readonly string[];
  readonly port: number;
  readonly path: string;
  readonly stdio: boolean;
  readonly idleMs: number;
  readonly home: string;
}

/** Reads what stands behind `run`; `help` when that is asked for. Throws UsageError. */
export function readRunArguments(argv: readonly string[], env: Readonly<Record<string, string | undefined>>): RunArguments | 'help' {
  const split = argv.indexOf('--');
  const own = split < 0 ? argv : argv.slice(0, split);
  const args = split < 0 ? [] : argv.slice(split + 1);
  const { values, positionals } = parse(own);
  if (values.help) {
    return 'help';
  }
  const [imageText, surplus] = positionals;
  if (surplus !== undefined) {
    throw new UsageError(`unexpected "${surplus}": the server's own arguments stand behind "--"`);
  }
  if (imageText === undefined && args.length === 0) {
    throw new UsageError('names no server: give npm:NAME@VERSION, pypi:NAME==VERSION, or a command behind "--"');
  }
  const idleMs = parseDuration(values['idle-timeout']);
  if (idleMs === undefined) {
    throw new UsageError(`--idle-timeout must be a duration such as 45s or 30m: got "${values['idle-timeout']}"`);
  }
  if (!values.path.startsWith('/')) {
    throw new UsageError(`--path must begin with "/": got "${values.path}"`);
  }
  return {
    image: imageText === undefined ? undefined : packageImage(imageText),
    args,
    port: readPort(values.port ?? env['PORT'] ?? DEFAULT_PORT),
    path: values.path,
    stdio: values.stdio,
    idleMs,
    home: values.home,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        port: { type: 'string' },
        path: { type: 'string', default: '/mcp' },
        stdio: { type: 'boolean', default: false },
        'idle-timeout': { type: 'string', default: formatDuration(BRIDGE_LIMITS.idleMs) },
        home: { type: 'string', default: DEFAULT_HOME },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    // Node adds a second sentence about `--`, which means something else here.
    throw new UsageError((error as Error).message.split('. ')[0] as string);
  }
}

function packageImage(text: string): PackageImage {
  const image = parseImage(text);
  if (typeof image === 'string') {
    throw new UsageError(`${text}: ${image}`);
  }
  if (image.kind === 'exec' || image.kind === 'oci') {
    throw new UsageError(`${text} is no package: give npm:… or pypi:…, or a command behind "--"`);
  }
  return image;
}

/** The port of a server process, as an option or variable says it. 0 means any free one, which nobody would find. */
function readPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > MAX_PORT) {
    throw new UsageError(`the port must be a number from 1 to ${MAX_PORT}: got "${text}"`);
  }
  return port;
}
