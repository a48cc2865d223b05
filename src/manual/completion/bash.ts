/** Completion for bash, 3.2 (macOS) and later. */
import type { Manual, Parameter } from '../manual.ts'
import { flagsOf, NAMES_FOLDER, positionalChoices, takesNames, takesValue } from './kit.ts'

/** The script. `general` are the options before and after any command that no manual lists. */
export function bashCompletion(manuals: readonly Manual[], general: readonly Parameter[]): string {
  const commands = manuals.map(({ name }) => name)
  const options = manuals.flatMap((manual) => manual.options).concat(general)
  const choices = new Map(options.filter((one) => one.choices.length > 0).map((one) => [one.name, one]))
  const valued = new Set(options.filter(takesValue).flatMap(flagsOf))
  return `# bash completion of gguf-swarm; in ~/.bashrc: source <(gguf-swarm completion bash)
_gguf_swarm_words() {
  local word
  for word in $1; do
    if [[ $word == "$cur"* ]]; then COMPREPLY+=("$word"); fi
  done
}

_gguf_swarm_names() {
  local file name what
  for file in "\${XDG_CACHE_HOME:-$HOME/.cache}"/${NAMES_FOLDER}/*; do
    [[ -f $file ]] || continue
    while IFS=$'\\t' read -r name what; do
      if [[ $name == "$cur"* ]]; then COMPREPLY+=("$name"); fi
    done <"$file"
  done
}

_gguf_swarm() {
  local cur=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command= i
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case \${COMP_WORDS[i]} in ${commands.join(' | ')}) command=\${COMP_WORDS[i]}; break ;; esac
  done
  case $previous in
${[...choices.values()].map(values).join('\n')}
    ${[...valued].join(' | ')}) return ;;
  esac
  case $command in
    '') _gguf_swarm_words '${commands.join(' ')}' ;;
${manuals.map(positional).join('')}  esac
  if [[ $cur != -* ]]; then return; fi
  case $command in
${manuals.map((manual) => `    ${manual.name}) _gguf_swarm_words '${manual.options.flatMap(flagsOf).join(' ')}' ;;`).join('\n')}
  esac
  _gguf_swarm_words '${general.flatMap(flagsOf).join(' ')}'
}

complete -o bashdefault -o default -F _gguf_swarm gguf-swarm
`
}

const values = (option: Parameter): string =>
  `    ${flagsOf(option).join(' | ')}) _gguf_swarm_words '${option.choices.join(' ')}'; return ;;`

function positional(manual: Manual): string {
  const choices = positionalChoices(manual)
  const words = choices.length > 0 ? `_gguf_swarm_words '${choices.join(' ')}'; ` : ''
  const names = takesNames(manual) ? '_gguf_swarm_names ' : ''
  return words + names === '' ? '' : `    ${manual.name}) ${words}${names};;\n`
}
