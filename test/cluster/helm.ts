// Helm, against one cluster or none, with folders of its own.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { binary } from './assets.ts';
import { runProgram } from './kubectl.ts';

const TIMEOUT_MS = 120_000;

/** What it prints. `helm template` needs no cluster. @throws Error with what it says on stderr */
export async function helm(
  args: readonly string[],
  { kubeconfig, input }: { readonly kubeconfig?: string; readonly input?: string } = {},
): Promise<string> {
  const home = mkdtempSync(join(tmpdir(), 'helm-'));
  try {
    const env = { HELM_CACHE_HOME: join(home, 'cache'), HELM_CONFIG_HOME: join(home, 'config'), HELM_DATA_HOME: join(home, 'data') };
    const all = kubeconfig === undefined ? args : ['--kubeconfig', kubeconfig, ...args];
    return await runProgram(binary('helm'), all, { input, timeoutMs: TIMEOUT_MS, env });
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
