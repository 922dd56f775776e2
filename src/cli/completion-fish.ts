// The completion script for fish: one line for each candidate, with the place at which it is offered.

import type { CompletedCommand, CompletedOption, Value } from './completion-tree.ts';

/** To be sourced, or to lie in `~/.config/fish/completions`. */
export function fishScript(name: string, tree: readonly CompletedCommand[]): string {
  const at = `__${name.replaceAll('-', '_')}_at`;
  const lines = tree.flatMap((command) => linesOf(command, at)).map((line) => `complete -c ${name} ${line}`);
  return `# fish completion for ${name}: source it, or write it to ~/.config/fish/completions/${name}.fish

# Whether this command is being typed, and, where a number is given, so many of its arguments are there.
function ${at} -a wanted count
  set -l at ''
  set -l given 0
  set -l skip 0
  for word in (commandline -opc)[2..-1]
    if test $skip = 1
      set skip 0
      continue
    end
    switch "$at|$word"
      case ${quoted(tree.flatMap(({ path, commands }) => commands.map((each) => key(path, each.name))))}
        set at (string trim -- "$at $word")
      case ${quoted(tree.flatMap(({ path, options }) => options.flatMap(({ names, value }) => (value ? names.map((each) => key(path, each)) : []))))}
        set skip 1
      case '*|-*'
      case '*'
        set given (math $given + 1)
    end
  end
  test "$at" = "$wanted"; and test -z "$count" -o "$count" = "$given"
end

complete -c ${name} -f
${lines.join('\n')}
`;
}

function linesOf({ path, commands, options, values }: CompletedCommand, at: string): string[] {
  const where = (count?: number): string => `-n ${quote([at, quote(path.join(' ')), ...(count === undefined ? [] : [count])].join(' '))}`;
  return [
    ...commands.map((each) => `${where(0)} -a ${each.name} -d ${quote(each.summary)}`),
    ...(commands.length > 0 ? [] : values.flatMap((value, count) => (value.kind === 'unknown' ? [] : [`${where(count)} ${taken(value)}`]))),
    ...options.map((option) => `${where()} ${optionOf(option)}`),
  ];
}

function optionOf({ names, summary, value }: CompletedOption): string {
  const written = names.map((each) => (each.startsWith('--') ? `-l ${each.slice(2)}` : `-s ${each.slice(1)}`));
  return [...written, ...(value === undefined ? [] : [`-r ${taken(value)}`]), `-d ${quote(summary)}`].join(' ');
}

function taken(value: Value): string {
  switch (value.kind) {
    case 'words':
      return `-f -a ${quote(value.words.join(' '))}`;
    case 'file':
      return '-F';
    case 'folder':
      return "-f -a '(__fish_complete_directories)'";
    case 'unknown':
      return '-f';
  }
}

function key(path: readonly string[], typed: string): string {
  return `${path.join(' ')}|${typed}`;
}

function quoted(texts: readonly string[]): string {
  return texts.map(quote).join(' ');
}

function quote(text: string): string {
  return `'${text.replaceAll(/['\\]/g, '\\$&')}'`;
}
