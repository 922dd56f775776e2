// Runs one of the official conformance suites against a URL and reads its checks.

import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { node24, toolBin } from '../setup/tools.ts';

/** A suite takes seconds; a server that answers nothing makes it take its own timeouts. */
const SUITE_TIMEOUT_MS = 240_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** A suite, with the passed and failed checks that our fixture server must reach without a gateway. */
export interface Suite {
  readonly name: string;
  readonly tool: string;
  readonly args: readonly string[];
  readonly direct: { readonly passed: number; readonly failed: number };
}

export const suites: readonly Suite[] = [
  { name: '0.1.16, all', tool: '@modelcontextprotocol/conformance', args: ['--suite', 'all'], direct: { passed: 44, failed: 0 } },
  {
    name: '0.2.0-alpha.12, requirements of 2025-11-25',
    tool: 'conformance-alpha',
    args: ['--requirements', '2025-11-25'],
    direct: { passed: 84, failed: 0 },
  },
  {
    name: '0.2.0-alpha.12, requirements of 2026-07-28',
    tool: 'conformance-alpha',
    args: ['--requirements', '2026-07-28'],
    // The failures are the tasks extension, which is optional, not scored, and not served by the fixture server.
    direct: { passed: 164, failed: 30 },
  },
];

/** What a run found: for each scenario its checks in order, as `id: STATUS`, and why checks failed. */
export interface SuiteResult {
  readonly passed: number;
  readonly failed: number;
  readonly checks: Readonly<Record<string, readonly string[]>>;
  readonly failures: readonly string[];
}

interface Check {
  readonly id: string;
  readonly status: string;
  readonly errorMessage?: string;
}

/** @throws when the runner finds no server or ends without results. */
export async function runSuite(suite: Suite, url: string): Promise<SuiteResult> {
  const output = mkdtempSync(join(tmpdir(), 'conformance-'));
  try {
    const args = [toolBin(suite.tool), 'server', '--url', url, ...suite.args, '--output-dir', output];
    const text = await new Promise<string>((resolve, reject) => {
      execFile(node24(), args, { timeout: SUITE_TIMEOUT_MS, maxBuffer: MAX_OUTPUT_BYTES, cwd: output }, (error, stdout, stderr) => {
        // The runner's exit code tells only that some check failed; being killed or unable to start is another matter.
        if (error !== null && typeof error.code !== 'number') reject(error);
        else resolve(stdout + stderr);
      });
    });
    const total = /Total: (\d+) passed, (\d+) failed/.exec(text);
    if (total === null) throw new Error(`the conformance runner gave no total:\n${text.slice(-4000)}`);
    return { passed: Number(total[1]), failed: Number(total[2]), ...readChecks(output) };
  } finally {
    rmSync(output, { recursive: true, force: true });
  }
}

function readChecks(output: string): Pick<SuiteResult, 'checks' | 'failures'> {
  const checks: Record<string, string[]> = {};
  const failures: string[] = [];
  for (const folder of readdirSync(output).sort()) {
    const scenario = folder.replace(/-\d{4}-\d{2}-\d{2}T[\d-]+Z$/, '');
    const found = JSON.parse(readFileSync(join(output, folder, 'checks.json'), 'utf8')) as Check[];
    checks[scenario] = found.map(({ id, status }) => `${id}: ${status}`);
    for (const { id, status, errorMessage } of found) {
      if (status === 'FAILURE') failures.push(`${scenario} / ${id}: ${errorMessage ?? 'no reason given'}`);
    }
  }
  return { checks, failures };
}
