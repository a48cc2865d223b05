/**
 * One file hashed by two threads. SHA-256 of the whole can only be reckoned from front to back, by the file's
 * own thread; the SHA-1 of its pieces can be reckoned by anybody. The pieces lie in groups, and whoever claims a
 * group first does it: a helper runs a little ahead of the file's own thread, which does itself what the helper
 * has not come to. So neither waits for the other, a helper may come late, go early or die, and the second
 * reading of a byte finds it in the page cache: a cold disk is read once.
 */
import { createHash, hash } from 'node:crypto'
import { readSync } from 'node:fs'
import type { FileIdentity } from './identity.ts'

/** What both threads see of one file. */
export interface HashShare {
  readonly path: string
  readonly identity: FileIdentity
  readonly length: number
  readonly pieceLength: number
  /** See {@link CANCELLED} and its neighbours. */
  readonly control: Int32Array
  /** One {@link FREE}, {@link OWN}, {@link HELPED} or {@link HASHED} a group. */
  readonly groups: Int32Array
  /** 20 bytes a piece. */
  readonly digests: Uint8Array
}

/** Words of the control block. Set by the pool: the file is no longer wanted. */
export const CANCELLED = 0
/** Set by the pool: the helper is to leave. */
export const LEAVE = 1
/** Set by the pool: whether a thread is lent to this file. */
export const LENT = 2
/** The group that the file's own thread is at, … */
const POSITION = 3
/** … and how many the helper has done, which is only waited for. */
const HELPED_COUNT = 4
const CONTROL_WORDS = 5

const FREE = 0
const OWN = 1
const HELPED = 2
const HASHED = 3

const DIGEST_LENGTH = 20

/** Read and hashed at once: large enough for few calls, small enough to stay in a core's own cache. */
export const CHUNK_LENGTH: number = 256 * 1024

/**
 * How far a helper runs ahead: far enough that neither waits for the other, near enough that what it has read
 * is surely still in the page cache when the other comes by.
 */
const WINDOW_LENGTH: number = 32 * 1024 * 1024

/** Nothing is lost by looking up from a wait; a notice might be, if the thread that owes it died. */
const WAIT_MS = 20

/** The file ended before the length it had when it was opened. */
export class CutShort extends Error {}

/** The pool wants the file no longer. */
export class Cancelled extends Error {}

/** For the pool, which makes it before it is known how long the file is. */
export function newControl(): Int32Array {
  return new Int32Array(new SharedArrayBuffer(CONTROL_WORDS * Int32Array.BYTES_PER_ELEMENT))
}

/** Opens a file for both threads. */
export function newShare(
  file: Pick<HashShare, 'path' | 'identity' | 'length' | 'pieceLength'>,
  control: Int32Array,
): HashShare {
  const pieces = Math.ceil(file.length / file.pieceLength)
  const groups = Math.ceil(file.length / groupLength(file))
  return {
    ...file,
    control,
    groups: new Int32Array(new SharedArrayBuffer(groups * Int32Array.BYTES_PER_ELEMENT)),
    digests: new Uint8Array(new SharedArrayBuffer(pieces * DIGEST_LENGTH)),
  }
}

/**
 * The file's own thread: reads all of it.
 * @param onRead called with each chunk in order, and where it ends; the buffer is used again afterwards.
 * @returns the SHA-1 of the pieces, in memory of their own.
 * @throws {@link CutShort}, {@link Cancelled}, and what reading and `onRead` throw
 */
export function hashWhole(
  fd: number,
  share: HashShare,
  onRead: (chunk: Uint8Array, end: number) => void,
): Uint8Array {
  const { control, groups, digests } = share
  const buffer = chunkBuffer(share)
  for (let group = 0; group < groups.length; group++) {
    const hasher = claim(groups, group, OWN) ? new PieceHasher(share, group) : null
    readGroup(fd, share, { group, buffer }, (chunk, end) => {
      onRead(chunk, end)
      hasher?.update(chunk)
    })
    if (hasher !== null) Atomics.store(groups, group, HASHED)
    Atomics.store(control, POSITION, group + 1)
    Atomics.notify(control, POSITION)
  }
  finish(fd, share, buffer)
  return new Uint8Array(digests)
}

/** What a helper claimed and has not done: it is waited for while there is one, and done here after that. */
function finish(fd: number, share: HashShare, buffer: Buffer): void {
  const { control, groups } = share
  for (let group = 0; group < groups.length; ) {
    const helped = Atomics.load(control, HELPED_COUNT)
    const isLent = Atomics.load(control, LENT) === 1
    const state = Atomics.load(groups, group)
    if (state === HASHED) {
      group++
    } else if (state === HELPED && isLent) {
      if (Atomics.load(control, CANCELLED) === 1) throw new Cancelled()
      Atomics.wait(control, HELPED_COUNT, helped, WAIT_MS)
    } else {
      hashGroup(fd, share, { group, buffer })
    }
  }
}

/**
 * The helper: claims groups ahead of the file's own thread until there are none, or it is told to leave. A
 * group that it could not read is left to the other, who will say why.
 */
export function helpHash(fd: number, share: HashShare): void {
  const { control, groups } = share
  const buffer = chunkBuffer(share)
  const window = Math.max(2, Math.floor(WINDOW_LENGTH / groupLength(share)))
  for (let group = 0; ; ) {
    if (Atomics.load(control, LEAVE) === 1 || Atomics.load(control, CANCELLED) === 1) return
    const position = Atomics.load(control, POSITION)
    group = Math.max(group, position)
    if (group >= groups.length) return
    if (group > position + window) {
      Atomics.wait(control, POSITION, position, WAIT_MS)
    } else if (claim(groups, group, HELPED)) {
      try {
        hashGroup(fd, share, { group, buffer })
      } catch (error) {
        Atomics.store(groups, group, FREE)
        throw error
      } finally {
        Atomics.add(control, HELPED_COUNT, 1)
        Atomics.notify(control, HELPED_COUNT)
      }
    } else group++
  }
}

interface At {
  readonly group: number
  readonly buffer: Buffer
}

function hashGroup(fd: number, share: HashShare, at: At): void {
  const hasher = new PieceHasher(share, at.group)
  readGroup(fd, share, at, (chunk) => hasher.update(chunk))
  Atomics.store(share.groups, at.group, HASHED)
}

function claim(groups: Int32Array, group: number, by: number): boolean {
  return Atomics.compareExchange(groups, group, FREE, by) === FREE
}

/** One piece, or as many small ones as fit a chunk. */
function groupLength({ pieceLength }: Pick<HashShare, 'pieceLength'>): number {
  return pieceLength * Math.max(1, Math.floor(CHUNK_LENGTH / pieceLength))
}

function chunkBuffer(share: HashShare): Buffer {
  return Buffer.allocUnsafeSlow(Math.min(CHUNK_LENGTH, groupLength(share), share.length))
}

function readGroup(
  fd: number,
  share: HashShare,
  { group, buffer }: At,
  onRead: (chunk: Uint8Array, end: number) => void,
): void {
  const start = group * groupLength(share)
  const end = Math.min(start + groupLength(share), share.length)
  for (let position = start; position < end; ) {
    if (Atomics.load(share.control, CANCELLED) === 1) throw new Cancelled()
    const wanted = Math.min(buffer.length, end - position)
    for (let filled = 0; filled < wanted; ) {
      const read = readSync(fd, buffer, filled, wanted - filled, position + filled)
      if (read === 0) throw new CutShort()
      filled += read
    }
    position += wanted
    onRead(wanted === buffer.length ? buffer : buffer.subarray(0, wanted), position)
  }
}

/** SHA-1 of the pieces of one group, fed in order by chunks that hold whole pieces, or lie in one. */
class PieceHasher {
  readonly #share: HashShare
  #piece: number
  #pieceFilled = 0
  #running: ReturnType<typeof createHash> | undefined

  constructor(share: HashShare, group: number) {
    this.#share = share
    this.#piece = (group * groupLength(share)) / share.pieceLength
  }

  update(chunk: Uint8Array): void {
    const { pieceLength } = this.#share
    if (pieceLength <= CHUNK_LENGTH) {
      for (let at = 0; at < chunk.length; at += pieceLength) {
        // In one call, which costs less than a hash object that is fed once.
        this.#store(hash('sha1', chunk.subarray(at, at + pieceLength), 'buffer'))
      }
      return
    }
    this.#running ??= createHash('sha1')
    this.#running.update(chunk)
    this.#pieceFilled += chunk.length
    const start = this.#piece * pieceLength
    if (this.#pieceFilled === Math.min(pieceLength, this.#share.length - start))
      this.#store(this.#running.digest())
  }

  #store(digest: Uint8Array): void {
    this.#share.digests.set(digest, this.#piece++ * DIGEST_LENGTH)
  }
}
