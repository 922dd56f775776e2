// Puts the settings together from flags, environment, gateway.yaml and defaults, and reports everything that is wrong at once.

import { readFileSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseDocument } from 'yaml';
import type { Setting } from './setting.ts';
import { clientVariables, configFileVariable, type SettingName, type Settings, settingsTable } from './settings.ts';
import { formatAddress, isLoopback, type ParseContext } from './settings-parsers.ts';

const MAX_CONFIG_BYTES = 1024 * 1024;

/** All problems, one line each; `message` holds them all. */
export class SettingsError extends Error {
  readonly code = 'SETTINGS';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(
      problems.length === 1
        ? problems[0]
        : `${problems.length} settings are wrong:\n${problems.map((problem) => `  ${problem}`).join('\n')}`,
    );
    this.problems = problems;
  }
}

/** Where settings come from, strongest first. */
export interface SettingsSources {
  /** Values of command line options, by setting. */
  readonly flags: Readonly<Partial<Record<SettingName, string>>>;
  /** The path given with `--config`; else the environment names the file, or there is none. */
  readonly configFile: string | undefined;
  readonly env: NodeJS.ProcessEnv;
  readonly workingDir: string;
}

/** The settings, and lines for the log about what looks like a mistake but is none for sure. */
export interface LoadedSettings {
  readonly settings: Settings;
  readonly warnings: readonly string[];
}

/**
 * Reads gateway.yaml, if one is named, and settles every row of the table.
 *
 * @throws SettingsError with all problems
 */
export function loadSettings({ flags, configFile, env, workingDir }: SettingsSources): LoadedSettings {
  const problems: string[] = [];
  const homeDir = env['HOME'] ?? homedir();
  const named = configFile ?? (env[configFileVariable] || undefined);
  const file = named === undefined ? undefined : resolve(workingDir, named);
  const fileValues = file === undefined ? {} : readConfigFile(file, problems);
  const here: ParseContext = { baseDir: workingDir, homeDir };
  const beside: ParseContext = { baseDir: file === undefined ? workingDir : dirname(file), homeDir };
  const settled: Partial<Record<SettingName, unknown>> = {};

  for (const [name, row] of rows()) {
    const flag = flags[name];
    // An empty variable means "not set", as it does for most programs.
    const variable = env[row.env] || undefined;
    const fromFile = fileValues[name];
    try {
      if (flag !== undefined) settled[name] = from(row.flag ?? name, () => row.parse(flag, here));
      else if (variable !== undefined) settled[name] = from(row.env, () => row.parse(variable, here));
      else if (fromFile !== undefined) settled[name] = from(`${named}: ${name}`, () => row.parse(fromFile, beside));
      else settled[name] = row.fallback === undefined ? undefined : row.parse(expand(row.fallback, settled, env), here);
    } catch (error) {
      problems.push((error as Error).message);
    }
  }
  checkTogether(settled as Partial<Settings>, problems);
  if (problems.length > 0) throw new SettingsError(problems);
  return { settings: Object.freeze(settled) as Settings, warnings: unknownVariables(env) };
}

function rows(): [SettingName, Setting<unknown>][] {
  return Object.entries(settingsTable) as [SettingName, Setting<unknown>][];
}

/** Says in the error which flag, variable or key had the wrong value. */
function from<Value>(source: string, parse: () => Value): Value {
  try {
    return parse();
  } catch (error) {
    throw new Error(`${source} ${(error as Error).message}`, { cause: error });
  }
}

/** Defaults may lie in a folder that is itself a setting or an XDG folder. */
function expand(fallback: string, settled: Partial<Record<SettingName, unknown>>, env: NodeJS.ProcessEnv): string {
  const home = typeof settled.home === 'string' ? settled.home : '~';
  return fallback.replace(/^<home>/, () => home).replace(/^<cache>/, () => env['XDG_CACHE_HOME'] || join('~', '.cache'));
}

function readConfigFile(file: string, problems: string[]): Record<string, unknown> {
  try {
    if (statSync(file).size > MAX_CONFIG_BYTES) throw new Error(`is larger than ${MAX_CONFIG_BYTES} bytes`);
    const document = parseDocument(readFileSync(file, 'utf8'));
    const [mistake] = document.errors;
    if (mistake !== undefined) throw new Error(mistake.message.split('\n')[0]);
    const value: unknown = document.toJS() ?? {};
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('must be a map of settings');
    for (const key of Object.keys(value)) {
      if (!Object.hasOwn(settingsTable, key)) problems.push(`${file}: ${key} is not a setting`);
    }
    return value as Record<string, unknown>;
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    problems.push(`${file}: ${code === 'ENOENT' ? 'there is no such file' : message}`);
    return {};
  }
}

const EDGE = ['edgePolicyListen', 'edgeRecoveryListen', 'edgeCertFile', 'edgeKeyFile', 'edgeCaFile', 'edgeSecretFile'] as const;

/** An Envoy that is not ours is served with mutual TLS and a proof, or not at all. */
function checkEdge(settings: Partial<Settings>, problems: string[]): void {
  const missing = EDGE.filter((name) => settings[name] === undefined);
  if (missing.length === EDGE.length) return;
  if (missing.length > 0) problems.push(`the settings ${EDGE.join(', ')} belong together: ${missing.join(', ')} missing`);
  if (settings.workers !== 1)
    problems.push('edgePolicyListen needs workers: 1, because processes cannot share its port: run more replicas');
}

/** Without tokens, whoever reaches the listener may run every tool: so nobody else may reach it. */
function checkTogether(settings: Partial<Settings>, problems: string[]): void {
  const { listen, admin, issuers = [], tlsCertFile, tlsKeyFile, edgePolicyListen } = settings;
  checkEdge(settings, problems);
  if (edgePolicyListen !== undefined && !isLoopback(edgePolicyListen) && issuers.length === 0) {
    problems.push(
      `edgePolicyListen ${formatAddress(edgePolicyListen)} would serve other machines without asking for a token: name \`issuers\` of tokens, or use a loopback address`,
    );
  }
  if ((tlsCertFile === undefined) !== (tlsKeyFile === undefined)) {
    problems.push(`tlsCertFile and tlsKeyFile belong together: ${tlsCertFile === undefined ? 'tlsCertFile' : 'tlsKeyFile'} is missing`);
  }
  if (listen !== undefined && !isLoopback(listen) && issuers.length === 0) {
    problems.push(
      `listen ${formatAddress(listen)} would be open to other machines without asking for a token: use a loopback address such as 127.0.0.1:${listen.port}, or name \`issuers\` of tokens`,
    );
  }
  if (admin !== undefined && !isLoopback(admin)) {
    problems.push(`admin ${formatAddress(admin)} would be open to other machines: use a loopback address such as 127.0.0.1:${admin.port}`);
  }
  if (listen !== undefined && admin !== undefined && listen.port !== 0 && formatAddress(listen) === formatAddress(admin)) {
    problems.push(`listen and admin are both ${formatAddress(listen)}: give each a port of its own`);
  }
}

/** A typing mistake in a variable's name would otherwise be silent; but other programs may own the prefix too, so it is no error. */
function unknownVariables(env: NodeJS.ProcessEnv): string[] {
  const known = new Set([configFileVariable, ...clientVariables, ...rows().map(([, row]) => row.env)]);
  const unknown = Object.keys(env).filter((name) => name.startsWith('MCP_GATEWAY_') && !known.has(name));
  return unknown.map((name) => `${name} is not a setting of this version`);
}
