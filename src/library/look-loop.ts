/**
 * The one loop that works off what is dirty: paths fall due, each is looked at, a bounded number at a time
 * and never one path twice at once. Marking is cheap and may be done too often; it only ever makes a look
 * earlier.
 */
import { setTimeout as delay } from 'node:timers/promises'

/** How long `stop` waits for work under way: a `stat` on a server that is gone may hang for minutes. */
const STOP_MS = 5_000

export interface LookLoopOptions {
  /** Looks at once. */
  readonly maxLooks: number
  readonly look: (path: string) => Promise<void>
  /** A look or other work failed: a fault of ours, as both handle what the world does. */
  readonly onError: (error: unknown) => void
}

export class LookLoop {
  readonly #options: LookLoopOptions
  /** When to look at which path, by performance.now. */
  readonly #dueAt = new Map<string, number>()
  readonly #busy = new Set<string>()
  readonly #tasks = new Set<Promise<void>>()
  #timer: NodeJS.Timeout | undefined
  #stopped = false

  constructor(options: LookLoopOptions) {
    this.#options = options
  }

  /** Looks at `path` after `afterMs`, or sooner if that was wanted already. */
  mark(path: string, afterMs = 0): void {
    if (this.#stopped) return
    const at = performance.now() + afterMs
    const known = this.#dueAt.get(path)
    if (known !== undefined && known <= at) return
    this.#dueAt.set(path, at)
    this.#wake()
  }

  /** Keeps hold of work that a look began and did not wait for, such as hashing. */
  run(work: Promise<void>): void {
    const task = work
      .catch((error: unknown) => {
        if (!this.#stopped) this.#options.onError(error)
      })
      .finally(() => this.#tasks.delete(task))
    this.#tasks.add(task)
  }

  /** Starts no more looks, and resolves when those under way are over, or hang. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#dueAt.clear()
    clearTimeout(this.#timer)
    const patience = new AbortController()
    const over = Promise.all(this.#tasks).then(() => patience.abort())
    await Promise.race([over, delay(STOP_MS, undefined, { signal: patience.signal }).catch(() => {})])
  }

  #wake(): void {
    clearTimeout(this.#timer)
    if (this.#stopped) return
    let nextAt = Number.POSITIVE_INFINITY
    for (const [path, at] of this.#dueAt) {
      // The end of any look wakes the loop again.
      if (this.#busy.size >= this.#options.maxLooks) return
      if (this.#busy.has(path)) continue
      if (at <= performance.now()) this.#start(path)
      else nextAt = Math.min(nextAt, at)
    }
    if (nextAt === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(() => this.#wake(), Math.max(1, nextAt - performance.now()))
  }

  #start(path: string): void {
    this.#dueAt.delete(path)
    this.#busy.add(path)
    const look = this.#options.look(path).finally(() => {
      this.#busy.delete(path)
      this.#wake()
    })
    this.run(look)
  }
}
