// The environment of a server process: a short list of what may be inherited, then what its declaration says.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { EnvVariable } from '../../config/backend-spec.ts';

/** A variable map as `process.env` is one. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** Larger files under `<home>/secrets` are not secrets. */
const MAX_SECRET_BYTES = 65_536;

/**
 * Everything else stays with the gateway: its own settings and secrets, and variables such as NODE_OPTIONS or LD_PRELOAD that
 * change which code runs.
 */
const INHERITED = new Set([
  ...['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LANGUAGE', 'TZ', 'TMPDIR', 'TMP', 'TEMP', 'TERM', 'DISPLAY'],
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY', 'ALL_PROXY', 'http_proxy', 'https_proxy', 'no_proxy', 'all_proxy'],
  ...['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE', 'SSL_CERT_DIR', 'REQUESTS_CA_BUNDLE', 'CURL_CA_BUNDLE'],
  ...['XDG_CACHE_HOME', 'XDG_CONFIG_HOME', 'XDG_DATA_HOME', 'XDG_RUNTIME_DIR'],
]);
const INHERITED_PREFIXES = ['LC_'];
/** Installers also need to know where packages come from. */
const INSTALLER_PREFIXES = ['npm_config_', 'NPM_CONFIG_', 'PIP_'];

/** The variables of the gateway's own environment that a server process may have. */
export function inheritedEnvironment(environment: Environment): Record<string, string> {
  return pick(environment, INHERITED_PREFIXES);
}

/** The variables of the gateway's own environment that npm and pip may have. */
export function installerEnvironment(environment: Environment): Record<string, string> {
  return pick(environment, [...INHERITED_PREFIXES, ...INSTALLER_PREFIXES]);
}

function pick(environment: Environment, prefixes: readonly string[]): Record<string, string> {
  const picked: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && (INHERITED.has(name) || prefixes.some((prefix) => name.startsWith(prefix)))) {
      picked[name] = value;
    }
  }
  return picked;
}

/** Replaces each `$(PORT)`. */
export function withPort(text: string, port: number): string {
  return text.replaceAll('$(PORT)', String(port));
}

/**
 * The complete environment of one process start. Throws when a secret cannot be read: the message names the file, never its contents.
 * A secret's one trailing line break belongs to the editor, not to the secret.
 */
export async function processEnvironment(options: {
  home: string;
  environment: Environment;
  variables: readonly EnvVariable[];
  port: number;
}): Promise<Record<string, string>> {
  const result = inheritedEnvironment(options.environment);
  for (const { name, value, valueFrom } of options.variables) {
    if (valueFrom === undefined) {
      result[name] = withPort(value ?? '', options.port);
      continue;
    }
    const { name: secret, key } = valueFrom.secretKeyRef;
    result[name] = await readSecret(join(options.home, 'secrets', secret, key), name);
  }
  result['PORT'] = String(options.port);
  return result;
}

async function readSecret(file: string, variable: string): Promise<string> {
  let contents: Buffer;
  try {
    contents = await readFile(file);
  } catch (error) {
    throw new Error(`the secret for ${variable} cannot be read: ${file} (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
  const text = contents.toString('utf8').replace(/\r?\n$/, '');
  if (contents.length > MAX_SECRET_BYTES || text.includes('\0')) {
    throw new Error(`the secret for ${variable} is not usable as a variable: ${file}`);
  }
  return text;
}
