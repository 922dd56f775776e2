// `npm run test:kubelet`: builds what is missing, gives the tests a network of their own, and runs them in it. Says so and ends well where no node can run.

import { spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { provideBinaries, SUITES } from '../cluster/assets.ts';
import { provideRedis } from '../setup/redis.ts';
import { provideBuild, provideEnvoy } from '../setup/tools.ts';
import { addNetwork, OWNER_VARIABLE, placeOf, removeAbandoned, removePlace } from './place.ts';
import { installPackages, whyNoNode } from './requirements.ts';

const { CI, TEST_TOTALS_FILE: totalsFile } = process.env;
const progress = (line: string) => process.stdout.write(`set-up: ${line}\n`);

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
  await removeAbandoned();
  const owner = String(process.pid);
  const place = placeOf(owner);
  addNetwork(place);
  try {
    // Not `ip netns exec`, which mounts /sys anew and hides the groups of processes.
    const command = [process.execPath, '--import', 'tsx', resolve(import.meta.dirname, '../run.ts'), '--project=kubelet', ...args];
    const env = { ...process.env, [OWNER_VARIABLE]: owner };
    const child = spawn('nsenter', [`--net=/run/netns/${place.network}`, ...command], { stdio: 'inherit', env });
    // Ctrl-C reaches the tests, too, and they clean up.
    process.on('SIGINT', () => {});
    process.on('SIGTERM', () => child.kill('SIGTERM'));
    return await new Promise((done) => child.once('exit', (code) => done(code ?? 1)));
  } finally {
    await removePlace(place);
  }
}
