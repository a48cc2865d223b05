/** Options that every command takes, and the help's headings that options of several commands stand under. */
import { CONFIG_VARIABLE } from './environment.ts'
import { type OptionDefinition, type Parameter, parameterOf } from './manual.ts'

/** Headings of the help; what stands under none of them comes first, as `Options:`. */
export const GROUP = {
  network: 'Network:',
  fleet: 'Fleet:',
  replication: 'With --replicate:',
  output: 'Output:',
  general: 'General:',
} as const

const LOG_FORMATS = ['pretty', 'json'] as const

/** How a command talks. */
export const OUTPUT_OPTIONS = {
  quiet: {
    type: 'boolean',
    alias: 'q',
    default: false,
    group: GROUP.output,
    describe: 'on stderr, only what went wrong',
  },
  color: {
    type: 'boolean',
    default: true,
    defaultDescription: 'on a terminal',
    group: GROUP.output,
    describe: 'colours; --no-color or the variable NO_COLOR turns them off',
  },
  'log-format': {
    type: 'string',
    choices: LOG_FORMATS,
    default: 'pretty',
    requiresArg: true,
    group: GROUP.output,
    describe: 'log on stderr as lines for people, or one JSON object a line',
  },
} as const

/** Where settings come from; not itself a setting. */
export const CONFIG_OPTION = {
  config: {
    type: 'string',
    requiresArg: true,
    group: GROUP.general,
    describe: `configuration file (TOML), like the variable ${CONFIG_VARIABLE}; --no-config reads neither file nor environment`,
    defaultDescription: './gguf-swarm.toml, else /etc/gguf-swarm.toml',
  },
} as const

/** What a command line takes beside the options of its command. */
export const GENERAL_PARAMETERS: readonly Parameter[] = [
  ...parametersOf(CONFIG_OPTION),
  ...parametersOf({
    help: { type: 'boolean', alias: 'h', describe: 'show help' },
    version: { type: 'boolean', describe: 'show the version' },
  }),
]

function parametersOf(definitions: Readonly<Record<string, OptionDefinition>>): readonly Parameter[] {
  return Object.entries(definitions).map(([name, definition]) => parameterOf(name, definition))
}
