/** Hashes one file of a library and judges what came out: a record to seed by, or why there is none. */
import { systemCode } from '../errors.ts'
import { pieceLengthFor } from '../metainfo/piece-length.ts'
import { brokenPromise, promisedSha256 } from './blob-name.ts'
import type { HashedFile, HashOptions, HashPool } from './hash-pool.ts'
import { type FileIdentity, sameIdentity } from './identity.ts'
import { FAILED_EARLY, unreadable } from './look.ts'
import type { ShardRecord } from './records.ts'
import { FOR_GOOD, type Verdict } from './shard-state.ts'
import { ROTTEN } from './suspects.ts'

export interface ShardToHash {
  readonly path: string
  readonly name: string
  /** As it was when it was found to be whole. */
  readonly identity: FileIdentity
}

/** `changed`: it is not, or no longer, what was to be hashed. */
export type HashedShard =
  | { readonly kind: 'whole'; readonly record: ShardRecord }
  | { readonly kind: 'changed' }
  /** A late failure came after much of it was read. */
  | { readonly kind: 'refused'; readonly verdict: Verdict; readonly isLateFailure: boolean }

/** @param isRotten whether these hashes cannot be, as the file has not changed since it had others */
export async function hashShard(
  { path, name, identity }: ShardToHash,
  pool: Pick<HashPool, 'hash'>,
  isRotten: (hashed: HashedFile) => boolean,
  options: HashOptions,
): Promise<HashedShard> {
  try {
    const hashed = await pool.hash(
      { path, name, pieceLength: pieceLengthFor(Number(identity.size)) },
      options,
    )
    if (hashed.kind === 'changed' || !sameIdentity(hashed.identity, identity)) return { kind: 'changed' }
    if (isRotten(hashed)) return refused({ ...ROTTEN, ...FOR_GOOD })
    const promised = await promisedSha256(path)
    if (promised !== null && promised !== hashed.sha256) {
      return refused({ ...brokenPromise(promised, hashed.sha256), ...FOR_GOOD })
    }
    const { kind: _, ...content } = hashed
    return { kind: 'whole', record: { ...content, path } }
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return { kind: 'changed' }
    // Again at a rescan, as the disk may be back; but one that fails is not read from end to end every minute.
    const isLateFailure = !FAILED_EARLY.has(systemCode(error))
    return refused({ ...unreadable(error), retry: true, isOfContent: false }, isLateFailure)
  }
}

const refused = (verdict: Verdict, isLateFailure = false): HashedShard => ({
  kind: 'refused',
  verdict,
  isLateFailure,
})
