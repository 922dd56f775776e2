// Ends a test run with one plain line, `N passed, N failed`, for people and programs that read only the last one; names what passed only at the second try.

import type { Reporter, SerializedError, TestCase, TestModule } from 'vitest/node';

/** Counts tests; a file that could not be loaded, a failed hook of a file and an error outside of tests count as one failure each. */
export default class ClosingLine implements Reporter {
  #passed = 0;
  #failed = 0;
  #skipped = 0;

  onInit(): void {
    // After everything else that is printed, vitest's own summary included.
    process.once('exit', (code) => {
      const ranNothing = this.#passed + this.#failed === 0;
      // A run without a single test must not look like a good one; nor one in which something failed that no test stands for.
      if (ranNothing) process.exitCode = 1;
      const failed = this.#failed === 0 && (ranNothing || code !== 0) ? 1 : this.#failed;
      const skipped = this.#skipped === 0 ? '' : `, ${this.#skipped} skipped`;
      process.stdout.write(`${this.#passed} passed, ${failed} failed${skipped}\n`);
    });
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    this.#passed = 0;
    this.#skipped = 0;
    this.#failed = unhandledErrors.length;
    for (const module of modules) {
      let failedTests = 0;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') this.#passed += 1;
        else if (state === 'failed') failedTests += 1;
        else this.#skipped += 1;
        if (test.diagnostic()?.flaky) process.stdout.write(`\n${secondTry(module, test)}\n`);
      }
      this.#failed += failedTests === 0 && module.state() === 'failed' ? 1 : failedTests;
    }
  }
}

function secondTry({ relativeModuleId }: TestModule, test: TestCase): string {
  const [first] = test.result().errors ?? [];
  return `passed at the second try only: ${relativeModuleId} > ${test.fullName}\n  the first: ${first?.message ?? 'no message'}`;
}
