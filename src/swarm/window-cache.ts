/** One memory budget for everything that is read for uploads, whatever the number of shards. */

/** 64 MiB keeps the windows of some 60 uploads; the kernel's page cache does the rest. */
const DEFAULT_BUDGET_BYTES = 64 * 1024 * 1024

/** Least-recently-used windows (byte ranges of shards) within a fixed number of bytes. */
export class WindowCache {
  readonly #budgetBytes: number
  readonly #windows = new Map<string, Uint8Array>()
  #bytes = 0

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
