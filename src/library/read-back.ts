/**
 * Writes a download and reads it back: each piece as soon as it is written, which is when it is checked, and all of
 * them in order for the SHA-256 of the whole. What is hashed is what the file holds, not what memory held.
 * Runs in a worker thread; every call is one piece of work at most.
 */
import { createHash, type Hash } from 'node:crypto'
import { closeSync, fstatSync, openSync, readSync, statSync, writeSync } from 'node:fs'
import { DATA_FLAGS } from '../open-flags.ts'
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
/**
 * Pieces that were checked before their turn are kept in memory up to so much, so that the SHA-256 need not read (and
 * check) them again. Several peers, or one that reads its disk in its own order, are some megabytes apart.
 */
const MAX_KEPT_BYTES = 8 * 1024 * 1024

const MISSING = 0
/** There, and not read yet. */
const LEFT = 1
const RIGHT = 2

export class ReadBack {
  readonly #job: ReadBackJob
  readonly #fd: number
  readonly #states: Uint8Array
  /** Of the pieces as the file has them. */
  readonly #digests: Uint8Array
  readonly #buffer: Buffer
  /** What was read of pieces whose turn has not come. */
  readonly #kept = new Map<number, Buffer>()
  readonly #spare: Buffer[] = []
  #sha256 = createHash('sha256')
  /** The piece that the SHA-256 has come to. */
  #next = 0
  #endIdentity: FileIdentity | undefined

  /** @throws what opening throws */
  constructor(job: ReadBackJob) {
    this.#job = job
    this.#fd = openSync(job.path, DATA_FLAGS)
    this.#states = new Uint8Array(job.pieces.length / DIGEST_LENGTH)
    for (const index of job.left) this.#states[index] = LEFT
    this.#digests = new Uint8Array(job.pieces.length)
    this.#buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK_LENGTH, job.pieceLength))
  }

  /**
   * Writes a piece and reads it back: is it right?
   * @throws what writing and reading throw
   */
  put(index: number, bytes: Uint8Array): boolean {
    const start = index * this.#job.pieceLength
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#fd, bytes, at, bytes.length - at, start + at)
    const isNext = index === this.#next
    const kept = isNext ? null : this.#keep(index)
    const sha256 = isNext ? this.#sha256.copy() : null
    const sha1 = this.#read(index, sha256, kept)
    if (Buffer.compare(sha1, this.#expected(index)) !== 0) {
      if (kept !== null) this.#letGo(index, kept)
      return false
    }
    this.#digests.set(sha1, index * DIGEST_LENGTH)
    this.#states[index] = RIGHT
    if (sha256 !== null) this.#pass(sha256)
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
    this.#digests.set(this.#read(index, this.#sha256), index * DIGEST_LENGTH)
    this.#pass(this.#sha256)
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

  /** The SHA-256 has taken in one more piece, and takes in those that were kept for it. */
  #pass(sha256: Hash): void {
    this.#sha256 = sha256
    for (let kept = this.#kept.get(++this.#next); kept !== undefined; kept = this.#kept.get(++this.#next)) {
      sha256.update(kept)
      this.#letGo(this.#next, kept)
    }
  }

  /** Memory for a piece before its turn; null when there is none left, or its turn is over. */
  #keep(index: number): Buffer | null {
    const { pieceLength, length } = this.#job
    if (index < this.#next || (this.#kept.size + 1) * pieceLength > MAX_KEPT_BYTES) return null
    const buffer = this.#spare.pop() ?? Buffer.allocUnsafeSlow(pieceLength)
    const kept = buffer.subarray(0, Math.min(pieceLength, length - index * pieceLength))
    this.#kept.set(index, kept)
    return kept
  }

  #letGo(index: number, kept: Buffer): void {
    this.#kept.delete(index)
    if (kept.length === this.#job.pieceLength) this.#spare.push(kept)
  }

  #expected(index: number): Uint8Array {
    return this.#job.pieces.subarray(index * DIGEST_LENGTH, (index + 1) * DIGEST_LENGTH)
  }

  /** Reads a piece, into `kept` where there is one; its SHA-1. The SHA-256 takes it in. */
  #read(index: number, sha256: Hash | null, kept: Buffer | null = null): Uint8Array {
    const { pieceLength, length } = this.#job
    const sha1 = createHash('sha1')
    const start = index * pieceLength
    const end = Math.min(start + pieceLength, length)
    for (let at = start; at < end; ) {
      const free = kept?.subarray(at - start) ?? this.#buffer
      const count = readSync(this.#fd, free, 0, Math.min(CHUNK_LENGTH, free.length, end - at), at)
      if (count === 0) throw new Error(`${this.#job.path} has become shorter`)
      const chunk = free.subarray(0, count)
      sha1.update(chunk)
      sha256?.update(chunk)
      at += count
    }
    return sha1.digest()
  }
}
