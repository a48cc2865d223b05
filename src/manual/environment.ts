/** `GGUF_SWARM_*`: every option of every command, `GGUF_SWARM_DHT_PORT` for all and `GGUF_SWARM_SEED_DHT_PORT` for one. */
import { UsageError } from '../errors.ts'
import { type Manual, type Parameter, settable } from './manual.ts'
import type { Setting, Source } from './settings.ts'
import { didYouMean } from './suggest.ts'
import { textValue } from './values.ts'

const PREFIX = 'GGUF_SWARM_'

/** Names the configuration file, like `--config`. */
export const CONFIG_VARIABLE = `${PREFIX}CONFIG`

/** The variable of an option, for all commands or for one. */
export function variableOf(option: string, command?: string): string {
  const name = command === undefined ? option : `${command}_${option}`
  return PREFIX + name.replaceAll('-', '_').toUpperCase()
}

/**
 * Reads all of them. One that is empty counts as not set.
 * @throws {UsageError} `bad-environment` for a name that is not known, or a value of the wrong kind
 */
export function readEnvironment(
  environment: Readonly<Record<string, string | undefined>>,
  manuals: readonly Manual[],
): Source {
  const known = targetsOf(manuals)
  const commands = new Map<string, Map<string, Setting>>()
  const all = new Map<string, (parameter: Parameter) => Setting>()
  for (const [variable, text] of Object.entries(environment)) {
    if (!variable.startsWith(PREFIX) || variable === CONFIG_VARIABLE || !text) continue
    const targets = known.get(variable)
    if (targets === undefined) throw unknownVariable(variable, [...known.keys()])
    const read = (parameter: Parameter): Setting => settingOf(variable, parameter, text)
    for (const { command, parameter } of targets) {
      const setting = read(parameter) // whoever it is for: a wrong one is told of at once
      if (command === null) all.set(parameter.name, read)
      else commands.set(command, new Map([...(commands.get(command) ?? []), [parameter.name, setting]]))
    }
  }
  return { commands, all }
}

/**
 * What each variable is read for. One may have two readings (`GGUF_SWARM_BOOTSTRAP_PORT`: `--port` of `bootstrap`,
 * and `--bootstrap-port` of `up`); a test holds that they mean the same.
 */
function targetsOf(manuals: readonly Manual[]): ReadonlyMap<string, readonly Target[]> {
  const known = new Map<string, Target[]>()
  const add = (variable: string, target: Target): void => {
    known.set(variable, [...(known.get(variable) ?? []), target])
  }
  for (const manual of manuals) {
    for (const parameter of settable(manual)) {
      add(variableOf(parameter.name), { command: null, parameter })
      add(variableOf(parameter.name, manual.name), { command: manual.name, parameter })
    }
  }
  return known
}

interface Target {
  /** null for all that have it. */
  readonly command: string | null
  readonly parameter: Parameter
}

function settingOf(variable: string, parameter: Parameter, text: string): Setting {
  const reading = textValue(parameter, text)
  if ('problem' in reading) throw new UsageError('bad-environment', `${variable} ${reading.problem}`)
  return { value: reading.value, source: variable }
}

function unknownVariable(variable: string, known: readonly string[]): UsageError {
  const suggestion = didYouMean(
    variable.slice(PREFIX.length),
    known.map((name) => name.slice(PREFIX.length)),
    PREFIX,
  )
  return new UsageError(
    'bad-environment',
    `${variable}: no command has such an option${suggestion}\n` +
      `Unset it; names that begin with ${PREFIX} are read as options (in Kubernetes, set enableServiceLinks: false).`,
  )
}
