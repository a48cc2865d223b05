/** Completion for zsh, with descriptions. */
import type { Manual, Parameter } from '../manual.ts'
import { flagsOf, NAMES_FOLDER, positionalChoices, quoted, takesNames, takesValue } from './kit.ts'

/** The script: to be sourced, or kept as `_gguf-swarm` in a folder of `$fpath`. */
export function zshCompletion(manuals: readonly Manual[], general: readonly Parameter[]): string {
  const commands = manuals.map(({ name, describe }) => quoted(`${name}:${describe.replaceAll(':', '\\:')}`))
  return `#compdef gguf-swarm
# zsh completion of gguf-swarm; in ~/.zshrc after compinit: source <(gguf-swarm completion zsh)
_gguf_swarm_names() {
  local file
  local -a names
  for file in \${XDG_CACHE_HOME:-$HOME/.cache}/${NAMES_FOLDER}/*(N.); do
    names+=(\${(f)"$(<$file)"})
  done
  names=(\${names//:/\\\\:})
  names=(\${names/$'\\t'/:})
  _describe -t names 'shard or model' names
}

_gguf_swarm() {
  local curcontext=$curcontext state line
  local -a commands
  _arguments -C ${general.flatMap(specs).join(' ')} '1: :->command' '*:: :->rest'
  case $state in
    command)
      commands=(
${commands.map((command) => `        ${command}`).join('\n')}
      )
      _describe -t commands command commands
      ;;
    rest)
      case $words[1] in
${manuals.map((manual) => `        ${manual.name}) _arguments ${argumentSpecs(manual, general)} ;;`).join('\n')}
      esac
      ;;
  esac
}

if [[ $funcstack[1] == _gguf_swarm ]]; then _gguf_swarm "$@"; else compdef _gguf_swarm gguf-swarm; fi
`
}

function argumentSpecs(manual: Manual, general: readonly Parameter[]): string {
  const options = [...manual.options, ...general].flatMap(specs)
  const choices = positionalChoices(manual)
  const first = choices.length > 0 ? [quoted(`1:${manual.positionals[0]?.name}:(${choices.join(' ')})`)] : []
  const rest = takesNames(manual)
    ? [`'*: :_alternative "names:name:_gguf_swarm_names" "files:file:_files"'`]
    : manual.positionals.length > 0
      ? [`'*:${manual.positionals[0]?.name}:_files'`]
      : []
  return [...options, ...first, ...rest].join(' ')
}

/** One `_arguments` spec for each spelling. */
function specs(option: Parameter): readonly string[] {
  const { describe, choices, isList, kind } = option
  const what = `[${describe.replace(/[[\]\\:]/g, '\\$&')}]`
  const action = choices.length > 0 ? `(${choices.join(' ')})` : kind === 'number' ? ' ' : '_files'
  const value = takesValue(option) ? `:value:${action}` : ''
  return flagsOf(option).map((flag) => {
    const equals = takesValue(option) && flag.startsWith('--') ? '=' : ''
    return quoted(`${isList ? '*' : ''}${flag}${equals}${what}${value}`)
  })
}
