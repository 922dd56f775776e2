// Files of other projects that are published as Go modules, such as their custom resources.

import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';

const DOWNLOAD_MS = 300_000;

/** The folder of a module in Go's cache, downloaded when it is not there. @throws with what Go says. */
export async function goModule(module: string): Promise<string> {
  // Outside of any module: the repository is none.
  const options = { cwd: tmpdir(), timeout: DOWNLOAD_MS };
  const { stdout } = await promisify(execFile)('go', ['mod', 'download', '-json', module], options);
  return (JSON.parse(stdout) as { Dir: string }).Dir;
}
