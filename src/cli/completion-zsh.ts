// The completion script for zsh: one function for each command, in the words of `_arguments`.

import type { CompletedCommand, CompletedOption, Value } from './completion-tree.ts';

/** To be sourced after `compinit`, or to lie in a folder of `fpath` under the name `_NAME`. */
export function zshScript(name: string, tree: readonly CompletedCommand[]): string {
  const main = functionName(name, []);
  return `#compdef ${name}
# zsh completion for ${name}: source it after compinit, or write it to a folder of $fpath as _${name}

${tree.map((command) => functionOf(name, command)).join('\n\n')}

if [ "$funcstack[1]" = '_${name}' ]; then
  ${main} "$@"
else
  compdef ${main} ${name}
fi
`;
}

function functionOf(name: string, { path, commands, options, values }: CompletedCommand): string {
  const begin = `${functionName(name, path)}() {`;
  const specs = options.flatMap(optionSpecs);
  if (commands.length === 0) {
    const places = values.flatMap((value, index) => (value.kind === 'unknown' ? [] : [quote(`${index + 1}:value:${action(value)}`)]));
    return `${begin}\n  _arguments${continued([...specs, ...places])}\n}`;
  }
  return `${begin}
  local curcontext="$curcontext" state line
  typeset -A opt_args
  _arguments -C${continued([...specs, quote('1: :->command'), quote('*:: :->rest')])}
  case "$state" in
    command)
      local -a commands=(
${commands.map((each) => `        ${quote(`${each.name}:${each.summary}`)}`).join('\n')}
      )
      _describe -t commands command commands
      ;;
    rest)
      case "$words[1]" in
${commands.map((each) => `        ${each.name}) ${functionName(name, [...path, each.name])} ;;`).join('\n')}
      esac
      ;;
  esac
}`;
}

/** Each way to write an option excludes the others. */
function optionSpecs({ names, summary, value }: CompletedOption): string[] {
  return names.map((each) => {
    const others = names.filter((other) => other !== each);
    const before = others.length > 0 ? `(${others.join(' ')})` : '';
    const after = value === undefined ? '' : `:value:${action(value)}`;
    const sign = value !== undefined && each.startsWith('--') ? '=' : '';
    return quote(`${before}${each}${sign}[${summary.replaceAll(/[[\]\\]/g, '\\$&')}]${after}`);
  });
}

function action(value: Value): string {
  switch (value.kind) {
    case 'words':
      return `(${value.words.join(' ')})`;
    case 'file':
      return '_files';
    case 'folder':
      return '_files -/';
    case 'unknown':
      return ' ';
  }
}

function continued(specs: readonly string[]): string {
  return specs.map((spec) => ` \\\n    ${spec}`).join('');
}

function functionName(name: string, path: readonly string[]): string {
  return `_${[name, ...path].join('_').replaceAll('-', '_')}`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
