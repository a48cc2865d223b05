/**
 * Files that this process fetched, hashed and named itself: the next look at one takes it over as it is, with no
 * rest and no second hash.
 */
import { buildInfo } from '../metainfo/create.ts'
import { isAsMade, type ShardRecord } from './records.ts'

/** One file that waits for its look. */
export interface Adoption {
  readonly record: ShardRecord
  /** Says whether it is seeded now. */
  readonly decide: (isSeeded: boolean) => void
}

/** What waits, by path. */
export class Adoptions {
  readonly #waiting = new Map<string, Adoption>()
  readonly #signal: AbortSignal

  /** @param signal aborted when no look will come any more */
  constructor(signal: AbortSignal) {
    this.#signal = signal
    signal.addEventListener('abort', () => {
      for (const { decide } of this.#waiting.values()) decide(false)
      this.#waiting.clear()
    })
  }

  /** Resolves once a look at the file has decided; a look is the caller's to ask for. */
  offer(record: ShardRecord): Promise<boolean> {
    if (this.#signal.aborted || !isTrue(record)) return Promise.resolve(false)
    return new Promise((resolve) => {
      this.#waiting.get(record.path)?.decide(false)
      this.#waiting.set(record.path, { record, decide: resolve })
    })
  }

  /**
   * What a look that begins now decides. One offered during a look waits for the next: what this one sees may be
   * older than the record.
   */
  take(path: string): Adoption | undefined {
    const adoption = this.#waiting.get(path)
    this.#waiting.delete(path)
    return adoption
  }
}

/** A torrent of another make has an infohash that hashing the file again would not give. */
function isTrue(record: ShardRecord): boolean {
  return isAsMade(record) && buildInfo(record).infoHash === record.infoHash
}
