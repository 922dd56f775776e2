// Ends a run of vitest with one plain line, `N passed, N failed`, for people and programs that read only the last one.

import { writeFileSync } from 'node:fs';
import type { Reporter, SerializedError, TestModule } from 'vitest/node';
import { closingLine, NO_REPORT, reportOf } from './test-report.ts';

/** The file for the report, when somebody else (`npm test`) says the closing line. */
export const REPORT_FILE_VARIABLE = 'TEST_REPORT_FILE';

export default class ClosingLine implements Reporter {
  #report = NO_REPORT;

  onInit(): void {
    const file = process.env[REPORT_FILE_VARIABLE];
    // After everything else that is printed, vitest's own summary included.
    process.once('exit', (code) => {
      // A run without a single test must not look like a good one; nor one in which something failed that no test stands for.
      if (Object.keys(this.#report.files).length === 0) process.exitCode = 1;
      if (file === undefined) process.stdout.write(`${closingLine(this.#report, process.exitCode ?? code)}\n`);
      else writeFileSync(file, JSON.stringify(this.#report));
    });
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    this.#report = reportOf(modules, unhandledErrors);
  }
}
