// `mcp-gateway bridge`: the stdio bridge as a process of its own.

import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { parseDuration } from '../../config/durations.ts';
import { startBridge } from './server.ts';

const USAGE =
  'usage: mcp-gateway bridge --port PORT [--host 127.0.0.1] [--path /mcp] [--idle-timeout 30m] [--max-sessions N] [--exit-with-stdin] -- COMMAND [ARGUMENT…]';
const STDERR = 2;
const MAX_PORT = 65_535;

/**
 * Runs a bridge until SIGTERM, SIGINT or SIGHUP – with `--exit-with-stdin` also until its input ends, which it does when the process
 * that started it dies. Logs to stderr. Throws on arguments that make no sense and when the port cannot be had.
 */
export async function runBridge(argv: readonly string[]): Promise<void> {
  const { command, args, ...settings } = readArguments(argv);
  const log = pino({ base: null }, pino.destination({ dest: STDERR, sync: true }));
  const bridge = await startBridge({ ...settings, command, args, log, errorOutput: process.stderr });
  log.info({ port: bridge.port, path: settings.path }, 'bridge listening');
  const reason = await endOfWork(settings.exitWithStdin);
  log.info({ reason }, 'bridge stopping');
  await bridge.close();
}

function endOfWork(exitWithStdin: boolean): Promise<string> {
  return new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.on(signal, () => resolve(signal));
    }
    if (exitWithStdin) {
      const end = (): void => resolve('input ended');
      process.stdin.once('end', end).once('close', end).once('error', end).resume();
    }
  }).then((reason) => {
    process.stdin.destroy();
    return reason as string;
  });
}

function readArguments(argv: readonly string[]) {
  const split = argv.indexOf('--');
  const [command, ...args] = split < 0 ? [] : argv.slice(split + 1);
  if (command === undefined) {
    throw new Error(USAGE);
  }
  const { values } = parseArgs({
    args: argv.slice(0, split),
    options: {
      port: { type: 'string' },
      host: { type: 'string', default: '127.0.0.1' },
      path: { type: 'string', default: '/mcp' },
      'idle-timeout': { type: 'string' },
      'max-sessions': { type: 'string' },
      'exit-with-stdin': { type: 'boolean', default: false },
    },
  });
  const idleMs = values['idle-timeout'] === undefined ? undefined : parseDuration(values['idle-timeout']);
  const sessions = values['max-sessions'] === undefined ? undefined : Number(values['max-sessions']);
  const port = Number(values.port);
  const badPort = values.port === undefined || !Number.isInteger(port) || port < 0 || port > MAX_PORT;
  const badLimit = (values['idle-timeout'] !== undefined && idleMs === undefined) || (sessions !== undefined && !(sessions >= 1));
  if (badPort || badLimit || !values.path.startsWith('/')) {
    throw new Error(USAGE);
  }
  const limits = { ...(idleMs === undefined ? {} : { idleMs }), ...(sessions === undefined ? {} : { sessions }) };
  return { command, args, port, host: values.host, path: values.path, exitWithStdin: values['exit-with-stdin'], limits };
}
