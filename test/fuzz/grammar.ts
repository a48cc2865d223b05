/** Input that is nearly right: what the formats' grammars give, with a few things wrong. */
import bencode from 'bencode'
import fc, { type Arbitrary } from 'fast-check'

/** Integers at the edges of what anybody reads into, and some small ones. */
export const nastyInteger: Arbitrary<number> = fc.oneof(
  fc.constantFrom(0, 1, -1, 2, 19, 20, 21, 255, 65_535, 65_536, 16_384, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1),
  fc.constantFrom(-(2 ** 31), 2 ** 53 - 1, -(2 ** 53) + 1, 262_144),
  fc.integer(),
)

/** Byte strings, often of the lengths that hashes and compact addresses have. */
export const nastyBytes: Arbitrary<Uint8Array> = fc
  .tuple(fc.constantFrom(0, 1, 6, 12, 18, 19, 20, 21, 26, 32, 52, 64), fc.integer({ min: 0, max: 255 }))
  .chain(([length, fill]) =>
    fc.oneof(
      fc.constant(new Uint8Array(length).fill(fill)),
      fc.uint8Array({ minLength: length, maxLength: length }),
      fc.uint8Array({ maxLength: 300 }),
    ),
  )

/** Any value that bencode can write, of any type where another is expected. */
export const nastyValue: Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    nastyBytes,
    nastyInteger,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(
      fc.oneof(fc.string({ maxLength: 8 }), fc.constantFrom('length', '__proto__', 'id')),
      tie('value'),
      {
        maxKeys: 5,
      },
    ),
  ),
})).value

/** Nearly always the first. */
export const usually = <T>(good: Arbitrary<T>, rare: Arbitrary<T>): Arbitrary<T> =>
  fc.oneof({ weight: 10, arbitrary: good }, { weight: 1, arbitrary: rare })

/** `good` most of the time, and sometimes anything, or nothing. */
const mostly = (good: Arbitrary<unknown>): Arbitrary<unknown> =>
  fc.oneof(
    { weight: 24, arbitrary: good },
    { weight: 1, arbitrary: nastyValue },
    { weight: 1, arbitrary: fc.constant(undefined) },
  )

type Fields = Readonly<Record<string, Arbitrary<unknown>>>

/** A value whose fields are mostly right. */
export const recordOf = (fields: Fields): Arbitrary<Record<string, never>> =>
  fc
    .record(Object.fromEntries(Object.entries(fields).map(([key, good]) => [key, mostly(good)])))
    .map(withoutUndefined)

/** The same in bencode, sometimes with more beside them. */
export const dictionaryOf = (fields: Fields): Arbitrary<Uint8Array> =>
  fc
    .tuple(
      recordOf(fields),
      fc.oneof(
        { weight: 6, arbitrary: fc.constant({}) },
        { weight: 1, arbitrary: fc.dictionary(fc.string(), nastyValue) },
      ),
    )
    .map(([known, more]) => bencode.encode({ ...more, ...known } as never))

/** Bencode has no word for it. */
function withoutUndefined(fields: object): Record<string, never> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never
}

/** One change to some bytes. */
type Edit = (bytes: Buffer) => Buffer

const edit: Arbitrary<Edit> = fc
  .tuple(
    fc.nat({ max: 1 << 20 }),
    fc.integer({ min: 0, max: 5 }),
    fc.nat({ max: 255 }),
    fc.uint8Array({ maxLength: 8 }),
  )
  .map(([place, kind, byte, more]) => (bytes) => {
    const at = bytes.length === 0 ? 0 : place % bytes.length
    const changed = Buffer.from(bytes)
    switch (kind) {
      case 0:
        if (bytes.length > 0) changed[at] = byte
        return changed
      case 1:
        if (bytes.length > 0) changed[at] = '0123456789-:delix'.charCodeAt(byte % 17)
        return changed
      case 2:
        return changed.subarray(0, at)
      case 3:
        return Buffer.concat([changed.subarray(0, at), more, changed.subarray(at)])
      case 4:
        return Buffer.concat([
          changed.subarray(0, at),
          changed.subarray(Math.min(bytes.length, at + 1 + (byte % 16))),
        ])
      default:
        return Buffer.concat([changed, changed.subarray(at)])
    }
  })

/** The bytes as they are, or with up to four changes. */
export const damaged = (bytes: Arbitrary<Uint8Array>): Arbitrary<Buffer> =>
  fc
    .tuple(
      bytes,
      fc.oneof(
        { weight: 6, arbitrary: fc.constant([]) },
        { weight: 3, arbitrary: fc.array(edit, { maxLength: 4 }) },
      ),
    )
    .map(([whole, edits]) => edits.reduce<Buffer>((part, change) => change(part), Buffer.from(whole)))

/** Text that looks like bencode and often is not: lengths that lie, numbers without end, keys that are none. */
export const almostBencode: Arbitrary<Buffer> = fc
  .letrec<{ value: string; string: string }>((tie) => ({
    string: fc.oneof(
      fc.string({ maxLength: 12 }).map((text) => `${text.length}:${text}`),
      fc
        .tuple(
          fc.oneof(nastyInteger.map(String), fc.constantFrom('-3', '007', '99999999999999999999', '')),
          fc.string({ maxLength: 5 }),
        )
        .map(([length, text]) => `${length}:${text}`),
    ),
    value: fc.oneof(
      { maxDepth: 6, withCrossShrink: true },
      tie('string'),
      fc
        .oneof(nastyInteger.map(String), fc.constantFrom('', '-', '-0', '01', '1e9', '1.5'))
        .map((text) => `i${text}e`),
      fc.array(tie('value'), { maxLength: 4 }).map((parts) => `l${parts.join('')}e`),
      fc
        .array(fc.tuple(tie('string'), tie('value')), { maxLength: 4 })
        .map((parts) => `d${parts.flat().join('')}e`),
      fc
        .tuple(fc.constantFrom('l', 'd1:a', 'li1e'), fc.nat({ max: 80 }))
        .map(([open, depth]) => open.repeat(depth)),
    ),
  }))
  .value.map((text) => Buffer.from(text, 'latin1'))
