import type { CompletedCommand, CompletedOption } from './model.js';

/** A script that completes commands, options and their words in fish. */
export function fishScript(commands: readonly CompletedCommand[]): string {
  const lines = commands.flatMap((command) => [
    ...command.words.map(
      ({ name, description }) =>
        `complete -c walstack -n ${condition(command)} -f -a ${fishQuoted(name)}${described(description)}`,
    ),
    ...command.options.map((option) => optionLine(command, option)),
  ]);
  return `# Completes walstack in fish: walstack completion fish | source
function __walstack_path
    set -l path
    for word in (commandline -opc)[2..]
        if contains -- (string join -- ' ' $path $word) ${commands.flatMap(({ path }) => (path === '' ? [] : [fishQuoted(path)])).join(' ')}
            set path $path $word
        else
            break
        end
    end
    string join -- ' ' $path
end
${lines.join('\n')}
`;
}

/** Whether the words before the cursor are those of a command. */
const condition = ({ path }: CompletedCommand): string => fishQuoted(`test "$(__walstack_path)" = "${path}"`);

function optionLine(command: CompletedCommand, { flags, description, value }: CompletedOption): string {
  const names = flags.map((flag) => (flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`)).join(' ');
  const takes =
    value === 'none'
      ? ''
      : value === 'file'
        ? ' -r -F'
        : typeof value === 'string'
          ? ' -x'
          : ` -x -a ${fishQuoted(value.join(' '))}`;
  return `complete -c walstack -n ${condition(command)} ${names}${takes}${described(description)}`;
}

const described = (description: string): string => (description === '' ? '' : ` -d ${fishQuoted(description)}`);

/** A text in single quotes, as fish reads it. */
const fishQuoted = (text: string): string => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
