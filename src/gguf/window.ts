/**
 * A forward-only view of a file's header through a window of at most 256 KiB. Bytes that are only skipped are
 * never read, and each refill is an awaited read, so a header of many megabytes costs little memory and does
 * not hold up the event loop.
 */
import { FileShrank, grouped, HeaderCut, HeaderRejected } from './problem.ts'

/** Bytes at fixed places, such as a file. */
export interface ByteSource {
  /** How many bytes there are to judge. */
  readonly length: number
  /** Reads bytes from `position` on into `target`, at least one unless there are none; gives how many. */
  read(target: Uint8Array, position: number): Promise<number>
}

/** Big enough that a 16 MB vocabulary takes some 60 reads, small enough that working one off blocks nobody. */
const WINDOW_BYTES = 256 * 1024

/** Eight times the largest header seen (a 262,144 token vocabulary, 15.8 MB). */
const MAX_HEADER_BYTES = 128 * 1024 * 1024

const UINT32_RANGE = 0x1_0000_0000

export class HeaderWindow {
  /** The byte order of all numbers that follow. */
  littleEndian = true
  readonly #source: ByteSource
  readonly #signal: AbortSignal | undefined
  readonly #buffer: Buffer
  readonly #view: DataView
  /** Where in the file the buffer begins, how many of its bytes are filled, and the next one to read. */
  #start = 0
  #filled = 0
  #at = 0

  constructor(source: ByteSource, signal?: AbortSignal) {
    this.#source = source
    this.#signal = signal
    this.#buffer = Buffer.allocUnsafe(Math.min(WINDOW_BYTES, source.length))
    this.#view = new DataView(this.#buffer.buffer, this.#buffer.byteOffset, this.#buffer.length)
  }

  /** How far into the file reading has come. */
  get position(): number {
    return this.#start + this.#at
  }

  /** Throws if `count` more bytes would pass the end of the file or the limit of a header. */
  expect(count: number): void {
    const end = this.position + count
    if (end > MAX_HEADER_BYTES) {
      throw new HeaderRejected(
        'over-limit',
        `its header claims more than ${grouped(MAX_HEADER_BYTES)} bytes, which no model needs; ` +
          'it is damaged, download it again',
      )
    }
    if (end > this.#source.length) throw new HeaderCut(end)
  }

  /** Makes the next `count` bytes (at most a window) readable by the getters below. */
  async need(count: number): Promise<void> {
    if (this.#at + count <= this.#filled) return
    this.expect(count)
    this.#signal?.throwIfAborted()
    this.#buffer.copyWithin(0, this.#at, this.#filled)
    this.#start += this.#at
    this.#filled -= this.#at
    this.#at = 0
    while (this.#filled < count) {
      const wanted = Math.min(this.#buffer.length, this.#source.length - this.#start)
      const target = this.#buffer.subarray(this.#filled, wanted)
      const got = await this.#source.read(target, this.#start + this.#filled)
      if (got === 0) throw new FileShrank()
      this.#filled += got
    }
  }

  /** Moves on by `count` bytes without reading them. */
  skip(count: number): void {
    this.expect(count)
    if (this.#at + count <= this.#filled) {
      this.#at += count
    } else {
      this.#start += this.#at + count
      this.#filled = 0
      this.#at = 0
    }
  }

  /**
   * Moves on by `count` strings, each a 64-bit length and so many bytes. Vocabularies are hundreds of
   * thousands of them, so the loop over those inside the window is synchronous.
   */
  async skipStrings(count: number): Promise<void> {
    for (let left = count; left > 0; ) {
      await this.need(8)
      left -= this.#skipStringsInWindow(left)
    }
  }

  #skipStringsInWindow(most: number): number {
    const le = this.littleEndian
    const low = le ? 0 : 4
    const high = le ? 4 : 0
    let end = this.#at
    let done = 0
    while (done < most && end + 8 <= this.#filled) {
      // Beyond 2^53 the sum is not exact any more, but such lengths are refused by skip() anyhow.
      const upper = this.#view.getUint32(end + high, le) * UINT32_RANGE
      end += 8 + upper + this.#view.getUint32(end + low, le)
      done++
    }
    this.skip(end - this.#at)
    return done
  }

  /** The next bytes, at most `count`, without moving on. */
  async peek(count: number): Promise<Buffer> {
    const there = Math.min(count, this.#source.length - this.position)
    await this.need(there)
    return this.#buffer.subarray(this.#at, this.#at + there)
  }

  /** The next `count` bytes; valid until the next read. */
  bytes(count: number): Buffer {
    const at = this.#take(count)
    return this.#buffer.subarray(at, at + count)
  }

  uint8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  int8(): number {
    return this.#view.getInt8(this.#take(1))
  }

  uint16(): number {
    return this.#view.getUint16(this.#take(2), this.littleEndian)
  }

  int16(): number {
    return this.#view.getInt16(this.#take(2), this.littleEndian)
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4), this.littleEndian)
  }

  int32(): number {
    return this.#view.getInt32(this.#take(4), this.littleEndian)
  }

  uint64(): bigint {
    return this.#view.getBigUint64(this.#take(8), this.littleEndian)
  }

  int64(): bigint {
    return this.#view.getBigInt64(this.#take(8), this.littleEndian)
  }

  float32(): number {
    return this.#view.getFloat32(this.#take(4), this.littleEndian)
  }

  float64(): number {
    return this.#view.getFloat64(this.#take(8), this.littleEndian)
  }

  #take(count: number): number {
    const at = this.#at
    if (at + count > this.#filled) throw new Error('header bytes were read before they were asked for')
    this.#at += count
    return at
  }
}
