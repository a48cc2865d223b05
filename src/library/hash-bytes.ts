/**
 * Hashes one file in one pass: the SHA-1 of its pieces and the SHA-256 of the whole. Runs in a worker thread,
 * which it keeps busy to the end. The file's identity is taken before and after, at the open descriptor
 * (was it written to?) and at the path (is it still this file?): any difference throws the result away.
 */
import { createHash } from 'node:crypto'
import { closeSync, fstatSync, openSync, statSync } from 'node:fs'
import { UsageError } from '../errors.ts'
import { READ_FLAGS } from '../open-flags.ts'
import { CutShort, type HashShare, hashWhole, helpHash, newControl, newShare } from './hash-share.ts'
import { type FileIdentity, identityOfStats, sameIdentity } from './identity.ts'

/** What was found in a file that was read in whole while it did not change. */
export interface HashedBytes {
  readonly kind: 'hashed'
  readonly identity: FileIdentity
  readonly length: number
  /** 20 bytes a piece. */
  readonly pieces: Uint8Array
  /** 64 hex digits. */
  readonly sha256: string
}

/** `changed`: it was written to, replaced or removed meanwhile, and nothing is known of its content. */
export type HashedResult = HashedBytes | { readonly kind: 'changed' }

export interface HashOptions {
  /** Shared with whoever may cancel. */
  readonly control?: Int32Array
  readonly onProgress?: (hashedBytes: number) => void
  /** Before it is read: another thread may help with it from now on. */
  readonly onOpened?: (share: HashShare) => void
}

/**
 * Reads and hashes the file.
 * @throws what opening and reading throw; Cancelled; UsageError `not-a-file` or `empty`
 */
export function hashBytes(
  path: string,
  pieceLength: number,
  { control = newControl(), onProgress, onOpened }: HashOptions = {},
): HashedResult {
  const fd = openSync(path, READ_FLAGS)
  try {
    const stats = fstatSync(fd, { bigint: true })
    if (!stats.isFile()) throw new UsageError('not-a-file', `${path} is not a regular file`)
    const identity = identityOfStats(stats)
    if (identity.size === 0n) throw new UsageError('empty', `${path} is empty; there is nothing to share`)
    const length = Number(identity.size)
    const share = newShare({ path, identity, length, pieceLength }, control)
    onOpened?.(share)
    const sha256 = createHash('sha256')
    const pieces = hashWhole(fd, share, (chunk, end) => {
      sha256.update(chunk)
      onProgress?.(end)
    })
    const isSame = sameIdentity(identity, identityOfStats(fstatSync(fd, { bigint: true })))
    if (!isSame || !standsAt(path, identity)) return { kind: 'changed' }
    return { kind: 'hashed', identity, length, pieces, sha256: sha256.digest('hex') }
  } catch (error) {
    if (error instanceof CutShort) return { kind: 'changed' }
    throw error
  } finally {
    closeSync(fd)
  }
}

/**
 * Helps with a file that another thread has opened.
 * @throws what opening and reading throw, Cancelled; whatever it is, the other thread does what is left
 */
export function helpHashBytes(share: HashShare): void {
  const fd = openSync(share.path, READ_FLAGS)
  try {
    // Another file by now: the other thread will find that out at its end, and these bytes are none of its.
    if (sameIdentity(share.identity, identityOfStats(fstatSync(fd, { bigint: true })))) helpHash(fd, share)
  } finally {
    closeSync(fd)
  }
}

function standsAt(path: string, identity: FileIdentity): boolean {
  const stats = statSync(path, { bigint: true, throwIfNoEntry: false })
  return stats !== undefined && sameIdentity(identity, identityOfStats(stats))
}
