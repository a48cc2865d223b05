/** What the completion scripts of all shells are made of. */
import type { Manual, Parameter } from '../manual.ts'

export const SHELLS = ['bash', 'zsh', 'fish'] as const
export type Shell = (typeof SHELLS)[number]

/**
 * Where names and infohashes of the fleet are kept for the shells, below the user's cache folder: a file a fleet, in
 * each line a word, a tab, and what it is. The scripts read them without starting this program: a tab key waits for
 * nobody.
 */
export const NAMES_FOLDER = 'gguf-swarm/names'

/** Positionals that names of the fleet fit. */
const NAMED = new Set(['id', 'what'])

export const takesNames = ({ positionals }: Manual): boolean =>
  positionals.some(({ name }) => NAMED.has(name))

/** Choices of the first positional, as in `recipe <client>`. */
export const positionalChoices = ({ positionals }: Manual): readonly string[] => positionals[0]?.choices ?? []

/** Every spelling of an option: `--name`, `--no-name` for what is on by default, `-n`. */
export function flagsOf({ name, kind, aliases, defaultText }: Parameter): readonly string[] {
  const no = kind === 'boolean' && defaultText !== '' ? [`--no-${name}`] : []
  return [`--${name}`, ...no, ...aliases.map((alias) => (alias.length === 1 ? `-${alias}` : `--${alias}`))]
}

export const takesValue = ({ kind }: Parameter): boolean => kind !== 'boolean'

/** In single quotes, as all three shells read them. */
export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
