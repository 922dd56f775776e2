// `npm test`: the tests that need no Kubernetes (or those of `--project NAME`), and what failed once more, alone and with everything fresh; says what needed that, and ends with `N passed, N failed`.
//
// Real processes with real time limits cannot but notice when the machine is somebody else's for seconds. What fails again and again is a
// failure; what needed another try is named, and is to be looked into.

import { spawn } from 'node:child_process';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { REPORT_FILE_VARIABLE } from './setup/closing-line.ts';
import { closingLine, countsOf, failedFiles, NO_REPORT, renewed, type TestReport } from './setup/test-report.ts';

const TRIES = 3;
/** More than that fails for a reason that another try does not change. */
const MAX_AGAIN = 8;
/** Where several suites add up what they found, and something else (`test/total.ts`) says the closing line. */
const { TEST_TOTALS_FILE: totalsFile } = process.env;
const DEFAULT_PROJECTS = ['--project=unit', '--project=integration'];
const VITEST = fileURLToPath(new URL('../node_modules/vitest/vitest.mjs', import.meta.url));

/** One run of vitest. Its output is this process's own. */
async function run(args: readonly string[]): Promise<{ readonly code: number; readonly report: TestReport | undefined }> {
  const folder = mkdtempSync(join(tmpdir(), 'test-report-'));
  const file = join(folder, 'report.json');
  try {
    const child = spawn(process.execPath, [VITEST, 'run', ...args], {
      stdio: 'inherit',
      env: { ...process.env, [REPORT_FILE_VARIABLE]: file },
    });
    const code = await new Promise<number>((resolve) => child.once('exit', (status, signal) => resolve(signal ? 1 : (status ?? 1))));
    return { code, report: JSON.parse(readFileSync(file, 'utf8')) as TestReport };
  } catch {
    // It left without a report.
    return { code: 1, report: undefined };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

// Ctrl-C reaches vitest, too: it cleans up, and this process says how it ended.
let stopped = false;
process.on('SIGINT', () => {
  stopped = true;
});

const args = process.argv.slice(2);
/** `--project NAME` may be two words. */
const asked = args.flatMap((word, index) =>
  word === '--project' ? [`--project=${args[index + 1]}`] : word.startsWith('--project=') ? [word] : [],
);
const projects = asked.length > 0 ? asked : DEFAULT_PROJECTS;

let { code, report = NO_REPORT } = await run(asked.length > 0 ? args : [...DEFAULT_PROJECTS, ...args]);
for (let attempt = 2; attempt <= TRIES && code !== 0 && !stopped; attempt += 1) {
  const again = failedFiles(report);
  if (again.length === 0 || again.length > MAX_AGAIN) break;
  process.stdout.write(`\nfailed, and run again alone (try ${attempt} of ${TRIES}):\n`);
  for (const file of again) process.stdout.write(`${file}\n  ${report.files[file]?.failures.join('\n  ')}\n`);
  const next = await run([...projects, ...again, '--maxWorkers=1']);
  code = next.code;
  if (!next.report) break;
  report = renewed(report, next.report);
}
if (totalsFile === undefined) process.stdout.write(`${closingLine(report, code)}\n`);
else appendFileSync(totalsFile, `${JSON.stringify(countsOf(report, code))}\n`);
process.exitCode = code;
