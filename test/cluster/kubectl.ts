// kubectl, with the rights of one kubeconfig.

import { execFile } from 'node:child_process';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { binary } from './assets.ts';

const TIMEOUT_MS = 60_000;
const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

export interface KubectlOptions {
  /** For `-f -`: an object or several, or YAML. */
  readonly input?: string | object;
  readonly timeoutMs?: number;
}

export interface Kubectl {
  /** What it prints. @throws Error with what it says on stderr */
  (args: readonly string[], options?: KubectlOptions): Promise<string>;
  /** `kubectl get … -o json`, parsed. */
  get<T = KubectlObject>(args: readonly string[]): Promise<T>;
  /** Server-side apply of what is given; fields that the schema does not know are errors. */
  apply(objects: string | object, args?: readonly string[]): Promise<string>;
}

/** As much of an object as tests read. */
export interface KubectlObject {
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly uid: string; readonly resourceVersion: string };
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
  readonly data?: Readonly<Record<string, string>>;
}

/** @param prefix a command before it, e.g. `nsenter` */
export function createKubectl(kubeconfig: string, prefix: readonly string[] = []): Kubectl {
  const run = (args: readonly string[], { input, timeoutMs = TIMEOUT_MS }: KubectlOptions = {}): Promise<string> => {
    const [command = '', ...all] = [...prefix, binary('kubectl'), '--kubeconfig', kubeconfig, ...args];
    return runProgram(command, all, { input, timeoutMs });
  };
  return Object.assign(run, {
    async get<T>(args: readonly string[]): Promise<T> {
      return JSON.parse(await run(['get', ...args, '-o', 'json'])) as T;
    },
    apply: (objects: string | object, args: readonly string[] = []): Promise<string> =>
      run(['apply', '--server-side', '--validate=strict', '--field-manager=test', ...args, '-f', '-'], { input: objects }),
  });
}

/** Runs kubectl or helm to its end. @throws Error with what it says on stderr */
export function runProgram(
  command: string,
  args: readonly string[],
  {
    input,
    timeoutMs = TIMEOUT_MS,
    env = {},
  }: { readonly input?: string | object | undefined; readonly timeoutMs?: number; readonly env?: NodeJS.ProcessEnv },
): Promise<string> {
  return new Promise((resolve, reject) => {
    // What it keeps of the API (`~/.kube/cache`) is of no use to the next API server on the same port.
    const environment = {
      ...process.env,
      HOME: process.env['HOME'] ?? homedir(),
      KUBECACHEDIR: join(tmpdir(), `kube-cache-${process.pid}`),
      ...env,
    };
    const options = { timeout: timeoutMs, maxBuffer: MAX_OUTPUT_BYTES, env: environment };
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(stderr.trim() || error.message));
    });
    // A program that ends early does not read it.
    child.stdin?.on('error', () => {});
    child.stdin?.end(
      input === undefined ? '' : typeof input === 'string' ? input : JSON.stringify(Array.isArray(input) ? listOf(input) : input),
    );
  });
}

const listOf = (items: readonly unknown[]) => ({ apiVersion: 'v1', kind: 'List', items });
