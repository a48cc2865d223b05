/** Choices that only depend on a seed, for tests that try many moments and orders. */
import { SeededBytes } from './seeded-bytes.ts'

/** Of tests that differ each time; each prints it, and `GGUF_TEST_SEED=… node --test FILE` does the same again. */
export const TEST_SEED: number = Number(process.env['GGUF_TEST_SEED'] ?? Date.now() % 1_000_000)

/** Numbers from 0 up to 1. */
export function randomFrom(seed: number): () => number {
  const bytes = new SeededBytes(seed)
  return () => bytes.nextUint32() / 2 ** 32
}

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
