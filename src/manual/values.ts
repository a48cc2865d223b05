/** Values of options as configuration files and the environment give them: read, checked, and refused in words. */
import { homedir } from 'node:os'
import { join } from 'node:path'
import type { Parameter } from './manual.ts'
import { didYouMean } from './suggest.ts'

/** What an option can be set to. */
export type Value = string | number | boolean | readonly (string | number)[]

/** A value, or why there is none. No reason quotes a text: it may be a password in the wrong place. */
export type Reading = { readonly value: Value } | { readonly problem: string }

const YES = new Set(['true', 'yes', 'on', '1'])
const NO = new Set(['false', 'no', 'off', '0'])

/** A value that has a type already: what TOML has. */
export function typedValue(parameter: Parameter, given: unknown): Reading {
  if (!parameter.isList)
    return Array.isArray(given) ? { problem: 'takes one value, not a list' } : one(parameter, given)
  const readings = (Array.isArray(given) ? given : [given]).map((each) => one(parameter, each))
  const values: (string | number)[] = []
  for (const reading of readings) {
    if ('problem' in reading) return reading
    values.push(reading.value as string | number)
  }
  return { value: values }
}

/** A value that is text: what the environment has. A list is separated by commas. */
export function textValue(parameter: Parameter, text: string): Reading {
  const texts = parameter.isList
    ? text
        .split(',')
        .map((part) => part.trim())
        .filter(Boolean)
    : [text]
  const typed: unknown[] = []
  for (const each of texts) {
    const value = fromText(parameter, each)
    if (value === undefined) return { problem: WANTED[parameter.kind] }
    typed.push(value)
  }
  return typedValue(parameter, parameter.isList ? typed : typed[0])
}

const WANTED = {
  string: 'takes a text; put it in quotes',
  number: 'takes a number',
  boolean: 'takes true or false',
} as const

function fromText({ kind }: Parameter, text: string): unknown {
  const trimmed = text.trim()
  if (kind === 'string') return text
  if (kind === 'number')
    return trimmed !== '' && Number.isFinite(Number(trimmed)) ? Number(trimmed) : undefined
  const word = trimmed.toLowerCase()
  return YES.has(word) ? true : NO.has(word) ? false : undefined
}

function one({ kind, choices }: Parameter, given: unknown): Reading {
  if (typeof given !== kind) return { problem: WANTED[kind] }
  if (choices.length > 0 && !choices.includes(String(given))) {
    return { problem: `takes ${choices.join(' or ')}${didYouMean(String(given), choices)}` }
  }
  return { value: typeof given === 'string' ? withHome(given) : (given as number | boolean) }
}

/** What a shell would have made of `~/models`. */
const withHome = (text: string): string => (/^~[/\\]/.test(text) ? join(homedir(), text.slice(2)) : text)
