/** What yargs says of a wrong command line, in the words of somebody who wants to help. */
import { UsageError } from '../errors.ts'
import type { Manual, Parameter } from './manual.ts'
import { camelCase } from './settings.ts'
import { didYouMean } from './suggest.ts'

/** What was typed and what there is. */
export interface CommandLine {
  readonly argv: readonly string[]
  /** undefined when no known command is named. */
  readonly manual: Manual | undefined
  readonly manuals: readonly Manual[]
}

/** The error to end with for a message of yargs. */
export function usageError(message: string, line: CommandLine): UsageError {
  const help = line.manual === undefined ? 'gguf-swarm --help' : `gguf-swarm ${line.manual.name} --help`
  return new UsageError('usage', `${explain(message, line)}\nRun ${help} to see what there is.`)
}

function explain(message: string, line: CommandLine): string {
  const [, names] = /^Unknown (?:arguments?|commands?): (.*)$/s.exec(message) ?? []
  if (names !== undefined) return explainUnknown(names.split(', '), line)
  const [, missing] = /^Not enough arguments following: (.*)$/.exec(message) ?? []
  if (missing !== undefined) return `--${missing}: give a value after it`
  if (/^Not enough non-option arguments/.test(message) && line.manual !== undefined) {
    return `${line.manual.name}: something is missing; write gguf-swarm ${line.manual.usage}`
  }
  const [, option, given] = /Argument: (\S+), Given: "?(.*?)"?, Choices: /.exec(message) ?? []
  const { positionals = [], options = [] } = line.manual ?? {}
  const choices = [...positionals, ...options].find(({ name }) => name === option)?.choices ?? []
  if (option !== undefined && given !== undefined) {
    const named = positionals.some(({ name }) => name === option) ? option : `--${option}`
    return `${named}: '${given}' is none of ${choices.join(', ')}${didYouMean(given, choices)}`
  }
  return message
}

function explainUnknown(names: readonly string[], { argv, manual, manuals }: CommandLine): string {
  const [name = ''] = names
  if (manual === undefined) {
    const commands = manuals.map((one) => one.name)
    if (!isOption(name, argv)) return `there is no command '${name}'${didYouMean(name, commands)}`
    return `there is no option --${name} before a command`
  }
  const options = manual.options.flatMap(longNames)
  // `-port 5` is four options of one letter to yargs.
  const glued = argv.find(
    (word) => /^-[a-z][\w-]+/i.test(word) && names.every((one) => one.length > 1 || word.includes(one)),
  )
  if (names.every((one) => one.length === 1) && glued !== undefined) {
    return `there is no option ${glued}${didYouMean(glued.slice(1), options, '--') || '; long options begin with --'}`
  }
  if (isOption(name, argv)) {
    return `${manual.name} has no option ${dashed(name)}${didYouMean(name.replace(/^no-/, ''), options, '--')}`
  }
  return `${manual.name} takes no '${name}'; write gguf-swarm ${manual.usage}`
}

const longNames = ({ name, kind }: Parameter): readonly string[] =>
  kind === 'boolean' ? [name, `no-${name}`] : [name]

const dashed = (name: string): string => (name.length === 1 ? `-${name}` : `--${name}`)

const isOption = (name: string, argv: readonly string[]): boolean =>
  argv.some((word) => word.startsWith('-') && [name, camelCase(name)].includes(bare(word)))

const bare = (word: string): string => word.replace(/^--?(no-)?/, '').replace(/=.*$/s, '')
