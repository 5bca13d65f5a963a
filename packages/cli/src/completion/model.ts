import type { Command, Option } from 'commander';

/** An option of a command, as a shell completes it. */
export interface CompletedOption {
  /** `--from`, and the short form where there is one. */
  readonly flags: readonly string[];
  readonly description: string;
  /** What follows it: nothing, one of some words, the name of a file, or something else that no shell can know. */
  readonly value: 'none' | 'file' | 'other' | readonly string[];
}

/** A command, as a shell completes it. */
export interface CompletedCommand {
  /** Its words, such as `hold set`; empty for the program. */
  readonly path: string;
  readonly name: string;
  readonly description: string;
  readonly options: readonly CompletedOption[];
  /** Its own commands, or the words that its argument may be. */
  readonly words: readonly { readonly name: string; readonly description: string }[];
}

/** The commands of a program, itself first. */
export function completedCommands(program: Command): CompletedCommand[] {
  return commandsBelow(program, '');
}

function commandsBelow(command: Command, path: string): CompletedCommand[] {
  const { commands } = command;
  const choices = command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices);
  const own: CompletedCommand = {
    path,
    name: command.name(),
    description: summaryOf(command),
    options: [...command.options.map(completedOption), HELP],
    words: [
      ...commands.map((each) => ({ name: each.name(), description: summaryOf(each) })),
      ...choices.map((name) => ({ name, description: '' })),
    ],
  };
  return [own, ...commands.flatMap((each) => commandsBelow(each, `${path} ${each.name()}`.trim()))];
}

const HELP: CompletedOption = { flags: ['--help', '-h'], description: 'shows the help', value: 'none' };

const summaryOf = (command: Command): string => command.summary() || command.description();

function completedOption({ long, short, description, argChoices, required, optional, flags }: Option): CompletedOption {
  const names = [long, short].filter((flag): flag is string => flag !== undefined && flag !== null);
  if (!required && !optional) return { flags: names, description, value: 'none' };
  const value = argChoices ?? (/<(file|directory)>/.test(flags) ? 'file' : 'other');
  return { flags: names, description, value };
}

/** A text in single quotes, as bash and zsh read it. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;
