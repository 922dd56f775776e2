// `npm run test:kubelet`: builds what is missing, gives the tests a network of their own, and runs them in it. Says so and ends well where no node can run.

import { execFileSync, spawn } from 'node:child_process';
import { appendFileSync, existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { provideBinaries, SUITES } from '../cluster/assets.ts';
import { provideRedis } from '../setup/redis.ts';
import { provideBuild, provideEnvoy } from '../setup/tools.ts';
import { NETWORK, removeLeftovers } from './place.ts';
import { installPackages, whyNoNode } from './requirements.ts';

const { CI, TEST_TOTALS_FILE: totalsFile } = process.env;
const progress = (line: string) => process.stdout.write(`set-up: ${line}\n`);
const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

if (CI !== undefined) installPackages(progress);
const why = whyNoNode();
if (why === undefined) process.exitCode = await runInNetwork(process.argv.slice(2));
else {
  process.stdout.write(`SKIPPED: npm run test:kubelet ran no test, because ${why}\n`);
  if (totalsFile === undefined) process.stdout.write('0 passed, 0 failed\n');
  else appendFileSync(totalsFile, `${JSON.stringify({ passed: 0, failed: 0, skipped: 0 })}\n`);
}

/** There is no way out of that network: everything is fetched first. */
async function runInNetwork(args: readonly string[]): Promise<number> {
  await Promise.all([provideBinaries(SUITES.kubelet, progress), provideBuild(progress), provideEnvoy(progress), provideRedis(progress)]);
  if (existsSync(join('/run/netns', NETWORK))) {
    const others = ip('netns', 'pids', NETWORK)
      .trim()
      .split('\n')
      .filter((pid) => pid !== '');
    const tests = others.filter(
      (pid) => existsSync(`/proc/${pid}`) && execFileSync('ps', ['-o', 'args=', '-p', pid], { encoding: 'utf8' }).includes('test/run.ts'),
    );
    if (tests.length > 0) {
      process.stderr.write(
        `another run of these tests (process ${tests.join(', ')}) has the node of this machine: wait for it, or end it\n`,
      );
      return 1;
    }
    await removeLeftovers();
    ip('netns', 'delete', NETWORK);
  }
  ip('netns', 'add', NETWORK);
  try {
    // Not `ip netns exec`, which mounts /sys anew and hides the groups of processes.
    const command = [process.execPath, '--import', 'tsx', resolve(import.meta.dirname, '../run.ts'), '--project=kubelet', ...args];
    const child = spawn('nsenter', [`--net=/run/netns/${NETWORK}`, ...command], { stdio: 'inherit' });
    // Ctrl-C reaches the tests, too, and they clean up.
    process.on('SIGINT', () => {});
    process.on('SIGTERM', () => child.kill('SIGTERM'));
    return await new Promise((done) => child.once('exit', (code) => done(code ?? 1)));
  } finally {
    await removeLeftovers();
    ip('netns', 'delete', NETWORK);
  }
}
