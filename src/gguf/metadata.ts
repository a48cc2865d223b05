/**
 * Reads GGUF metadata. Small values are kept; of arrays and long texts only the shape is, so that the 16 MB of
 * a large vocabulary leave a few hundred bytes behind.
 */
import { grouped, HeaderRejected, quoted } from './problem.ts'
import type { HeaderWindow } from './window.ts'

/** Value types; the index is the number in the file (`enum gguf_type` of gguf.h). */
const VALUE_TYPES = [
  'u8',
  'i8',
  'u16',
  'i16',
  'u32',
  'i32',
  'f32',
  'bool',
  'string',
  'array',
  'u64',
  'i64',
  'f64',
] as const

export type GgufValueType = (typeof VALUE_TYPES)[number]

type ScalarType = Exclude<GgufValueType, 'string' | 'array'>

/** Stands for an array, whose items are not kept. */
export interface GgufArrayShape {
  readonly elementType: GgufValueType
  readonly length: number
}

/** Stands for a text too long to be kept. */
export interface GgufTextShape {
  readonly byteLength: number
}

/** A metadata value: 64-bit integers are bigint, everything else is what its type says. */
export type GgufValue = number | bigint | boolean | string | GgufArrayShape | GgufTextShape

/** The one key the reader itself needs; llama.cpp aborts if it is of another type than u32. */
export const ALIGNMENT_KEY = 'general.alignment'

/** The format's own limit on a key (docs/gguf.md: "up to 2^16 - 1 bytes"). */
const MAX_KEY_BYTES = 65_535

/** All keys together: real files have under 100 keys of under 100 bytes. Bounds the memory they take. */
const MAX_ALL_KEYS_BYTES = 4 * 1024 * 1024

/** Names and licences fit, chat templates do not; texts are kept for showing only. */
const MAX_KEPT_TEXT_BYTES = 1024

/** 64 times the largest vocabulary seen (262,144 tokens). Bounds the time spent on an array of strings. */
const MAX_ARRAY_ITEMS = 16 * 1024 * 1024

/** llama.cpp knows no arrays of arrays at all; the format allows them and does not say how deep. */
const MAX_ARRAY_DEPTH = 4

/** All arrays of a file, inner ones included: bounds the time spent on arrays of many empty arrays. */
const MAX_ARRAYS = 65_536

/** Every string has a 64-bit length; every array a 32-bit type and a 64-bit length. */
const MIN_STRING_BYTES = 8
const MIN_ARRAY_BYTES = 12

/** The least a metadata entry takes: a key of one byte, its type, and a value of one byte. */
export const MIN_ENTRY_BYTES = MIN_STRING_BYTES + 1 + 4 + 1

const SCALAR_BYTES: Readonly<Record<ScalarType, number>> = {
  u8: 1,
  i8: 1,
  u16: 2,
  i16: 2,
  u32: 4,
  i32: 4,
  f32: 4,
  bool: 1,
  u64: 8,
  i64: 8,
  f64: 8,
}

const SCALAR_READERS: Readonly<Record<ScalarType, (window: HeaderWindow) => GgufValue>> = {
  u8: (window) => window.uint8(),
  i8: (window) => window.int8(),
  u16: (window) => window.uint16(),
  i16: (window) => window.int16(),
  u32: (window) => window.uint32(),
  i32: (window) => window.int32(),
  f32: (window) => window.float32(),
  bool: (window) => window.uint8() !== 0,
  u64: (window) => window.uint64(),
  i64: (window) => window.int64(),
  f64: (window) => window.float64(),
}

/** What is left of the limits that hold for all entries together. */
interface Budget {
  keyBytes: number
  arrays: number
}

/** Reads `count` entries; a Map, because keys such as `__proto__` come from outside. */
export async function readMetadata(window: HeaderWindow, count: number): Promise<Map<string, GgufValue>> {
  const entries = new Map<string, GgufValue>()
  const budget: Budget = { keyBytes: MAX_ALL_KEYS_BYTES, arrays: MAX_ARRAYS }
  for (let index = 0; index < count; index++) {
    const { text: key, byteLength } = await readShortText(window, MAX_KEY_BYTES, 'a metadata key')
    budget.keyBytes -= byteLength
    if (budget.keyBytes < 0) {
      throw overLimit(`its metadata keys take more than ${grouped(MAX_ALL_KEYS_BYTES)} bytes`)
    }
    if (byteLength === 0)
      throw new HeaderRejected('malformed', 'has an empty metadata key; download it again')
    if (entries.has(key)) {
      throw new HeaderRejected('malformed', `has the metadata key ${quoted(key)} twice; download it again`)
    }
    await window.need(4)
    const type = valueType(window.uint32(), key)
    if (key === ALIGNMENT_KEY && type !== 'u32') {
      throw new HeaderRejected(
        'malformed',
        `has ${ALIGNMENT_KEY} as ${type} where u32 is demanded; convert it again`,
      )
    }
    entries.set(key, await readValue(window, type, key, budget))
  }
  return entries
}

/** Reads a text that is kept whole; `what` names it in the refusal of a longer one. */
export async function readShortText(
  window: HeaderWindow,
  maxBytes: number,
  what: string,
): Promise<{ text: string; byteLength: number }> {
  const byteLength = await readCount(window, maxBytes, `bytes for ${what}`)
  await window.need(byteLength)
  return { text: window.bytes(byteLength).toString('utf8'), byteLength }
}

/** Reads a 64-bit count and refuses one over `limit`; `what` is the counted thing. */
export async function readCount(window: HeaderWindow, limit: number, what: string): Promise<number> {
  await window.need(8)
  const count = window.uint64()
  if (count > limit) {
    throw overLimit(`claims ${grouped(count)} ${what}, more than the ${grouped(limit)} allowed`)
  }
  return Number(count)
}

async function readValue(
  window: HeaderWindow,
  type: GgufValueType,
  key: string,
  budget: Budget,
): Promise<GgufValue> {
  if (type === 'array') return skipArray(window, key, budget, 1)
  if (type !== 'string') {
    await window.need(SCALAR_BYTES[type])
    return SCALAR_READERS[type](window)
  }
  // A text may fill the header (some files carry a whole tokenizer as JSON), so the header's limit is its own.
  const byteLength = await readCount(window, Number.MAX_SAFE_INTEGER, `bytes for the value of ${quoted(key)}`)
  if (byteLength <= MAX_KEPT_TEXT_BYTES) {
    await window.need(byteLength)
    return window.bytes(byteLength).toString('utf8')
  }
  window.skip(byteLength)
  return { byteLength }
}

async function skipArray(
  window: HeaderWindow,
  key: string,
  budget: Budget,
  depth: number,
): Promise<GgufArrayShape> {
  if (depth > MAX_ARRAY_DEPTH)
    throw overLimit(`has arrays nested deeper than ${MAX_ARRAY_DEPTH} in ${quoted(key)}`)
  if (--budget.arrays < 0) throw overLimit(`has more than ${grouped(MAX_ARRAYS)} arrays in its metadata`)
  await window.need(4)
  const elementType = valueType(window.uint32(), key)
  const length = await readCount(window, MAX_ARRAY_ITEMS, `items in ${quoted(key)}`)
  if (elementType === 'string') {
    window.expect(length * MIN_STRING_BYTES)
    await window.skipStrings(length)
  } else if (elementType === 'array') {
    window.expect(length * MIN_ARRAY_BYTES)
    for (let index = 0; index < length; index++) await skipArray(window, key, budget, depth + 1)
  } else {
    window.skip(length * SCALAR_BYTES[elementType])
  }
  return { elementType, length }
}

function valueType(id: number, key: string): GgufValueType {
  const type = VALUE_TYPES[id]
  if (type === undefined) {
    throw new HeaderRejected(
      'malformed',
      `has a value of unknown type ${grouped(id)} under ${quoted(key)}; download it again`,
    )
  }
  return type
}

function overLimit(reason: string): HeaderRejected {
  return new HeaderRejected('over-limit', `${reason}; no model needs that, download it again`)
}
