/** How a command is written down: its yargs builder, and a `run` that gets what the builder promises. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs'
import { UsageError } from '../errors.ts'
import type { CommandContext } from './context.ts'

/** The arguments a builder yields, with camel-case names. */
export type ArgumentsOf<B> = B extends (yargs: Argv) => Argv<infer T> ? ArgumentsCamelCase<T> : never

/** One command, before it knows where it runs. */
export interface CommandDefinition<T> {
  readonly command: string
  readonly describe: string
  readonly builder: (yargs: Argv) => Argv<T>
  readonly run: (args: ArgumentsCamelCase<T>, context: CommandContext) => Promise<void>
}

/** The yargs module of a command in a context. */
export function commandModule<T>(
  definition: CommandDefinition<T>,
  context: CommandContext,
): CommandModule<object, T> {
  const { command, describe, builder, run } = definition
  const handler = (args: ArgumentsCamelCase<T>): Promise<void> => {
    refuseRepeated(args)
    return run(args, context)
  }
  return { command, describe, builder: (yargs) => builder(yargs), handler }
}

/** Options and positionals that may be given more than once. */
const REPEATABLE = new Set([
  '_',
  'id',
  'dir',
  'from',
  'web-seed',
  'webSeed',
  'bootstrap',
  'peer',
  'advertise',
  'allow-host',
  'allowHost',
  'log',
  'want',
])

/** yargs makes an array of anything that is given twice, whatever the builder said of its type. */
function refuseRepeated(args: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(args)) {
    if (!Array.isArray(value) || REPEATABLE.has(name)) continue
    throw new UsageError('usage', `--${name} is given ${value.length} times; give it once`)
  }
}
