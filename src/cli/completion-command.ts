// `mcp-gateway completion`: the script with which a shell completes the commands and options of this program.

import { Argument, type Command } from 'commander';
import type { CliContext } from './program.ts';

const SHELLS = ['bash', 'zsh', 'fish'] as const;
type Shell = (typeof SHELLS)[number];

const examples = `
Examples:
  $ source <(mcp-gateway completion bash)
  $ mcp-gateway completion bash > ~/.local/share/bash-completion/completions/mcp-gateway
  $ mcp-gateway completion zsh > "\${fpath[1]}/_mcp-gateway"
  $ mcp-gateway completion fish > ~/.config/fish/completions/mcp-gateway.fish
`;

/** Adds the command. Whatever else the program has by the time it runs is completed. */
export function addCompletionCommand(program: Command, { stdout }: CliContext): void {
  program
    .command('completion')
    .description('print the completion script of a shell')
    .addArgument(new Argument('<SHELL>', 'which shell').choices(SHELLS))
    .addHelpText('after', examples)
    .action(async (shell: Shell) => {
      const { completionTree } = await import('./completion-tree.ts');
      stdout.write((await writerFor(shell))(program.name(), completionTree(program)));
    });
}

async function writerFor(shell: Shell) {
  switch (shell) {
    case 'bash':
      return (await import('./completion-bash.ts')).bashScript;
    case 'zsh':
      return (await import('./completion-zsh.ts')).zshScript;
    case 'fish':
      return (await import('./completion-fish.ts')).fishScript;
  }
}
