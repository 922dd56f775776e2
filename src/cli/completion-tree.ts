// What can be typed after `mcp-gateway`, read out of the commander program itself, in the form that completion scripts are made of.

import type { Argument, Command, Option } from 'commander';

/** Longer ones would fill a screen with one candidate. */
const MAX_SUMMARY = 80;

/** What may stand in a place: a few words, a file, a folder, or something that nobody can know. */
export type Value = { readonly kind: 'words'; readonly words: readonly string[] } | { readonly kind: 'file' | 'folder' | 'unknown' };

export interface CompletedOption {
  /** `--home`, `-f`: the ways to write it. */
  readonly names: readonly string[];
  readonly summary: string;
  /** Undefined: it takes none. */
  readonly value: Value | undefined;
}

/** One command with its place in the tree: `path` is empty for the program, `['backends', 'list']` for a command of a command. */
export interface CompletedCommand {
  readonly path: readonly string[];
  readonly commands: readonly { readonly name: string; readonly summary: string }[];
  readonly options: readonly CompletedOption[];
  /** Of its arguments, in their order. */
  readonly values: readonly Value[];
}

/** All commands that `--help` shows, the program first. */
export function completionTree(program: Command): readonly CompletedCommand[] {
  const help = program.createHelp();
  const walk = (command: Command, path: readonly string[]): CompletedCommand[] => {
    const inner = help.visibleCommands(command);
    return [
      {
        path,
        commands: inner.map((each) => ({ name: each.name(), summary: summaryOf(each.description()) })),
        options: help.visibleOptions(command).map(optionOf),
        values: command.registeredArguments.map(valueOfArgument),
      },
      ...inner.flatMap((each) => walk(each, [...path, each.name()])),
    ];
  };
  return walk(program, []);
}

function optionOf({ short, long, flags, description, argChoices, required, optional }: Option): CompletedOption {
  const names = [short, long].filter((name) => name !== undefined);
  const value = required || optional ? placeFor(/[<[]([^>\]]+)[>\]]/.exec(flags)?.[1] ?? '', argChoices) : undefined;
  return { names, summary: summaryOf(description), value };
}

function valueOfArgument(argument: Argument): Value {
  return placeFor(argument.name(), argument.argChoices);
}

function placeFor(placeholder: string, choices: readonly string[] | undefined): Value {
  if (choices !== undefined) return { kind: 'words', words: choices };
  return { kind: placeholder === 'FILE' ? 'file' : placeholder === 'DIR' ? 'folder' : 'unknown' };
}

/** The first sentence, or its beginning. */
function summaryOf(text: string): string {
  const sentence = /^.*?(?=\.( |$)| \()/.exec(text)?.[0] ?? text;
  return sentence.length > MAX_SUMMARY ? `${sentence.slice(0, MAX_SUMMARY - 1).trimEnd()}…` : sentence;
}
