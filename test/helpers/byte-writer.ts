/** Writes the values of a GGUF file, byte by byte. */

/**
 * Value types of GGUF metadata; the index is the number in the file. Not taken from the reader that is tested with it: a
 * wrong number there would be right here.
 */
export const VALUE_TYPES = [
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

export type ValueType = (typeof VALUE_TYPES)[number]

export type Plain = number | bigint | boolean | string | Items

export interface Items {
  readonly of: ValueType
  readonly items: readonly Plain[]
}

/** Appends numbers and strings in the byte order of one file. */
export class ByteWriter {
  readonly littleEndian: boolean
  #buffer = Buffer.alloc(1024)
  #view = new DataView(this.#buffer.buffer, this.#buffer.byteOffset)
  #length = 0

  constructor(littleEndian = true) {
    this.littleEndian = littleEndian
  }

  get length(): number {
    return this.#length
  }

  /** What was written so far; valid until the next write. */
  get bytes(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }

  raw(bytes: Uint8Array): this {
    // Making room may replace the buffer, so it must come first; so it must in the methods below.
    const at = this.#reserve(bytes.length)
    this.#buffer.set(bytes, at)
    return this
  }

  zeros(count: number): this {
    this.#reserve(count)
    return this
  }

  string(text: string): this {
    const bytes = Buffer.from(text)
    return this.plain('u64', bytes.length).raw(bytes)
  }

  /** One value without its type. */
  plain(type: ValueType, plain: Plain): this {
    const le = this.littleEndian
    if (type === 'string') return this.string(String(plain))
    if (type === 'array') return this.#items(plain as Items)
    this.#number(type, plain as number | bigint | boolean, le)
    return this
  }

  #number(type: Exclude<ValueType, 'string' | 'array'>, plain: number | bigint | boolean, le: boolean): void {
    const wide = { u8: 1, i8: 1, bool: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4, u64: 8, i64: 8, f64: 8 }[
      type
    ]
    const at = this.#reserve(wide)
    const number = Number(plain)
    if (type === 'u64' || type === 'i64') this.#view.setBigUint64(at, BigInt.asUintN(64, BigInt(plain)), le)
    else if (type === 'f32') this.#view.setFloat32(at, number, le)
    else if (type === 'f64') this.#view.setFloat64(at, number, le)
    else if (wide === 4) this.#view.setUint32(at, number, le)
    else if (wide === 2) this.#view.setUint16(at, number, le)
    else this.#view.setUint8(at, number)
  }

  #items({ of, items: list }: Items): this {
    this.plain('u32', VALUE_TYPES.indexOf(of)).plain('u64', list.length)
    for (const item of list) this.plain(of, item)
    return this
  }

  /** Makes room for `count` zero bytes and gives where they begin. */
  #reserve(count: number): number {
    const at = this.#length
    this.#length += count
    if (this.#length > this.#buffer.length) {
      const grown = Buffer.alloc(Math.max(this.#length, this.#buffer.length * 2))
      grown.set(this.#buffer)
      this.#buffer = grown
      this.#view = new DataView(grown.buffer, grown.byteOffset)
    }
    return at
  }
}
