/**
 * Where an option's value comes from, in one table. Values of lower places become defaults of the command line, so
 * that a command cannot tell them from a flag.
 */
import type { Manual, Parameter } from './manual.ts'
import type { Value } from './values.ts'

/** One place that can say something. */
export interface Place {
  readonly place: string
  readonly example: string
}

/** Who is heard first. docs/configuration.md has the same table, held by a test. */
export const PRECEDENCE: readonly Place[] = [
  { place: 'command line', example: 'gguf-swarm seed --dht-port 6882' },
  { place: 'environment, for one command', example: 'GGUF_SWARM_SEED_DHT_PORT=6882' },
  { place: 'environment, for all commands', example: 'GGUF_SWARM_DHT_PORT=6882' },
  { place: "configuration file, in the command's table", example: '[seed]  dht-port = 6882' },
  { place: 'configuration file, above all tables or in the table `all`', example: 'dht-port = 6882' },
  { place: 'default', example: 'a free port' },
]

/** A value and who said so: `gguf-swarm.toml:3`, `GGUF_SWARM_DHT_PORT`. */
export interface Setting {
  readonly value: Value
  readonly source: string
}

/** What one source says: for one command by its name, and for all of them. */
export interface Source {
  readonly commands: ReadonlyMap<string, ReadonlyMap<string, Setting>>
  /** By option; each command takes the reading that its own option of that name has. */
  readonly all: ReadonlyMap<string, (parameter: Parameter) => Setting>
}

/** Everything one command is told from outside its command line, by option. */
export type Settings = ReadonlyMap<string, Setting>

/** Options of which only one can be given: a higher place that gives one silences the others in lower places. */
export type Alternatives = readonly (readonly string[])[]

/** The places below the command line, in the order of {@link PRECEDENCE}, asked for one command. */
export function settingsOf(
  manual: Manual,
  parameters: readonly Parameter[],
  sources: readonly Source[],
  { alternatives, given }: { readonly alternatives: Alternatives; readonly given: ReadonlySet<string> },
): Settings {
  const like = ({ commands }: Source): Settings =>
    new Map(
      [...(commands.get(manual.like ?? '') ?? [])].filter(([name]) =>
        parameters.some((one) => one.name === name),
      ),
    )
  const layers = sources.flatMap((source): Settings[] => [
    source.commands.get(manual.name) ?? new Map(),
    like(source),
    new Map(
      parameters.flatMap((parameter) => {
        const read = source.all.get(parameter.name)
        return read === undefined ? [] : [[parameter.name, read(parameter)]]
      }),
    ),
  ])
  const settings = new Map<string, Setting>()
  const taken = new Set(given)
  for (const layer of layers) {
    const names = [...layer.keys()].filter(
      (name) => !taken.has(name) && !isSilenced(name, taken, alternatives),
    )
    for (const name of names) settings.set(name, layer.get(name)!)
    // `public = false` is no choice of a DHT.
    for (const name of names) if (layer.get(name)?.value !== false) taken.add(name)
  }
  return settings
}

function isSilenced(name: string, taken: ReadonlySet<string>, alternatives: Alternatives): boolean {
  return alternatives.some(
    (group) => group.includes(name) && group.some((other) => other !== name && taken.has(other)),
  )
}

/** Options named on a command line, by their long names. */
export function optionsGiven(argv: readonly string[], parameters: readonly Parameter[]): ReadonlySet<string> {
  const given = new Set<string>()
  for (const word of argv.slice(0, argv.includes('--') ? argv.indexOf('--') : undefined)) {
    const [, name] = /^--?(?:no-)?([^=]+)/.exec(word) ?? []
    const option = parameters.find((one) =>
      [one.name, ...one.aliases, camelCase(one.name)].includes(name ?? ''),
    )
    if (option !== undefined) given.add(option.name)
  }
  return given
}

/** `dht-port` as yargs also takes it, and hands it over. */
export const camelCase = (name: string): string =>
  name.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase())
