/** From a command line to the settings of its command: which file, which variables, who wins. */
import { type ConfigFile, findConfig, readSettings } from './config-file.ts'
import { CONFIG_VARIABLE, readEnvironment } from './environment.ts'
import { type Manual, settable } from './manual.ts'
import { type Alternatives, optionsGiven, type Settings, settingsOf } from './settings.ts'

/** What a command line is run with. */
export interface Loaded {
  readonly settings: Settings
  /** null when there is none. */
  readonly config: ConfigFile | null
}

export interface LoadOptions {
  readonly argv: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly manuals: readonly Manual[]
  readonly alternatives: Alternatives
}

/** Switches that any command line takes; to yargs, the word behind any other option before the command is its value. */
const SWITCH = /^(-q|-h|--(quiet|color|help|version|no-.*))$/

/** The command that a command line names, if it is one of these. */
export function commandOf(argv: readonly string[], manuals: readonly Manual[]): Manual | undefined {
  const isValue = (before = ''): boolean => /^-[^=]+$/.test(before) && !SWITCH.test(before)
  const word = argv.find((text, at) => !text.startsWith('-') && !isValue(argv[at - 1]))
  return manuals.find(({ name }) => name === word)
}

/**
 * Settings of the command in `argv`; none with `--no-config`, or without a command.
 * @throws {UsageError} for a file or variable that says what cannot be
 */
export async function loadSettings({
  argv,
  environment,
  manuals,
  alternatives,
}: LoadOptions): Promise<Loaded> {
  const manual = commandOf(argv, manuals)
  if (manual === undefined || argv.includes('--no-config')) return { settings: new Map(), config: null }
  const config = await findConfig(configOf(argv) ?? (environment[CONFIG_VARIABLE] || undefined))
  const sources = [readEnvironment(environment, manuals)]
  if (config !== null) sources.push(readSettings(config, manuals))
  const parameters = settable(manual)
  const given = optionsGiven(argv, parameters)
  return { settings: settingsOf(manual, parameters, sources, { alternatives, given }), config }
}

/** The value of `--config`, wherever it stands. */
function configOf(argv: readonly string[]): string | undefined {
  const at = argv.findIndex((word) => word === '--config' || word.startsWith('--config='))
  const word = argv[at]
  return word === '--config' ? argv[at + 1] : word?.slice('--config='.length)
}
