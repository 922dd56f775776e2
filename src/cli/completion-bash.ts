// The completion script for bash, from 3.2 on, without the package bash-completion.

import type { CompletedCommand, Value } from './completion-tree.ts';

/** Patterns of `case`, and what is done for them. */
type Case = readonly [pattern: string, action: string];

/** To be sourced. Patterns are `command of command|what is typed`, with nothing before the bar for the program itself. */
export function bashScript(name: string, tree: readonly CompletedCommand[]): string {
  const script = `_${name.replaceAll('-', '_')}`;
  const options = tree.flatMap(({ path, options: all }) =>
    all.flatMap(({ names, value }) => (value === undefined ? [] : names.map((each): Case => [key(path, each), reply(value)]))),
  );
  return `# bash completion for ${name}: source it, or write it to ~/.local/share/bash-completion/completions/${name}

${script}() {
  local word='' at='' index=1 given=0 kind='' reply=''
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}"
  COMPREPLY=()
  # Bash cuts --option=value at the sign.
  if [ "$current" = '=' ]; then
    current=''
  elif [ "$previous" = '=' ]; then
    previous="\${COMP_WORDS[COMP_CWORD-2]}"
  fi

  while [ "$index" -lt "$COMP_CWORD" ]; do
    word="\${COMP_WORDS[index]}"
    index=$((index + 1))
    case "$at|$word" in
      ${anyOf(tree.flatMap(({ path, commands }) => commands.map((each) => key(path, each.name))))})
        at="\${at:+$at }$word" ;;
      ${anyOf(options.map(([pattern]) => pattern))})
        [ "\${COMP_WORDS[index]}" = '=' ] && index=$((index + 1))
        index=$((index + 1)) ;;
      *'|-'*) ;;
      *) given=$((given + 1)) ;;
    esac
  done

  case "$at|$previous" in
${block(options)}
  esac
  if [ -z "$kind" ]; then
    case "$current" in
      -*)
        kind=words
        case "$at" in
${block(tree.map(({ path, options: all }) => [quote(path.join(' ')), `reply=${quote(all.flatMap(({ names }) => names).join(' '))}`]))}
        esac
        ;;
      *)
        case "$at|$given" in
${block(tree.flatMap(argumentCases))}
        esac
        ;;
    esac
  fi

  case "$kind" in
    words) while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -W "$reply" -- "$current") ;;
    file) compopt -o filenames 2>/dev/null; while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$current") ;;
    folder) compopt -o filenames 2>/dev/null; while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -d -- "$current") ;;
  esac
}

complete -F ${script} ${name}
`;
}

function argumentCases({ path, commands, values }: CompletedCommand): Case[] {
  if (commands.length === 0) return values.map((value, index) => [key(path, String(index)), reply(value)]);
  return [[key(path, '0'), reply({ kind: 'words', words: commands.map((each) => each.name) })]];
}

/** Patterns with the same action share one line. */
function block(cases: readonly Case[]): string {
  const actions = [...new Set(cases.map(([, action]) => action))];
  const patternsOf = (action: string) => cases.filter(([, other]) => other === action).map(([pattern]) => pattern);
  return actions.map((action) => `          ${anyOf(patternsOf(action))}) ${action} ;;`).join('\n');
}

function anyOf(patterns: readonly string[]): string {
  return patterns.join(' | ');
}

function reply(value: Value): string {
  return value.kind === 'words' ? `kind=words reply=${quote(value.words.join(' '))}` : `kind=${value.kind}`;
}

function key(path: readonly string[], typed: string): string {
  return quote(`${path.join(' ')}|${typed}`);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
