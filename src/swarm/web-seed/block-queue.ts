/** The blocks a web seed was asked for, in order, and the longest stretches of the file they make. */

/** One block, by its place in the file. */
export interface FileBlock {
  readonly piece: number
  readonly offset: number
  readonly at: number
  readonly length: number
}

/** Blocks that follow each other in the file. */
export interface Stretch {
  readonly start: number
  readonly end: number
  readonly blocks: readonly FileBlock[]
}

export class BlockQueue {
  #blocks: FileBlock[] = []

  add(block: FileBlock): void {
    this.#blocks.push(block)
  }

  /** Forgets a block; false when it is not waiting. */
  remove(at: number): boolean {
    const index = this.#blocks.findIndex((block) => block.at === at)
    if (index >= 0) this.#blocks.splice(index, 1)
    return index >= 0
  }

  /** Takes the first block and those that follow it in the file, `maxBytes` at most; null when none waits. */
  take(maxBytes: number): Stretch | null {
    const [first] = this.#blocks
    if (first === undefined) return null
    const blocks: FileBlock[] = []
    let end = first.at
    for (const block of this.#blocks) {
      if (block.at !== end || end + block.length - first.at > maxBytes) break
      blocks.push(block)
      end += block.length
    }
    this.#blocks.splice(0, blocks.length)
    return { start: first.at, end, blocks }
  }

  /** Blocks that did not come are waiting again, before the others. */
  putBack(blocks: readonly FileBlock[]): void {
    this.#blocks = [...blocks, ...this.#blocks]
  }

  clear(): void {
    this.#blocks = []
  }
}
