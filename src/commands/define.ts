/** How a command is written down: its yargs builder, and a `run` that gets what the builder promises. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs'
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
  return { command, describe, builder: (yargs) => builder(yargs), handler: (args) => run(args, context) }
}
