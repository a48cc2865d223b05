/** The commands there are, in the order of the help, and what is shared by all of them. */

import type { Loaded } from '../manual/load.ts'
import { type Manual, manualOf } from '../manual/manual.ts'
import { OUTPUT_OPTIONS } from '../manual/shared.ts'
import { bootstrapCommand } from './bootstrap.ts'
import { completionCommand } from './completion.ts'
import type { CommandContext } from './context.ts'
import { type CommandDefinition, commandModule, type YargsModule } from './define.ts'
import { doctorCommand } from './doctor.ts'
import { getCommand } from './get.ts'
import { keyCommand } from './key.ts'
import { magnetCommand } from './magnet.ts'
import { recipeCommand } from './recipe.ts'
import { seedCommand } from './seed.ts'
import { statusCommand } from './status.ts'
import { upCommand } from './up.ts'
import { verifyCommand } from './verify.ts'
import { webCommand } from './web.ts'

/** A command whose arguments are of no interest. */
interface Prepared {
  readonly manual: Manual
  readonly module: (context: CommandContext, settings: Loaded['settings']) => YargsModule
}

function prepare<T>(definition: CommandDefinition<T>): Prepared {
  const manual = manualOf(definition, OUTPUT_OPTIONS)
  return { manual, module: (context, settings) => commandModule(definition, { context, manual, settings }) }
}

const COMMANDS: readonly Prepared[] = [
  prepare(seedCommand),
  prepare(getCommand),
  prepare(bootstrapCommand),
  prepare(magnetCommand),
  prepare(keyCommand),
  prepare(statusCommand),
  prepare(webCommand),
  prepare(verifyCommand),
  prepare(upCommand),
  prepare(doctorCommand),
  prepare(recipeCommand),
  prepare(completionCommand),
]

/** What each command takes. */
export const MANUALS: readonly Manual[] = COMMANDS.map(({ manual }) => manual)

/** The commands for yargs. Settings are those of the command that is run. */
export function commandModules(
  context: CommandContext,
  settings: Loaded['settings'],
): readonly YargsModule[] {
  return COMMANDS.map(({ module }) => module(context, settings))
}
