/** `gguf-swarm key [file]`: makes the key of a fleet. */
import type { Argv } from 'yargs'
import { DEFAULTS } from '../config.ts'
import { createKeyFile, rendezvousOf } from '../fleet/membership/fleet-key.ts'
import { type CommandContext, jsonWriter } from './context.ts'
import type { ArgumentsOf } from './define.ts'
import { JSON_OPTION } from './options.ts'

const builder = (yargs: Argv) =>
  yargs
    .positional('file', { type: 'string', default: DEFAULTS.fleetKey, describe: 'where to write it' })
    .options(JSON_OPTION)
    .example('$0 key', `a key in ${DEFAULTS.fleetKey}, where every command finds it`)

type KeyArguments = ArgumentsOf<typeof builder>

async function runKey({ file, json }: KeyArguments, context: CommandContext): Promise<void> {
  const rendezvous = rendezvousOf(await createKeyFile(file))
  if (json) jsonWriter(context.out)({ event: 'key', ...{ file, rendezvous } })
  else context.out(`${file}\n`)
  const { log } = context
  log.info(
    `[FLEET] ✓ New fleet key in ${file}. Whoever holds this file is a member: keep it as you keep a password.`,
  )
  const option = file === DEFAULTS.fleetKey ? '' : ` and give --fleet-key ${file}`
  log.info(`[FLEET] Copy it to every host${option}; \`gguf-swarm status\` then shows them all.`)
}

/** The `key` command. */
export const keyCommand = {
  command: 'key [file]',
  describe: 'Make a fleet key: hosts that hold it see, trust and repair each other',
  builder,
  run: runKey,
}
