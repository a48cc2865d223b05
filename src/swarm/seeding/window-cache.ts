/**
 * One memory budget for everything that is read for uploads, whatever the number of shards and of peers
 * that ask: what was read is kept here, and only so many reads are under way at once.
 */

/** 8 MiB keep what several peers ask for at once; the kernel's page cache does the rest. */
const DEFAULT_BUDGET_BYTES = 8 * 1024 * 1024

/** Reads under way at once: Node's thread pool does four, and a first read is a whole piece of up to 16 MiB. */
const PARALLEL_READS = 4

/** Memory kept for the next windows: what is let go of is only given back when the collector comes by. */
const MAX_IDLE = 16

/** Reading ahead helps one or two fast peers; with more, what was read ahead would push out what is in use. */
const MAX_PINNED_FOR_READ_AHEAD = 5

/** Least-recently-used windows (byte ranges of shards) within a fixed number of bytes. */
export class WindowCache {
  readonly #budgetBytes: number
  readonly #windows = new Map<string, Buffer>()
  readonly #waiting: (() => void)[] = []
  /** How many sockets still send from a window. */
  readonly #pins = new Map<Buffer, number>()
  #idle: Buffer[] = []
  #bytes = 0
  #reading = 0

  constructor(budgetBytes: number = DEFAULT_BUDGET_BYTES) {
    this.#budgetBytes = budgetBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** True while few windows are sent from, and nobody waits for a read. */
  get isIdle(): boolean {
    return this.#reading < PARALLEL_READS && this.#pins.size < MAX_PINNED_FOR_READ_AHEAD
  }

  get(key: string): Buffer | undefined {
    const window = this.#windows.get(key)
    if (window !== undefined) {
      this.#windows.delete(key) // a Map keeps insertion order: put it last, as the most recent
      this.#windows.set(key, window)
    }
    return window
  }

  set(key: string, window: Buffer): void {
    this.#remove(key)
    this.#windows.set(key, window)
    this.#bytes += window.length
    for (const oldest of this.#windows.keys()) {
      if (this.#bytes <= this.#budgetBytes) return
      this.#remove(oldest)
    }
  }

  /** Memory for a window, used again: fresh memory for each costs more than to read into it. */
  take(length: number): Buffer {
    const at = this.#idle.findIndex((buffer) => buffer.length === length)
    return at >= 0 ? this.#idle.splice(at, 1)[0]! : Buffer.allocUnsafeSlow(length)
  }

  /** The window's memory is not used for another until it is unpinned. */
  pin(window: Buffer): void {
    this.#pins.set(window, (this.#pins.get(window) ?? 0) + 1)
  }

  unpin(window: Buffer): void {
    const pins = (this.#pins.get(window) ?? 1) - 1
    if (pins > 0) {
      this.#pins.set(window, pins)
      return
    }
    this.#pins.delete(window)
    this.#reuse(window)
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
    this.#reuse(window)
  }

  /** Memory that was taken and is not needed any more. */
  give(memory: Buffer): void {
    this.#idle.push(memory)
    // The oldest goes: lengths that nobody asks for again would take all places in the end.
    if (this.#idle.length > MAX_IDLE) this.#idle.shift()
  }

  /** Not at once: whoever was waiting for this window takes from it in this turn of the event loop. */
  #reuse(window: Buffer): void {
    setImmediate(() => {
      if (!this.#pins.has(window) && !this.#idle.includes(window) && !this.#isKept(window)) this.give(window)
    })
  }

  #isKept(window: Buffer): boolean {
    for (const kept of this.#windows.values()) if (kept === window) return true
    return false
  }
}
