/** How a command is written down: its yargs builder, and a `run` that gets what the builder promises. */
import type { ArgumentsCamelCase, Argv, CommandModule } from 'yargs'
import { UsageError } from '../errors.ts'
import { type Manual, type Parameter, withDefaults } from '../manual/manual.ts'
import { camelCase, type Settings } from '../manual/settings.ts'
import type { CommandContext } from './context.ts'

/** The arguments a builder yields, with camel-case names. */
export type ArgumentsOf<B> = B extends (yargs: Argv) => Argv<infer T> ? ArgumentsCamelCase<T> : never

/** One command, before it knows where it runs. */
export interface CommandDefinition<T> {
  readonly command: string
  readonly describe: string
  /** The command whose settings it takes where it has none of its own. */
  readonly like?: string | undefined
  readonly builder: (yargs: Argv) => Argv<T>
  readonly run: (args: ArgumentsCamelCase<T>, context: CommandContext) => Promise<void>
}

/** What a command runs with: where it prints, what it takes, and what it is set to. */
export interface Surroundings {
  readonly context: CommandContext
  readonly manual: Manual
  /** Defaults from environment and configuration file, when this is the command that is run. */
  readonly settings: Settings
}

/** A command as yargs takes it; its arguments are its own business. */
export type YargsModule = CommandModule

/** The yargs module of a command. */
export function commandModule<T>(
  definition: CommandDefinition<T>,
  { context, manual, settings }: Surroundings,
): YargsModule {
  const { command, describe, builder, run } = definition
  const handler = (args: ArgumentsCamelCase): Promise<void> => {
    for (const parameter of [...manual.positionals, ...manual.options]) check(args, parameter)
    return run(args as ArgumentsCamelCase<T>, context)
  }
  return {
    command,
    describe,
    // Headings that are there first come first in the help: what is the command's own.
    builder: (yargs) =>
      builder(
        withDefaults(yargs.group([], 'Positionals:').group([], 'Options:'), (name) => settings.get(name)),
      ) as Argv,
    handler,
  }
}

/** yargs makes an array of anything that is given twice, whatever the builder said of its type, and NaN of words. */
function check(args: Readonly<Record<string, unknown>>, { name, kind, isList }: Parameter): void {
  const value = args[camelCase(name)]
  if (Array.isArray(value) && !isList) {
    throw new UsageError('usage', `--${name} is given ${value.length} times; give it once`)
  }
  if (kind === 'number' && [value].flat().some((number) => Number.isNaN(number))) {
    throw new UsageError('usage', `--${name}: give a number`)
  }
}
