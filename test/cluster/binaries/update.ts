// Writes go.mod and go.sum for another version of Kubernetes and etcd: `npx tsx test/cluster/binaries/update.ts v1.37.2`.
//
// k8s.io/kubernetes replaces the modules that it publishes from its own tree by folders of that tree. Replacements are not inherited, so
// whoever builds it as a dependency names the published versions of all of them.

import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const COMMANDS = ['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kubectl', 'kube-proxy'];

interface Requirement {
  readonly Path: string;
  readonly Version: string;
  readonly Indirect?: boolean;
}

interface GoModule {
  readonly Go: string;
  readonly Godebug?: readonly { readonly Key: string; readonly Value: string }[];
  readonly Require: readonly Requirement[];
  readonly Replace: readonly { readonly Old: { readonly Path: string }; readonly New: { readonly Path: string } }[];
}

const [version = ''] = process.argv.slice(2);
if (!/^v1\.\d+\.\d+$/.test(version)) throw new Error('usage: npx tsx test/cluster/binaries/update.ts v1.37.2');
const goIn = (cwd: string, args: readonly string[]): string =>
  execFileSync('go', args, { cwd, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024, env: { ...process.env, GOWORK: 'off' } });

const { GoMod } = JSON.parse(goIn(tmpdir(), ['mod', 'download', '-json', `k8s.io/kubernetes@${version}`])) as { GoMod: string };
const original = JSON.parse(goIn(tmpdir(), ['mod', 'edit', '-json', GoMod])) as GoModule;
const published = version.replace(/^v1\./, 'v0.');
const staging = original.Replace.filter(({ New }) => New.Path.startsWith('./staging/')).map(({ Old }) => Old.Path);
const requirement = ({ Path, Version, Indirect }: Requirement): string =>
  `\t${Path} ${staging.includes(Path) ? published : Version}${Indirect ? ' // indirect' : ''}`;

const lines = [
  `// Written by update.ts ${version}.`,
  'module kubernetes-binaries',
  `go ${original.Go}`,
  ...(original.Godebug ?? []).map(({ Key, Value }) => `godebug ${Key}=${Value}`),
  `require (\n\tk8s.io/kubernetes ${version}\n${original.Require.map(requirement).join('\n')}\n)`,
  `replace (\n${staging.map((path) => `\t${path} => ${path} ${published}`).join('\n')}\n)`,
  `tool (\n\tgo.etcd.io/etcd/server/v3\n${COMMANDS.map((name) => `\tk8s.io/kubernetes/cmd/${name}`).join('\n')}\n)`,
];
const folder = import.meta.dirname;
writeFileSync(join(folder, 'go.mod'), `${lines.join('\n\n')}\n`);
writeFileSync(join(folder, 'go.sum'), '');
// Adds the sums of all that the commands need, and of nothing else.
goIn(folder, ['list', '-mod=mod', '-deps', 'tool']);
process.stdout.write(`Kubernetes ${version}: ${original.Require.length} requirements, ${staging.length} published modules\n`);
