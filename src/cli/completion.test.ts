// What completion scripts are made of, and the scripts of shells that need not be on this machine, for a small program.

import { Argument, Command, Option } from 'commander';
import { expect, test } from 'vitest';
import { fishScript } from './completion-fish.ts';
import { completionTree } from './completion-tree.ts';
import { zshScript } from './completion-zsh.ts';

const program = new Command('my-tool').helpCommand(false).helpOption('--help', 'print this help');
program.command('secret', { hidden: true }).option('--never <X>', 'shown to nobody');
const group = program.command('group').description("what's [new]: all of it").helpCommand(false);
group
  .command('do')
  .description('do something')
  .addArgument(new Argument('<HOW>', 'how').choices(['well', 'badly']))
  .argument('[WHAT...]', 'what')
  .option('-c, --config <FILE>', 'a file (of settings). Default: none')
  .option('--home <DIR>', 'a folder')
  .option('--number <N>', 'how many')
  .addOption(new Option('--colour <WHEN>', 'when').choices(['always', 'never']))
  .addOption(new Option('--hidden', 'shown to nobody').hideHelp());
const tree = completionTree(program);

test('commands, options and what stands after them are read out of the program, without what is hidden', () => {
  expect(tree.map(({ path }) => path)).toEqual([[], ['group'], ['group', 'do']]);
  expect(tree[0]?.commands).toEqual([{ name: 'group', summary: "what's [new]: all of it" }]);
  expect(tree[2]).toEqual({
    path: ['group', 'do'],
    commands: [],
    options: [
      { names: ['-c', '--config'], summary: 'a file', value: { kind: 'file' } },
      { names: ['--home'], summary: 'a folder', value: { kind: 'folder' } },
      { names: ['--number'], summary: 'how many', value: { kind: 'unknown' } },
      { names: ['--colour'], summary: 'when', value: { kind: 'words', words: ['always', 'never'] } },
      { names: ['--help'], summary: 'print this help', value: undefined },
    ],
    values: [{ kind: 'words', words: ['well', 'badly'] }, { kind: 'unknown' }],
  });
});

test('the script for zsh', () => {
  expect(zshScript('my-tool', tree)).toMatchInlineSnapshot(`
    "#compdef my-tool
    # zsh completion for my-tool: source it after compinit, or write it to a folder of $fpath as _my-tool

    _my_tool() {
      local curcontext="$curcontext" state line
      typeset -A opt_args
      _arguments -C \\
        '--help[print this help]' \\
        '1: :->command' \\
        '*:: :->rest'
      case "$state" in
        command)
          local -a commands=(
            'group:what'\\''s [new]: all of it'
          )
          _describe -t commands command commands
          ;;
        rest)
          case "$words[1]" in
            group) _my_tool_group ;;
          esac
          ;;
      esac
    }

    _my_tool_group() {
      local curcontext="$curcontext" state line
      typeset -A opt_args
      _arguments -C \\
        '--help[print this help]' \\
        '1: :->command' \\
        '*:: :->rest'
      case "$state" in
        command)
          local -a commands=(
            'do:do something'
          )
          _describe -t commands command commands
          ;;
        rest)
          case "$words[1]" in
            do) _my_tool_group_do ;;
          esac
          ;;
      esac
    }

    _my_tool_group_do() {
      _arguments \\
        '(--config)-c[a file]:value:_files' \\
        '(-c)--config=[a file]:value:_files' \\
        '--home=[a folder]:value:_files -/' \\
        '--number=[how many]:value: ' \\
        '--colour=[when]:value:(always never)' \\
        '--help[print this help]' \\
        '1:value:(well badly)'
    }

    if [ "$funcstack[1]" = '_my-tool' ]; then
      _my_tool "$@"
    else
      compdef _my_tool my-tool
    fi
    "
  `);
});

test('the script for fish', () => {
  expect(fishScript('my-tool', tree)).toMatchInlineSnapshot(`
    "# fish completion for my-tool: source it, or write it to ~/.config/fish/completions/my-tool.fish

    # Whether this command is being typed, and, where a number is given, so many of its arguments are there.
    function __my_tool_at -a wanted count
      set -l at ''
      set -l given 0
      set -l skip 0
      for word in (commandline -opc)[2..-1]
        if test $skip = 1
          set skip 0
          continue
        end
        switch "$at|$word"
          case '|group' 'group|do'
            set at (string trim -- "$at $word")
          case 'group do|-c' 'group do|--config' 'group do|--home' 'group do|--number' 'group do|--colour'
            set skip 1
          case '*|-*'
          case '*'
            set given (math $given + 1)
        end
      end
      test "$at" = "$wanted"; and test -z "$count" -o "$count" = "$given"
    end

    complete -c my-tool -f
    complete -c my-tool -n '__my_tool_at \\'\\' 0' -a group -d 'what\\'s [new]: all of it'
    complete -c my-tool -n '__my_tool_at \\'\\'' -l help -d 'print this help'
    complete -c my-tool -n '__my_tool_at \\'group\\' 0' -a do -d 'do something'
    complete -c my-tool -n '__my_tool_at \\'group\\'' -l help -d 'print this help'
    complete -c my-tool -n '__my_tool_at \\'group do\\' 0' -f -a 'well badly'
    complete -c my-tool -n '__my_tool_at \\'group do\\'' -s c -l config -r -F -d 'a file'
    complete -c my-tool -n '__my_tool_at \\'group do\\'' -l home -r -f -a '(__fish_complete_directories)' -d 'a folder'
    complete -c my-tool -n '__my_tool_at \\'group do\\'' -l number -r -f -d 'how many'
    complete -c my-tool -n '__my_tool_at \\'group do\\'' -l colour -r -f -a 'always never' -d 'when'
    complete -c my-tool -n '__my_tool_at \\'group do\\'' -l help -d 'print this help'
    "
  `);
});
