// A client that openapi-typescript-codegen generates from a document, type-checked and loaded; and a look at all that it sends and gets.

import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { toolBin } from '../setup/tools.ts';
import type { OpenApiDocument, SeenAnswer } from './openapi-answers.ts';

const run = promisify(execFile);
const TSC = resolve(import.meta.dirname, '../../node_modules/typescript/bin/tsc');

/** Calls an operation by its id. @throws an error with `status` when it is refused. */
export type Call = <Answer = unknown>(operationId: string, options?: Readonly<Record<string, unknown>>) => Promise<Answer>;

type Service = Readonly<Record<string, (options: object) => Promise<never>>>;
type GatewayClient = new (options: { readonly BASE: string; readonly TOKEN: string }) => Readonly<Record<string, Service>>;

/** Generates into a folder that the caller removes. @throws with the words of the generator or of TypeScript. */
export async function generateClient(document: OpenApiDocument, folder: string): Promise<(base: string, token: string) => Call> {
  const input = join(folder, 'openapi.json');
  const output = join(folder, 'client');
  writeFileSync(input, JSON.stringify(document));
  const options = ['--client', 'fetch', '--name', 'GatewayClient', '--useOptions'];
  await run(process.execPath, [toolBin('openapi-typescript-codegen'), '--input', input, '--output', output, ...options]);
  const index = join(output, 'index.ts');
  const checks = ['--ignoreConfig', '--noEmit', '--strict', '--target', 'es2022', '--lib', 'es2022,dom,dom.iterable', '--module', 'esnext'];
  await run(process.execPath, [TSC, ...checks, '--moduleResolution', 'bundler', '--types', '', index]).catch(({ stdout }) => {
    throw new Error(`the generated client is not correct TypeScript:\n${stdout}`);
  });
  const { GatewayClient } = (await import(/* @vite-ignore */ pathToFileURL(index).href)) as { readonly GatewayClient: GatewayClient };
  return (base, token) => {
    const services = Object.values(new GatewayClient({ BASE: base, TOKEN: token }));
    return async (operationId, options = {}) => {
      const service = services.find((each) => typeof each[operationId] === 'function');
      if (!service) throw new Error(`the client has no ${operationId}`);
      return service[operationId]?.(options) as never;
    };
  };
}

/** Notes every answer that `fetch` gets from `base`, until `stop`. */
export function watchAnswers(base: string): { readonly seen: SeenAnswer[]; stop(): void } {
  const original = globalThis.fetch;
  const seen: SeenAnswer[] = [];
  globalThis.fetch = async (input, init) => {
    const answer = await original(input, init);
    const { href, pathname, search } = new URL(input instanceof Request ? input.url : String(input));
    if (!href.startsWith(base)) return answer;
    const { status, headers } = answer;
    seen.push({ method: init?.method ?? 'GET', path: `${pathname}${search}`, status, headers, text: await answer.clone().text() });
    return answer;
  };
  return {
    seen,
    stop() {
      globalThis.fetch = original;
    },
  };
}
