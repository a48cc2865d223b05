/** Bytes a second over the last few seconds, for next to nothing: one addition a block. */

/** Long enough to be calm, short enough to follow. */
const SECONDS = 5

export class RateMeter {
  /** Bytes of each of the last seconds, and of the one that runs. */
  readonly #buckets = new Float64Array(SECONDS + 1)
  #second = Math.floor(performance.now() / 1000)

  add(bytes: number): void {
    this.#forward()
    this.#buckets[this.#second % this.#buckets.length]! += bytes
  }

  get bytesPerSecond(): number {
    this.#forward()
    const running = this.#buckets[this.#second % this.#buckets.length] ?? 0
    const total = this.#buckets.reduce((sum, bytes) => sum + bytes, 0)
    const first = total - running
    // In the first second there is nothing but the one that runs.
    return Math.round(first > 0 ? first / SECONDS : running)
  }

  #forward(): void {
    const now = Math.floor(performance.now() / 1000)
    const passed = Math.min(now - this.#second, this.#buckets.length)
    for (let step = 1; step <= passed; step++) this.#buckets[(this.#second + step) % this.#buckets.length] = 0
    this.#second = now
  }
}

/**
 * A meter as a wire has it, in place of the engine's own, which asks for the time in nanoseconds with every call. Who tells
 * of bytes does not look at what it returns.
 */
export function speedometer(): (bytes?: number) => number {
  const meter = new RateMeter()
  return (bytes = 0) => {
    if (bytes === 0) return meter.bytesPerSecond
    meter.add(bytes)
    return 0
  }
}
