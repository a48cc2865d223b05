/** Choices that only depend on a seed, for tests that try many moments and orders. */
import { SeededBytes } from './seeded-bytes.ts'

export class Random {
  readonly #bytes: SeededBytes

  constructor(seed: number) {
    this.#bytes = new SeededBytes(seed)
  }

  /** A whole number from 0 to below `end`. */
  below(end: number): number {
    return this.#bytes.nextUint32() % end
  }

  /** A whole number, both ends included. */
  between(first: number, last: number): number {
    return first + this.below(last - first + 1)
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }
}
