/**
 * One memory budget for everything that is read for uploads, whatever the number of shards and of peers
 * that ask: what was read is kept here, and only so many reads are under way at once.
 */

/** 64 MiB keeps the windows of some 60 uploads; the kernel's page cache does the rest. */
const DEFAULT_BUDGET_BYTES = 64 * 1024 * 1024

/** Reads under way at once: Node's thread pool does four, and a first read is a whole piece of up to 16 MiB. */
const PARALLEL_READS = 4

/** Least-recently-used windows (byte ranges of shards) within a fixed number of bytes. */
export class WindowCache {
  readonly #budgetBytes: number
  readonly #windows = new Map<string, Uint8Array>()
  readonly #waiting: (() => void)[] = []
  #bytes = 0
  #reading = 0

  constructor(budgetBytes: number = DEFAULT_BUDGET_BYTES) {
    this.#budgetBytes = budgetBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  get(key: string): Uint8Array | undefined {
    const window = this.#windows.get(key)
    if (window !== undefined) {
      this.#windows.delete(key) // a Map keeps insertion order: put it last, as the most recent
      this.#windows.set(key, window)
    }
    return window
  }

  set(key: string, window: Uint8Array): void {
    this.#remove(key)
    this.#windows.set(key, window)
    this.#bytes += window.length
    for (const oldest of this.#windows.keys()) {
      if (this.#bytes <= this.#budgetBytes) return
      this.#remove(oldest)
    }
  }

  /** Runs `read` when its turn has come, first come, first served. */
  async read<T>(read: () => Promise<T>): Promise<T> {
    if (this.#reading >= PARALLEL_READS) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    else this.#reading++
    try {
      return await read()
    } finally {
      const next = this.#waiting.shift()
      if (next === undefined) this.#reading--
      else next() // it takes over this one's place
    }
  }

  /** Drops every window whose key begins with `prefix`. */
  clear(prefix: string): void {
    for (const key of [...this.#windows.keys()]) if (key.startsWith(prefix)) this.#remove(key)
  }

  #remove(key: string): void {
    const window = this.#windows.get(key)
    if (window === undefined) return
    this.#windows.delete(key)
    this.#bytes -= window.length
  }
}
