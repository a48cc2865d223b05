/**
 * The configuration file (TOML): options of all commands at its top or in the table `all`, options of one command in a
 * table of its name. Errors name file and line.
 */
import { readFile, stat } from 'node:fs/promises'
import { parse, TomlError } from 'smol-toml'
import { messageOf, systemCode, UsageError } from '../errors.ts'
import { type Manual, type Parameter, settable } from './manual.ts'
import type { Setting, Source } from './settings.ts'
import { didYouMean } from './suggest.ts'
import { typedValue } from './values.ts'

/** Looked for in this order; the first that is there is read, and no other. */
export const CONFIG_FILES: readonly string[] = ['gguf-swarm.toml', '/etc/gguf-swarm.toml']
/** In TOML, `bootstrap` above all tables and a table `[bootstrap]` exclude each other; an option in here does not. */
const ALL_TABLE = 'all'
/** Every option there is takes a few kilobytes. */
const MAX_CONFIG_BYTES = 1024 * 1024

/** A file that was read. */
export interface ConfigFile {
  readonly path: string
  readonly text: string
}

/**
 * Reads the file that was named, or the first of {@link CONFIG_FILES} that is there; null when none is.
 * @throws {UsageError} `bad-config`
 */
export async function findConfig(named: string | undefined): Promise<ConfigFile | null> {
  if (named !== undefined) {
    const file = await readConfig(named)
    if (file !== null) return file
    throw new UsageError('bad-config', `--config: there is no file ${named}`)
  }
  for (const path of CONFIG_FILES) {
    const file = await readConfig(path, { mustBeOurs: true })
    if (file !== null) return file
  }
  return null
}

async function readConfig(path: string, { mustBeOurs = false } = {}): Promise<ConfigFile | null> {
  try {
    const stats = await stat(path)
    const { size, uid } = stats
    if (!stats.isFile()) throw new UsageError('bad-config', `${path} is not a file`)
    if (size > MAX_CONFIG_BYTES)
      throw new UsageError('bad-config', `${path} is too large for a configuration file`)
    // In a folder that others write to, a file may lie there for whoever comes by. Windows has no owner to compare.
    // By number: a service whose user exists only while it runs has no name that could be looked up.
    const own = process.getuid?.()
    if (mustBeOurs && own !== undefined && uid !== own && uid !== 0) {
      throw new UsageError(
        'bad-config',
        `${path} belongs to another user, so it is not read unasked; give --config ${path} if you trust it, ` +
          'or --no-config to go without',
      )
    }
    return { path, text: await readFile(path, 'utf8') }
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return null
    if (error instanceof UsageError) throw error
    throw new UsageError('bad-config', `cannot read ${path}: ${messageOf(error)}`, { cause: error })
  }
}

/**
 * Checks the whole file, whatever command is run.
 * @throws {UsageError} `bad-config` with file and line
 */
export function readSettings({ path, text }: ConfigFile, manuals: readonly Manual[]): Source {
  const commands = new Map<string, ReadonlyMap<string, Setting>>()
  const all = new Map<string, (parameter: Parameter) => Setting>()
  for (const [key, value] of Object.entries(parseToml(path, text))) {
    const at = `${path}:${lineOf(text, null, key)}`
    if (!isTable(value)) setForAll(key, value, at)
    else if (key !== ALL_TABLE) commands.set(key, commandTable(key, value, at))
    else
      for (const [name, one] of Object.entries(value))
        setForAll(name, one, `${path}:${lineOf(text, ALL_TABLE, name)}`)
  }
  return { commands, all }

  function setForAll(key: string, value: unknown, at: string): void {
    if (all.has(key))
      throw new UsageError(
        'bad-config',
        `${at}: ${key}: set in [${ALL_TABLE}] and above all tables; once is enough`,
      )
    const read = (parameter: Parameter): Setting => settingOf(at, parameter, value)
    const parameters = manuals.flatMap(settable).filter(({ name }) => name === key)
    if (parameters.length === 0) throw unknownOption(at, key)
    for (const parameter of parameters) read(parameter)
    all.set(key, read)
  }

  function commandTable(name: string, table: object, at: string): ReadonlyMap<string, Setting> {
    const manual = manuals.find((one) => one.name === name)
    if (manual === undefined) {
      const names = manuals.map((one) => one.name)
      throw new UsageError(
        'bad-config',
        `${at}: [${name}]: there is no such command${didYouMean(name, names)}`,
      )
    }
    const settings = Object.entries(table).map(([key, value]): [string, Setting] => {
      const line = `${path}:${lineOf(text, name, key)}`
      const parameter = settable(manual).find((one) => one.name === key)
      if (parameter === undefined) throw unknownOption(line, key, manual)
      return [key, settingOf(line, parameter, value)]
    })
    return new Map(settings)
  }

  function unknownOption(at: string, key: string, manual?: Manual): UsageError {
    const names = (manual === undefined ? manuals : [manual]).flatMap(settable).map((one) => one.name)
    const whose = manual === undefined ? 'no command has such an option' : `${manual.name} has no such option`
    return new UsageError('bad-config', `${at}: ${key}: ${whose}${didYouMean(key, names)}`)
  }
}

function settingOf(at: string, parameter: Parameter, value: unknown): Setting {
  const reading = typedValue(parameter, value)
  if ('problem' in reading) throw new UsageError('bad-config', `${at}: ${parameter.name} ${reading.problem}`)
  return { value: reading.value, source: at }
}

const isTable = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date)

function parseToml(path: string, text: string): Readonly<Record<string, unknown>> {
  try {
    return parse(text)
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    // Its first line says what is wrong; the rest quotes the file, which may hold a password.
    const what = error.message.split('\n')[0]?.replace(/^Invalid TOML document: /, '')
    throw new UsageError('bad-config', `${path}:${error.line}: ${what}${adviceOn(what ?? '')}`, {
      cause: error,
    })
  }
}

/** For the two mistakes that are easily made. */
function adviceOn(problem: string): string {
  if (/escape/i.test(problem))
    // C:\models, most likely
    return "; put a text with backslashes, like a path of Windows, in single quotes: 'C:\\models'"
  if (/redefine.*table/i.test(problem))
    return `; where an option and a command have the same name, put the option into [${ALL_TABLE}]`
  return ''
}

/** The line that sets `key` in a table (null: above all tables); the parser does not tell. */
function lineOf(text: string, table: string | null, key: string): number {
  const bare = (name: string): string => name.trim().replace(/^["']|["']$/g, '')
  let current: string | null = null
  let fallback = 1
  for (const [index, line] of text.split('\n').entries()) {
    const [, header] = /^\s*\[([^[\]]+)\]/.exec(line) ?? []
    if (header !== undefined) {
      current = bare(header)
      if (table === null && current === key) return index + 1
      if (current === table) fallback = index + 1
      continue
    }
    const [, name = ''] = /^\s*([^=#]+?)\s*=/.exec(line) ?? []
    const full = bare(name)
    if (current === table && full === key) return index + 1
    // `seed.port = 1` and `seed = { port = 1 }`
    if (current === null && (full === `${table}.${key}` || full === table || full.startsWith(`${key}.`))) {
      return index + 1
    }
  }
  return fallback
}
