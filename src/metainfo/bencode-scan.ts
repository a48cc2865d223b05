/**
 * Walks bencoded bytes (BEP 3) without building anything, and refuses what is not strictly well-formed. The
 * bencode package must never see unchecked bytes: a negative string length (`l-3:`) makes its decoder loop
 * until memory runs out, and nesting is recursion there. The walk also finds where `info` stands, whose exact
 * bytes are hashed.
 */

/** Deeper than any real torrent (hybrids reach 6), far from the end of the stack. */
const MAX_DEPTH = 32

/**
 * The one key that the decoder does not set but obeys: it puts the value in place of the dictionary's prototype, and
 * the next key may throw. Decoded text loses a byte order mark, so such a key is one as well.
 */
const PROTOTYPE_KEYS: readonly Buffer[] = ['__proto__', '\uFEFF__proto__'].map((key) => Buffer.from(key))

/** 16 digits hold every safe integer. */
const MAX_DIGITS = 16

const INTEGER = 0x69
const LIST = 0x6c
const DICTIONARY = 0x64
const END = 0x65
const COLON = 0x3a
const MINUS = 0x2d
const ZERO = 0x30
const NINE = 0x39

/** Where a value stands: `start` is its first byte, `end` the one after its last. */
export interface Span {
  readonly start: number
  readonly end: number
}

/** What is wrong, and at which byte. */
export class BencodeError extends Error {
  constructor(what: string, at: number) {
    super(`${what} at byte ${at}`)
    this.name = 'BencodeError'
  }
}

/**
 * Checks that `bytes` are exactly one bencoded dictionary and says where the values of its own (outermost)
 * keys stand. A key that stands twice is refused: two readers could take different ones.
 * @throws BencodeError
 */
export function scanDictionary(bytes: Uint8Array): ReadonlyMap<string, Span> {
  if (bytes[0] !== DICTIONARY) throw new BencodeError('not a bencoded dictionary', 0)
  const spans = new Map<string, Span>()
  let at = 1
  while (bytes[at] !== END) {
    const key = readKey(bytes, at)
    const end = skipValue(bytes, key.end, 1)
    const name = Buffer.from(bytes.buffer, bytes.byteOffset + key.start, key.end - key.start).toString(
      'latin1',
    )
    if (spans.has(name)) throw new BencodeError(`the key ${JSON.stringify(name)} stands twice`, at)
    spans.set(name, { start: key.end, end })
    at = end
  }
  if (at + 1 !== bytes.byteLength) throw new BencodeError('more bytes than the dictionary has', at + 1)
  return spans
}

/**
 * Where the bencoded dictionary at the front of `bytes` ends; what follows it is not looked at, as extension
 * messages carry data there (BEP 9).
 * @throws BencodeError
 */
export function dictionaryEnd(bytes: Uint8Array): number {
  if (bytes[0] !== DICTIONARY) throw new BencodeError('not a bencoded dictionary', 0)
  return skipValue(bytes, 0, 1)
}

/** Gives the index after the value that starts at `at`. */
function skipValue(bytes: Uint8Array, at: number, depth: number): number {
  if (depth > MAX_DEPTH) throw new BencodeError(`nested deeper than ${MAX_DEPTH}`, at)
  switch (bytes[at]) {
    case INTEGER:
      return skipInteger(bytes, at)
    case LIST: {
      let next = at + 1
      while (bytes[next] !== END) next = skipValue(bytes, next, depth + 1)
      return next + 1
    }
    case DICTIONARY: {
      let next = at + 1
      while (bytes[next] !== END) next = skipValue(bytes, readKey(bytes, next).end, depth + 1)
      return next + 1
    }
    default:
      return readString(bytes, at).end
  }
}

function skipInteger(bytes: Uint8Array, at: number): number {
  const first = bytes[at + 1] === MINUS ? at + 2 : at + 1
  const { end, value } = readDigits(bytes, first)
  if (value === 0 && first > at + 1) throw new BencodeError('a zero with a sign', at)
  if (bytes[end] !== END) throw new BencodeError('an integer without its end', at)
  return end + 1
}

function readKey(bytes: Uint8Array, at: number): Span {
  const key = readString(bytes, at)
  const length = key.end - key.start
  for (const refused of PROTOTYPE_KEYS) {
    if (refused.length === length && refused.equals(bytes.subarray(key.start, key.end)))
      throw new BencodeError('the key "__proto__"', at)
  }
  return key
}

/** Reads `<length>:<bytes>`; the span is that of the bytes. */
function readString(bytes: Uint8Array, at: number): Span {
  const { end, value } = readDigits(bytes, at)
  if (bytes[end] !== COLON) throw new BencodeError('a string length without its colon', at)
  if (value > bytes.byteLength - end - 1) throw new BencodeError('a string that runs past the end', at)
  return { start: end + 1, end: end + 1 + value }
}

function readDigits(bytes: Uint8Array, at: number): { readonly end: number; readonly value: number } {
  let end = at
  let value = 0
  for (let byte = bytes[end]; byte !== undefined && byte >= ZERO && byte <= NINE; byte = bytes[++end]) {
    value = value * 10 + (byte - ZERO)
  }
  if (end === at) throw new BencodeError('no value', at)
  if (end - at > MAX_DIGITS || !Number.isSafeInteger(value)) throw new BencodeError('a number too large', at)
  if (bytes[at] === ZERO && end - at > 1) throw new BencodeError('a number with leading zeros', at)
  return { end, value }
}
