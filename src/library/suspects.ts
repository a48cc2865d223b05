/** Shards that somebody found not to be what was hashed although the file system saw no change. */
import { sameIdentity } from './identity.ts'
import type { ShardRecord } from './records.ts'

/** Said of a file whose bytes went bad where they lay. */
export const ROTTEN = {
  code: 'rotten',
  reason:
    'its bytes are not what they were, and the file system saw no change; check the disk, and copy the file again',
}

type Content = Pick<ShardRecord, 'identity' | 'pieceLength' | 'pieces' | 'sha256'>

/** What is remembered of suspected files, by path. */
export class Suspects {
  readonly #reasons = new Map<string, string>()
  readonly #withdrawn = new Map<string, Content & { readonly times: number }>()
  readonly #failedReads = new Map<string, number>()

  /** A read of the file found it wrong. */
  accuse(path: string, reason: string): void {
    this.#reasons.set(path, reason)
  }

  /** The reason of an accusation that was not dealt with yet; asking deals with it. */
  take(path: string): string | undefined {
    const reason = this.#reasons.get(path)
    this.#reasons.delete(path)
    return reason
  }

  /** The shard was withdrawn on suspicion; what it turns out to be is compared with this. */
  withdraw(path: string, { identity, pieceLength, pieces, sha256 }: Content): void {
    const times = this.timesOf(path) + 1
    this.#withdrawn.set(path, { identity, pieceLength, pieces, sha256, times })
  }

  /** How often in a row the file was withdrawn on suspicion. */
  timesOf(path: string): number {
    return this.#withdrawn.get(path)?.times ?? 0
  }

  /** Reading the whole file failed, perhaps after hours. */
  readFailed(path: string): void {
    this.#failedReads.set(path, this.failedReadsOf(path) + 1)
  }

  /** How often in a row the file could not be read to its end. */
  failedReadsOf(path: string): number {
    return this.#failedReads.get(path) ?? 0
  }

  /** The file was read to its end. */
  readWell(path: string): void {
    this.#failedReads.delete(path)
  }

  /** Other content than before under the same identity: that is damage, not a new shard. */
  isRotten(path: string, found: Content): boolean {
    const before = this.#withdrawn.get(path)
    return (
      before !== undefined && sameIdentity(before.identity, found.identity) && !sameContent(before, found)
    )
  }

  /** The file changed in the open, or is gone: nothing is held against what comes next. */
  clear(path: string): void {
    this.#reasons.delete(path)
    this.#withdrawn.delete(path)
    this.#failedReads.delete(path)
  }
}

/** Whatever it was called then, and is called now: the infohash would tell the names apart, too. */
function sameContent(a: Content, b: Content): boolean {
  return a.pieceLength === b.pieceLength ? Buffer.compare(a.pieces, b.pieces) === 0 : a.sha256 === b.sha256
}
