// Every command that a Redis executes, with who sent it: to count what a request costs.

import { connect } from 'node:net';
import { createInterface } from 'node:readline';
import type { RedisServer } from './redis.ts';
import { waitFor } from './wait-for.ts';

export interface RedisCommand {
  /** In lower case. */
  readonly name: string;
  readonly args: readonly string[];
  /** The client's address. */
  readonly source: string;
}

export interface RedisMonitor {
  /** All that clients sent until now; what scripts did themselves is left out. */
  commands(): Promise<readonly RedisCommand[]>;
  stop(): void;
}

const LINE = /^\+\d+\.\d+ \[\d+ (\S+)\] (.*)$/;
/** What the tests ask by themselves. */
const OWN: ReadonlySet<string> = new Set(['hello', 'echo', 'info', 'config', 'keys']);

/** Over a plain socket: the client library stumbles when the first commands come together with the answer. Not for one with a password. */
export async function monitorRedis({ port, ask }: RedisServer): Promise<RedisMonitor> {
  const seen: RedisCommand[] = [];
  const marks = new Set<string>();
  let begun = false;
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  createInterface({ input: socket }).on('line', (line) => {
    begun ||= line === '+OK';
    const [, source = 'lua', text = ''] = LINE.exec(line) ?? [];
    if (source === 'lua') return;
    const [name = '', ...args] = [...text.matchAll(/"((?:[^"\\]|\\.)*)"/g)].map(([, word]) => word as string);
    if (name === 'echo') marks.add(args[0] as string);
    if (!OWN.has(name.toLowerCase())) seen.push({ name: name.toLowerCase(), args, source });
  });
  socket.write('MONITOR\r\n');
  await waitFor('the monitor', () => begun);
  return {
    async commands() {
      const mark = `mark ${marks.size}`;
      await ask('echo', mark);
      await waitFor('all commands', () => marks.has(mark));
      return [...seen];
    },
    stop: () => socket.destroy(),
  };
}
