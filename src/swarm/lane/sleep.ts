/**
 * Notices that this process was stopped for a while (SIGSTOP, a laptop's lid, a machine that swaps): whoever looks
 * after others a few times a second must not hold against them that it looked away.
 */

/** Between two looks that are due every half second; a machine that is merely busy keeps them closer. */
const ASLEEP_MS = 5_000

export class SleepWatch {
  #lookedAt: number

  /** @param now milliseconds of a clock that nobody sets, as in `slept` */
  constructor(now: number) {
    this.#lookedAt = now
  }

  /** To be called at every look: was this process asleep since the last one? */
  slept(now: number): boolean {
    const gapMs = now - this.#lookedAt
    this.#lookedAt = now
    return gapMs > ASLEEP_MS
  }
}
