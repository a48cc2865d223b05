/** Bytes that look random but are the same in every run, for files that tests make. */

/** An endless stream of bytes that only depends on the seed (xorshift32; it repeats after 16 GiB). */
export class SeededBytes {
  #state: number

  constructor(seed: number) {
    // Neighbouring seeds must give unlike streams, and a state of zero would stay zero for ever.
    const mixed = Math.imul((seed ^ (seed >>> 16)) + 0x9e3779b9, 0x85ebca6b)
    this.#state = (mixed ^ (mixed >>> 13)) >>> 0 || 1
  }

  /** The next 32 bits as an unsigned number. */
  nextUint32(): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x
    return x >>> 0
  }

  /** The next `length` bytes, rounded up to whole 32-bit words of the stream; the same on every machine. */
  next(length: number): Uint8Array {
    const words = new Uint32Array(Math.ceil(length / 4))
    let x = this.#state
    for (let index = 0; index < words.length; index++) {
      x ^= x << 13
      x ^= x >>> 17
      x ^= x << 5
      words[index] = x
    }
    this.#state = x
    return new Uint8Array(words.buffer, 0, length)
  }
}
