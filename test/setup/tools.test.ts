// The tools that the set-up installed are there, in the versions that the tests were written for, and run.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { envoyBinary, node24, toolBin } from './tools.ts';

const run = promisify(execFile);

describe('tools', () => {
  it('a newer Node', async () => {
    const { stdout } = await run(node24(), ['-p', 'process.versions.node']);
    expect(Number.parseInt(stdout, 10)).toBeGreaterThanOrEqual(22);
  });

  it('Envoy', async () => {
    const { stdout } = await run(envoyBinary(), ['--version']);
    expect(stdout).toMatch(/\/1\.\d+\.\d+\//);
  });

  it.each([
    ['@modelcontextprotocol/conformance', ['--version'], /^0\.1\.16/],
    ['conformance-alpha', ['--version'], /^0\.2\.0-alpha\.12/],
    ['@modelcontextprotocol/inspector', ['--help'], /--cli/],
    ['mcp-proxy', ['--version'], /^6\.7\.19/],
    ['openapi-typescript-codegen', ['--version'], /^0\.31\.0/],
  ])('%s', async (name, args, says) => {
    const { stdout, stderr } = await run(node24(), [toolBin(name), ...args]);
    expect(stdout + stderr).toMatch(says);
  });
});
