// `npm start`: takes a fresh clone to a running gateway. Plain JavaScript without dependencies, because nothing is installed yet.

import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isBuildStale, modified } from './stale.mjs';

const oldestNode = { major: 20, minor: 19 };
const root = dirname(dirname(fileURLToPath(import.meta.url)));

requireNode();
requirePlatform();
if (isInstallStale()) installDependencies();
if (isBuildStale(root)) build();
run([join(root, 'dist/main.js'), 'up', '--resources', join(root, 'examples/local'), ...process.argv.slice(2)]);

function requireNode() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major > oldestNode.major || (major === oldestNode.major && minor >= oldestNode.minor)) return;
  stop(
    `Node ${oldestNode.major}.${oldestNode.minor} or newer is needed, and this is ${process.versions.node}: install it, then run npm start again`,
  );
}

function requirePlatform() {
  if (process.platform === 'win32') stop('Windows is supported through WSL: install it (wsl --install) and run npm start in its shell');
}

/** npm writes that hidden file last, so a broken-off installation counts as none. */
function isInstallStale() {
  return modified(join(root, 'node_modules/.package-lock.json')) < modified(join(root, 'package-lock.json'));
}

function installDependencies() {
  say('installing the dependencies (npm ci)');
  // The npm that runs this script, not another one that PATH may hold.
  const npm = process.env.npm_execpath;
  // Without warnings: some test tools ask for a newer Node than the gateway does.
  const ci = ['ci', '--loglevel=error'];
  const [command, args] = npm?.endsWith('.js') && existsSync(npm) ? [process.execPath, [npm, ...ci]] : ['npm', ci];
  step(command, args, 'npm ci failed (its own words are above): check the network and npm’s registry settings, then run npm start again');
}

function build() {
  say('building');
  step(
    process.execPath,
    [join(root, 'scripts/build.mjs')],
    'the build failed (the compiler’s words are above): if you changed nothing, run npm ci, then npm start again',
  );
}

function step(command, args, failure) {
  const { status, signal, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (signal !== null) process.exit(128 + constants.signals[signal]);
  if (error !== undefined || status !== 0) stop(error === undefined ? failure : `${failure} (${error.message})`);
}

/** Becomes a shell of the gateway: passes on what it is told, and ends as it ends. */
function run(args) {
  const gateway = spawn(process.execPath, args, { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => gateway.kill(signal));
  if (process.env.npm_lifecycle_event !== undefined) whenOrphaned(() => gateway.kill('SIGTERM'));
  gateway.on('error', (error) => stop(`the gateway could not be started: ${error.message}`));
  gateway.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

/** A SIGTERM to npm ends the shell between npm and this process, which passes nothing on: only the new parent tells. */
function whenOrphaned(act) {
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    act();
  }, 200);
}

function say(line) {
  process.stdout.write(`${line}\n`);
}

function stop(line) {
  process.stderr.write(`npm start: ${line}\n`);
  process.exit(1);
}
