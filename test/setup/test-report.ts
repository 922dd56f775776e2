// What one run of vitest has found, by file: for the closing line, and for whoever runs the failed files again.

import type { SerializedError, TestModule } from 'vitest/node';

export interface FileReport {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** `test: message` of each failure. */
  readonly failures: readonly string[];
}

export interface TestReport {
  /** By path, relative to the project. */
  readonly files: Readonly<Record<string, FileReport>>;
  /** Errors outside of tests that stand for no file. */
  readonly errors: number;
}

export const NO_REPORT: TestReport = { files: {}, errors: 0 };

/** A file that could not be loaded, a failed hook of a file and an error outside of tests count as one failure each. */
export function reportOf(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): TestReport {
  return {
    files: Object.fromEntries(modules.map((module) => [module.relativeModuleId, fileReport(module)])),
    errors: unhandledErrors.length,
  };
}

function fileReport(module: TestModule): FileReport {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const failures: string[] = [];
  for (const test of module.children.allTests()) {
    const { state, errors } = test.result();
    if (state === 'passed' || state === 'failed') counts[state] += 1;
    else counts.skipped += 1;
    if (state === 'failed') failures.push(`${test.fullName}: ${firstLine(errors?.[0]?.message)}`);
  }
  if (counts.failed === 0 && module.state() === 'failed') {
    counts.failed = 1;
    failures.push(firstLine(module.errors()[0]?.message ?? 'a hook failed'));
  }
  return { ...counts, failures };
}

const firstLine = (message = 'no message'): string => message.split('\n', 1)[0] as string;

/** The files of the second report take the place of the same files of the first. */
export const renewed = (first: TestReport, second: TestReport): TestReport => ({
  files: { ...first.files, ...second.files },
  errors: second.errors,
});

export const failedFiles = ({ files }: TestReport): string[] => Object.keys(files).filter((path) => (files[path]?.failed ?? 0) > 0);

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** @param code the exit code that the run would have. A run without a test failed, and so did one that says so itself. */
export function countsOf({ files, errors }: TestReport, code: number | string | null | undefined): Counts {
  const sum = (count: keyof Counts) => Object.values(files).reduce((total, file) => total + file[count], 0);
  const [passed, skipped] = [sum('passed'), sum('skipped')];
  const failed = sum('failed') + errors;
  const nothing = passed + failed === 0 || (failed === 0 && Boolean(code));
  return { passed, failed: nothing ? 1 : failed, skipped };
}

/** `N passed, N failed`, and how many were skipped. */
export const sentenceOf = ({ passed, failed, skipped }: Counts): string =>
  `${passed} passed, ${failed} failed${skipped === 0 ? '' : `, ${skipped} skipped`}`;

export const closingLine = (report: TestReport, code: number | string | null | undefined): string => sentenceOf(countsOf(report, code));
