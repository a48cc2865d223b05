/**
 * Reads a download back behind its writes: each piece as soon as it is written, which is when it is checked, and
 * all of them in order for the SHA-256 of the whole. What is hashed is what the file holds, not what memory held.
 * Runs in a worker thread; every call is one piece of work at most.
 */
import { createHash, type Hash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import type { HashedResult } from './hash-bytes.ts'
import { CHUNK_LENGTH } from './hash-share.ts'
import { type FileIdentity, identityOfStats, sameIdentity } from './identity.ts'

/** A file of full length, of which some pieces may be there. */
export interface ReadBackJob {
  readonly path: string
  readonly length: number
  readonly pieceLength: number
  /** What its pieces are to be: 20 bytes each. */
  readonly pieces: Uint8Array
  /** Pieces that an earlier run left: each is checked when the SHA-256 comes to it. */
  readonly left: readonly number[]
}

const DIGEST_LENGTH = 20

const MISSING = 0
/** There, and not read yet. */
const LEFT = 1
const RIGHT = 2

interface Digests {
  readonly sha1: Uint8Array
  /** The SHA-256 so far, this piece included. */
  readonly sha256: Hash
}

export class ReadBack {
  readonly #job: ReadBackJob
  readonly #fd: number
  readonly #states: Uint8Array
  /** Of the pieces as the file has them. */
  readonly #digests: Uint8Array
  readonly #buffer: Buffer
  #sha256 = createHash('sha256')
  /** The piece that the SHA-256 has come to. */
  #next = 0
  #endIdentity: FileIdentity | undefined

  /** @throws what opening throws */
  constructor(job: ReadBackJob) {
    this.#job = job
    this.#fd = openSync(job.path, 'r')
    this.#states = new Uint8Array(job.pieces.length / DIGEST_LENGTH)
    for (const index of job.left) this.#states[index] = LEFT
    this.#digests = new Uint8Array(job.pieces.length)
    this.#buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK_LENGTH, job.pieceLength))
  }

  /**
   * Is the piece that was just written right?
   * @throws what reading throws
   */
  check(index: number): boolean {
    const isNext = index === this.#next
    const { sha1, sha256 } = this.#read(index, isNext ? this.#sha256.copy() : null)
    if (Buffer.compare(sha1, this.#expected(index)) !== 0) return false
    this.#digests.set(sha1, index * DIGEST_LENGTH)
    this.#states[index] = RIGHT
    if (isNext) this.#pass(sha256)
    return true
  }

  /** Can the SHA-256 go on? */
  get isBehind(): boolean {
    return (this.#states[this.#next] ?? MISSING) !== MISSING
  }

  /**
   * Goes on with the SHA-256 by one piece.
   * @throws what reading throws
   */
  catchUp(): void {
    const index = this.#next
    const { sha1, sha256 } = this.#read(index, this.#sha256)
    this.#digests.set(sha1, index * DIGEST_LENGTH)
    this.#pass(sha256)
  }

  /** Nothing is written any more: from now on the file must not change. */
  end(): void {
    this.#endIdentity = identityOfStats(fstatSync(this.#fd, { bigint: true }))
  }

  get isEnded(): boolean {
    return this.#endIdentity !== undefined
  }

  /** What the file holds, after {@link end} and when nothing is behind any more. */
  result(): HashedResult {
    const identity = this.#endIdentity
    if (identity === undefined || this.#next < this.#states.length) throw new Error('pieces are missing')
    const now = identityOfStats(fstatSync(this.#fd, { bigint: true }))
    const named = statSync(this.#job.path, { bigint: true, throwIfNoEntry: false })
    const isSame = named !== undefined && sameIdentity(identity, identityOfStats(named))
    if (!isSame || !sameIdentity(identity, now)) return { kind: 'changed' }
    const sha256 = this.#sha256.digest('hex')
    return { kind: 'hashed', identity, length: this.#job.length, pieces: this.#digests, sha256 }
  }

  close(): void {
    closeSync(this.#fd)
  }

  #pass(sha256: Hash): void {
    this.#sha256 = sha256
    this.#next++
  }

  #expected(index: number): Uint8Array {
    return this.#job.pieces.subarray(index * DIGEST_LENGTH, (index + 1) * DIGEST_LENGTH)
  }

  #read(index: number, sha256: Hash | null): Digests {
    const { pieceLength, length } = this.#job
    const sha1 = createHash('sha1')
    const end = Math.min((index + 1) * pieceLength, length)
    for (let at = index * pieceLength; at < end; ) {
      const count = readSync(this.#fd, this.#buffer, 0, Math.min(this.#buffer.length, end - at), at)
      if (count === 0) throw new Error(`${this.#job.path} has become shorter`)
      const chunk = this.#buffer.subarray(0, count)
      sha1.update(chunk)
      sha256?.update(chunk)
      at += count
    }
    return { sha1: sha1.digest(), sha256: sha256 ?? this.#sha256 }
  }
}
