import { type CompletedCommand, type CompletedOption, quoted } from './model.js';

/** A script that completes commands, options and their words in zsh. */
export function zshScript(commands: readonly CompletedCommand[]): string {
  return `#compdef walstack
# Completes walstack in zsh: a file _walstack in a directory of $fpath, or: source <(walstack completion zsh)
_walstack() {
  local found='' at
  for ((at = 2; at < CURRENT; at++)); do
    case "\${found:+$found }\${words[at]}" in
      ${commandPaths(commands)}) found="\${found:+$found }\${words[at]}" ;;
      *) break ;;
    esac
  done
  local -a known
  case "$found" in
${commands.map(commandCase).join('\n')}
  esac
}
if [[ "\${zsh_eval_context[-1]}" == loadautofunc ]]; then _walstack "$@"; else compdef _walstack walstack; fi
`;
}

const commandPaths = (commands: readonly CompletedCommand[]): string =>
  commands
    .filter(({ path }) => path !== '')
    .map(({ path }) => `'${path}'`)
    .join('|');

function commandCase({ path, options, words }: CompletedCommand): string {
  const values = options.filter(({ value }) => value !== 'none').map(valueCase);
  const known = (pairs: readonly (readonly [string, string])[]): string =>
    pairs.map(([name, description]) => quoted(`${name.replaceAll(':', '\\:')}:${description}`)).join(' ');
  const flags = options.flatMap((option) => option.flags.map((flag) => [flag, option.description] as const));
  const ofPath =
    words.length === 0
      ? '_files'
      : `known=(${known(words.map(({ name, description }) => [name, description]))}); _describe word known`;
  return `    '${path}')
      case "\${words[CURRENT-1]}" in
${[...values, `        *) if [[ "\${words[CURRENT]}" == -* ]]; then known=(${known(flags)}); _describe -o option known; else ${ofPath}; fi ;;`].join('\n')}
      esac ;;`;
}

function valueCase({ flags, value }: CompletedOption): string {
  const completes =
    value === 'file'
      ? '_files'
      : typeof value === 'string'
        ? ':'
        : `known=(${value.map(quoted).join(' ')}); _describe value known`;
  return `        ${flags.join('|')}) ${completes} ;;`;
}
