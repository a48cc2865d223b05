/**
 * What a command takes, read off its yargs builder. Settings, completion, the man page and the documentation are
 * made from this and from nothing else: an option that a builder has is known to all of them.
 */
import type { Argv } from 'yargs'

/** What a value is, whatever its source. */
export type ValueKind = 'string' | 'number' | 'boolean'

/** An option or a positional argument. */
export interface Parameter {
  /** As on the command line, without dashes: `dht-port`. */
  readonly name: string
  /** One letter, or other names. */
  readonly aliases: readonly string[]
  readonly kind: ValueKind
  /** It may be given more than once. */
  readonly isList: boolean
  /** All values there are; empty when anything goes. */
  readonly choices: readonly string[]
  readonly describe: string
  /** The default in words; '' when there is none, or `describe` says it. */
  readonly defaultText: string
  /** The heading it stands under in the help. */
  readonly group: string
  readonly isRequired: boolean
}

/** One command. */
export interface Manual {
  readonly name: string
  /** The command whose settings it takes where it has none of its own. */
  readonly like: string | undefined
  /** With its positionals: `seed [dir]`. */
  readonly usage: string
  readonly describe: string
  readonly positionals: readonly Parameter[]
  readonly options: readonly Parameter[]
  /** Command lines, beginning with `gguf-swarm`, and what each does. */
  readonly examples: readonly (readonly [command: string, what: string])[]
}

/** The part of a command's definition that says what it takes. */
export interface Described {
  readonly command: string
  readonly describe: string
  readonly like?: string | undefined
  // A builder of any arguments: what they are called is of no interest here.
  readonly builder: (yargs: never) => unknown
}

/** What yargs lets a builder say of one option, as far as it is used here. */
export interface OptionDefinition {
  readonly type?: string
  readonly alias?: string | readonly string[]
  readonly array?: boolean
  readonly choices?: readonly unknown[]
  readonly describe?: string
  readonly default?: unknown
  readonly defaultDescription?: string
  readonly demandOption?: boolean | string
  readonly group?: string
  readonly hidden?: boolean
}

const DEFAULT_GROUP = 'Options:'

/** Reads a command's manual; `shared` are the options that every command takes besides its own. */
export function manualOf(
  { command, describe, like, builder }: Described,
  shared: Readonly<Record<string, OptionDefinition>> = {},
): Manual {
  const recorded = record(builder)
  const isRequired = (name: string): boolean => new RegExp(`<${name}\\b`).test(command)
  return {
    name: command.split(' ')[0] ?? command,
    like,
    usage: command,
    describe,
    positionals: recorded.positionals.map(([name, definition]) => ({
      ...parameterOf(name, definition),
      isList: definition.array === true || command.includes(`${name}..`),
      isRequired: isRequired(name),
    })),
    options: [...recorded.options, ...Object.entries(shared)]
      .filter(([, { hidden }]) => hidden !== true)
      .map(([name, definition]) => parameterOf(name, definition)),
    examples: recorded.examples.map(([line, what]) => [line.replace('$0', 'gguf-swarm'), what] as const),
  }
}

/** Everything that can be set from outside the command line: its options, and positionals that may be left out. */
export function settable({ options, positionals }: Manual): readonly Parameter[] {
  return [...positionals.filter((positional) => !positional.isRequired), ...options]
}

type Named = readonly [name: string, definition: OptionDefinition]

interface Recorded {
  readonly options: Named[]
  readonly positionals: Named[]
  readonly examples: [string, string][]
}

/** Runs a builder on something that looks like yargs and only listens. */
function record(builder: Described['builder']): Recorded {
  const heard: Recorded = { options: [], positionals: [], examples: [] }
  const methods: Readonly<Record<string, (...args: never[]) => void>> = {
    option: (name: string | Record<string, OptionDefinition>, definition?: OptionDefinition) => {
      const all = typeof name === 'string' ? { [name]: definition ?? {} } : name
      heard.options.push(...Object.entries(all))
    },
    positional: (name: string, definition: OptionDefinition) => heard.positionals.push([name, definition]),
    example: (line: string, what: string) => heard.examples.push([line, what]),
  }
  const listener: object = new Proxy(
    {},
    {
      get: (_, property) => {
        const method = methods[property === 'options' ? 'option' : String(property)]
        return (...args: never[]) => {
          method?.(...args)
          return listener
        }
      },
    },
  )
  builder(listener as never)
  return heard
}

/** One option as its builder defines it. */
export function parameterOf(name: string, definition: OptionDefinition): Parameter {
  const { type, alias, array, choices, describe = '', group, defaultDescription } = definition
  const value = definition.default
  return {
    name,
    aliases: typeof alias === 'string' ? [alias] : (alias ?? []),
    kind: type === 'number' || type === 'boolean' ? type : 'string',
    isList: array === true || type === 'array',
    choices: (choices ?? []).map(String),
    describe,
    // That a switch is off unless it is given goes without saying.
    defaultText: defaultDescription ?? (value === undefined || value === false ? '' : String(value)),
    group: group ?? DEFAULT_GROUP,
    isRequired: false,
  }
}

/** yargs, as a builder meets it, with other defaults. `defaultOf` gives undefined where nothing is set. */
export function withDefaults<T>(
  yargs: Argv<T>,
  defaultOf: (name: string) => { readonly value: unknown; readonly source: string } | undefined,
): Argv<T> {
  const changed = (name: string, definition: OptionDefinition): OptionDefinition => {
    const set = defaultOf(name)
    // The help says where a value comes from and not what it is: it may be a password.
    return set === undefined
      ? definition
      : { ...definition, default: set.value, defaultDescription: `set in ${set.source}` }
  }
  const changedAll = (all: Record<string, OptionDefinition>): Record<string, OptionDefinition> =>
    Object.fromEntries(Object.entries(all).map(([name, definition]) => [name, changed(name, definition)]))
  const argumentsOf = (method: string, args: readonly unknown[]): readonly unknown[] => {
    const [name, definition] = args as [string | Record<string, OptionDefinition>, OptionDefinition?]
    if (method !== 'option' && method !== 'options' && method !== 'positional') return args
    return typeof name === 'string' ? [name, changed(name, definition ?? {})] : [changedAll(name)]
  }
  const proxy: Argv<T> = new Proxy(yargs, {
    get: (target, property) => {
      const member: unknown = Reflect.get(target, property)
      if (typeof member !== 'function') return member
      return (...args: unknown[]): unknown => {
        const result: unknown = member.apply(target, argumentsOf(String(property), args))
        return result === target ? proxy : result
      }
    },
  })
  return proxy
}
