import { Argument, type Command } from 'commander';
import { bashScript } from '../completion/bash.js';
import { fishScript } from '../completion/fish.js';
import { type CompletedCommand, completedCommands } from '../completion/model.js';
import { zshScript } from '../completion/zsh.js';
import type { Context } from '../context.js';

const SHELLS: Readonly<Record<string, (commands: readonly CompletedCommand[]) => string>> = {
  bash: bashScript,
  zsh: zshScript,
  fish: fishScript,
};

/** Adds `walstack completion`. */
export function completionCommand(program: Command, { out }: Context): void {
  program
    .command('completion')
    .summary('a script by which a shell completes commands and options')
    .description(
      'Prints a script by which a shell completes the commands, their options, and the words that these take.',
    )
    .addArgument(new Argument('<shell>', 'the shell').choices(Object.keys(SHELLS)))
    .addHelpText('after', EXAMPLES)
    .action((shell: string) => out.write((SHELLS[shell] as (typeof SHELLS)['bash'])(completedCommands(program))));
}

const EXAMPLES = `
Examples:
  source <(walstack completion bash)
  walstack completion zsh > ~/.zfunc/_walstack
  walstack completion fish > ~/.config/fish/completions/walstack.fish`;
