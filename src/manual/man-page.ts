/** The man page, from what the commands say of themselves. */
import { VERSION } from '../config.ts'
import { CONFIG_FILES } from './config-file.ts'
import { CONFIG_VARIABLE, variableOf } from './environment.ts'
import type { Manual, Parameter } from './manual.ts'
import { PRECEDENCE } from './settings.ts'
import { valueName } from './value-names.ts'

/** A page has a date; this one changes with the program's version, not with the day it is made on. */
const DATE = '2026-11-26'

const EXIT_STATUS: readonly (readonly [code: string, meaning: string])[] = [
  ['0', 'done'],
  ['1', 'failed: port in use, another host on the same state folder, a check that does not hold'],
  ['2', 'wrong usage or bad input'],
  ['3', 'nobody has it: no new data within --timeout'],
  ['4', 'what arrived or stood there is not valid (hash, GGUF)'],
  ['5', 'disk full or not writable'],
  ['130', 'interrupted'],
]

/** The page as roff (man macros). `general` are the options that no command lists. */
export function manPage(manuals: readonly Manual[], general: readonly Parameter[]): string {
  const shared = manuals[0]?.options.filter(({ name }) => isShared(name, manuals)) ?? []
  const lines = [
    `.TH GGUF\\-SWARM 1 "${DATE}" "gguf\\-swarm ${VERSION}" "User Commands"`,
    '.SH NAME',
    `gguf\\-swarm \\- GGUF model shards over real BitTorrent`,
    '.SH SYNOPSIS',
    ...manuals.flatMap(({ usage }) => ['.br', `.B gguf\\-swarm ${roff(usage)}`]).slice(1),
    '.SH DESCRIPTION',
    'Every machine that holds GGUF shards seeds them with BitTorrent, a DHT of your own (or the public one) finds them,',
    'and anybody fetches them: with',
    '.BR "gguf\\-swarm get" ,',
    'or by pasting a magnet link into any other client.',
    '.SH COMMANDS',
    ...manuals.flatMap((manual) => commandLines(manual, shared)),
    '.SH OPTIONS OF EVERY COMMAND',
    ...[...shared, ...general].flatMap(optionLines),
    '.SH CONFIGURATION',
    ...configurationLines(),
    '.SH EXIT STATUS',
    ...EXIT_STATUS.flatMap(([code, meaning]) => ['.TP', `.B ${code}`, roff(meaning)]),
    '.SH FILES',
    ...[...CONFIG_FILES, 'models_cache/'].flatMap((path) => ['.TP', `.I ${roff(path)}`, fileMeaning(path)]),
  ]
  return `${lines.join('\n')}\n`
}

const isShared = (name: string, manuals: readonly Manual[]): boolean =>
  manuals.every(({ options }) => options.some((option) => option.name === name))

function commandLines(manual: Manual, shared: readonly Parameter[]): readonly string[] {
  const { usage, describe, positionals, options, examples } = manual
  const own = options.filter(
    (option) => !shared.includes(option) && !shared.some(({ name }) => name === option.name),
  )
  return [
    `.SS gguf\\-swarm ${roff(usage)}`,
    roff(`${describe}.`),
    ...positionals.flatMap((positional) => [
      '.TP',
      `.I ${roff(positional.name)}`,
      roff(described(positional)),
    ]),
    ...groupsOf(own).flatMap(([group, its]) => [...heading(group), ...its.flatMap(optionLines)]),
    ...examples.flatMap(([line, what]) => [
      '.PP',
      roff(`${capital(what)}:`),
      '.PP',
      '.EX',
      `  ${roff(line)}`,
      '.EE',
    ]),
  ]
}

/** Options under their headings, in the order of the headings. */
const groupsOf = (options: readonly Parameter[]): readonly (readonly [string, readonly Parameter[]])[] =>
  [...new Set(options.map(({ group }) => group))].map((group) => [
    group,
    options.filter((one) => one.group === group),
  ])

/** Only a heading that says on what its options depend is worth a line. */
const heading = (group: string): readonly string[] =>
  group.startsWith('With ') ? ['.PP', `.I ${roff(group)}`] : []

function optionLines(option: Parameter): readonly string[] {
  const value = valueName(option)
  const short = option.aliases.map((alias) => (alias.length === 1 ? `, -${alias}` : `, --${alias}`)).join('')
  return ['.TP', `.B ${roff(`--${option.name}${short} ${value}`.trimEnd())}`, roff(described(option))]
}

function described({ describe, defaultText }: Parameter): string {
  return `${capital(describe)}${defaultText === '' ? '.' : ` (default: ${defaultText}).`}`
}

function configurationLines(): readonly string[] {
  return [
    'Every option can also be set in a TOML file, by its name without dashes, and in the environment, as',
    `${roff(variableOf('dht-port'))} for all commands or ${roff(variableOf('dht-port', 'seed'))} for one. The first of these`,
    'places that says something is heard:',
    ...PRECEDENCE.flatMap(({ place, example }, index) => [
      `.IP ${index + 1}. 4`,
      roff(`${place}: ${example}`),
    ]),
    '.PP',
    'The file is the one named by',
    `.B ${roff('--config')}`,
    `or ${roff(CONFIG_VARIABLE)}, or else the first that is there of those under FILES.`,
    'A name that no command knows is an error.',
  ]
}

const fileMeaning = (path: string): string =>
  path.endsWith('.toml')
    ? 'Configuration; the first one that is there is read.'
    : 'Shards, torrents and state, unless told otherwise.'

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** Text as roff takes it: hyphens that can be copied, nothing that is read as a request. */
function roff(text: string): string {
  const escaped = text.replaceAll('\\', '\\e').replaceAll('-', '\\-').replaceAll('…', '...')
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped
}
