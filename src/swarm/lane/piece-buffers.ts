/**
 * The memory of all downloads of the process: buffers of one piece each, taken when a piece is begun and given
 * back when it is on disk, so that memory neither grows with the file nor is handed to the garbage collector.
 */

/**
 * Pieces under way at once, of all torrents: 3,000 blocks, or three of the longest pieces, of which one arrives, one
 * is asked for and one is written and checked. A `get` is to stay below 200 MB.
 */
const DEFAULT_BUDGET_BYTES = 48 * 1024 * 1024

export class PieceBuffers {
  readonly #budgetBytes: number
  #idle: Buffer[] = []
  #bytes = 0

  constructor(budgetBytes: number = DEFAULT_BUDGET_BYTES) {
    this.#budgetBytes = budgetBytes
  }

  /** Bytes held, in use or idle. */
  get bytes(): number {
    return this.#bytes
  }

  /** A buffer of that length; null beyond the budget, unless the caller `must` have one to go on at all. */
  take(length: number, must: boolean): Buffer | null {
    const at = this.#idle.findLastIndex((buffer) => buffer.length === length)
    if (at >= 0) return this.#idle.splice(at, 1)[0]!
    if (this.#bytes + length > this.#budgetBytes) this.trim()
    if (this.#bytes + length > this.#budgetBytes && !must) return null
    this.#bytes += length
    return Buffer.from(new SharedArrayBuffer(length)) // the thread that writes it sees the same memory
  }

  give(buffer: Buffer): void {
    if (this.#bytes > this.#budgetBytes) this.#bytes -= buffer.length
    else this.#idle.push(buffer)
  }

  /** Lets go of what is not in use. */
  trim(): void {
    for (const { length } of this.#idle) this.#bytes -= length
    this.#idle = []
  }
}
