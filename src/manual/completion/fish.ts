/** Completion for fish, with descriptions. */
import type { Manual, Parameter } from '../manual.ts'
import { NAMES_FOLDER, positionalChoices, takesNames, takesValue } from './kit.ts'

/** The script: for `~/.config/fish/completions/gguf-swarm.fish`. */
export function fishCompletion(manuals: readonly Manual[], general: readonly Parameter[]): string {
  const lines = [
    '# fish completion of gguf-swarm: gguf-swarm completion fish > ~/.config/fish/completions/gguf-swarm.fish',
    'function __gguf_swarm_names',
    '    set -l cache ~/.cache',
    '    set -q XDG_CACHE_HOME; and set cache $XDG_CACHE_HOME',
    `    for file in $cache/${NAMES_FOLDER}/*`,
    '        cat $file 2>/dev/null',
    '    end',
    'end',
    '',
    ...general.flatMap((option) => optionLines('', option)),
  ]
  for (const manual of manuals) {
    const { name, describe, options } = manual
    const when = `-n ${quoted(`__fish_seen_subcommand_from ${name}`)} `
    const words = positionalChoices(manual)
    lines.push(`complete -c gguf-swarm -n __fish_use_subcommand -f -a ${name} -d ${quoted(describe)}`)
    if (words.length > 0) lines.push(`complete -c gguf-swarm ${when}-f -a ${quoted(words.join(' '))}`)
    if (takesNames(manual)) lines.push(`complete -c gguf-swarm ${when}-a '(__gguf_swarm_names)'`)
    else if (manual.positionals.length === 0) lines.push(`complete -c gguf-swarm ${when}-f`)
    lines.push(...options.flatMap((option) => optionLines(when, option)))
  }
  return `${lines.join('\n')}\n`
}

function optionLines(when: string, option: Parameter): readonly string[] {
  const { name, aliases, kind, describe, choices, defaultText } = option
  const short = aliases.filter((alias) => alias.length === 1).map((alias) => ` -s ${alias}`)
  const values =
    choices.length > 0 ? ` -x -a ${quoted(choices.join(' '))}` : kind === 'number' ? ' -x' : ' -r'
  const value = takesValue(option) ? values : ''
  const line = (long: string): string =>
    `complete -c gguf-swarm ${when}-l ${long}${value} -d ${quoted(describe)}`
  const off = kind === 'boolean' && defaultText !== '' ? [line(`no-${name}`)] : []
  return [line(name) + short.join(''), ...off]
}

/** fish knows only these two escapes in single quotes. */
const quoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&')}'`
