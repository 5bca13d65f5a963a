import type { CompletedCommand } from './model.js';

/** A script that completes commands, options and their words in bash. */
export function bashScript(commands: readonly CompletedCommand[]): string {
  return `# Completes walstack in bash: source <(walstack completion bash)
_walstack() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" found='' word at
  for ((at = 1; at < COMP_CWORD; at++)); do
    word="\${COMP_WORDS[at]}"
    case "\${found:+$found }$word" in
      ${commandPaths(commands)}) found="\${found:+$found }$word" ;;
      *) break ;;
    esac
  done
  local options='' words='' value=''
  case "$found" in
${commands.map(commandCase).join('\n')}
  esac
  if [[ $value == other ]]; then
    compopt +o default
  elif [[ $value != file ]]; then
    if [[ -n $value ]]; then words="$value"
    elif [[ $current == -* ]]; then words="$options"
    fi
    if [[ -n $words ]]; then COMPREPLY=($(compgen -W "$words" -- "$current")); fi
  fi
}
complete -o default -F _walstack walstack
`;
}

const commandPaths = (commands: readonly CompletedCommand[]): string =>
  commands
    .filter(({ path }) => path !== '')
    .map(({ path }) => `'${path}'`)
    .join('|');

function commandCase({ path, options, words }: CompletedCommand): string {
  const values = options
    .filter(({ value }) => value !== 'none')
    .map(
      ({ flags, value }) =>
        `        ${flags.join('|')}) value='${typeof value === 'string' ? value : value.join(' ')}' ;;`,
    );
  const flags = options.flatMap((option) => option.flags).join(' ');
  const chosen = values.length === 0 ? '' : `\n      case "$previous" in\n${values.join('\n')}\n      esac`;
  return `    '${path}')
      options='${flags}' words='${words.map(({ name }) => name).join(' ')}'${chosen} ;;`;
}
