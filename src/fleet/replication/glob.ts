/**
 * File name patterns as people write them: `*` for any text, `?` for one character, `[a-f]` and `[!a-f]` for one of a
 * set. Upper and lower case are alike, as in `Q4_K_M` and `q4_k_m`.
 *
 * Ours, because `path.matchesGlob` warns of itself before Node 22.20, follows the case rules of the system it runs on,
 * and makes regular expressions, which names made for it slow down without limit.
 */
import { UsageError } from '../../errors.ts'

/** Longer than any name; each character of a pattern costs a pass over the name at worst. */
const MAX_PATTERN_LENGTH = 1_000

type Token =
  | { readonly kind: 'any' }
  | { readonly kind: 'one'; readonly fits: (character: string) => boolean }

/**
 * A test for names.
 * @throws {UsageError} `bad-glob`; `option` names where the pattern stood
 */
export function compileGlob(pattern: string, option: string): (name: string) => boolean {
  if (pattern.trim() === '' || pattern.length > MAX_PATTERN_LENGTH) {
    throw new UsageError('bad-glob', `${option}: give a pattern of file names, like 'Llama-3*'`)
  }
  if (/[/\\]/.test(pattern)) {
    throw new UsageError(
      'bad-glob',
      `${option}: '${pattern}' holds a path; shards are chosen by name, like 'Llama-3*'`,
    )
  }
  const tokens = tokensOf([...pattern.toLowerCase()], pattern, option)
  return (name) => matches(tokens, [...name.toLowerCase()])
}

function tokensOf(characters: readonly string[], pattern: string, option: string): readonly Token[] {
  const tokens: Token[] = []
  for (let at = 0; at < characters.length; at++) {
    const character = characters[at]!
    if (character === '*') {
      if (tokens.at(-1)?.kind !== 'any') tokens.push({ kind: 'any' })
    } else if (character === '?') tokens.push({ kind: 'one', fits: () => true })
    else if (character === '[') {
      const isNegated = characters[at + 1] === '!' || characters[at + 1] === '^'
      const from = at + (isNegated ? 2 : 1)
      // As in a shell, a `]` that stands first is one of the set.
      const end = characters.indexOf(']', from + 1)
      if (end < 0) throw new UsageError('bad-glob', `${option}: '${pattern}' has a '[' without its ']'`)
      const isIn = setOf(characters.slice(from, end))
      tokens.push({ kind: 'one', fits: isNegated ? (one) => !isIn(one) : isIn })
      at = end
    } else tokens.push({ kind: 'one', fits: (one) => one === character })
  }
  return tokens
}

function setOf(characters: readonly string[]): (character: string) => boolean {
  const ranges: (readonly [string, string])[] = []
  for (let at = 0; at < characters.length; at++) {
    const isRange = characters[at + 1] === '-' && at + 2 < characters.length
    ranges.push([characters[at]!, characters[isRange ? at + 2 : at]!])
    if (isRange) at += 2
  }
  return (character) => ranges.some(([first, last]) => character >= first && character <= last)
}

/** Only the last `*` is ever tried again, further right: enough, and never more than tokens × characters steps. */
function matches(tokens: readonly Token[], name: readonly string[]): boolean {
  let [token, at] = [0, 0]
  let retry: { readonly token: number; at: number } | undefined
  while (at < name.length || token < tokens.length) {
    const next = tokens[token]
    if (next?.kind === 'any') {
      retry = { token: ++token, at }
    } else if (next !== undefined && at < name.length && next.fits(name[at]!)) {
      token++
      at++
    } else if (retry !== undefined && retry.at < name.length) {
      at = ++retry.at
      token = retry.token
    } else return false
  }
  return true
}
