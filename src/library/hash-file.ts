/** A file's hashes and the torrent that they make. */
import { buildInfo, type TorrentInfo } from '../metainfo/create.ts'
import { type HashedBytes, type HashedResult, type HashOptions, hashBytes } from './hash-bytes.ts'

/** Which file, the name its torrent gives it, and the length of the pieces. */
export interface HashJob {
  readonly path: string
  readonly name: string
  readonly pieceLength: number
}

/** A file whose bytes were read in whole while it did not change. */
export interface HashedFile extends TorrentInfo, Omit<HashedBytes, 'pieces'> {}

/** `changed`: it was written to, replaced or removed meanwhile, and nothing is known of its content. */
export type HashResult = HashedFile | { readonly kind: 'changed' }

/**
 * Reads and hashes the file, and is busy with it to the end: for threads that have nothing else to do.
 * @throws what opening and reading throw; UsageError `not-a-file`, `empty` or `bad-name`
 */
export function hashFile(job: HashJob, options: HashOptions = {}): HashResult {
  return withInfo(job, hashBytes(job.path, job.pieceLength, options))
}

/** The info dictionary around hashes that a thread has found: forty kilobytes, and no work. */
export function withInfo({ name, pieceLength }: HashJob, result: HashedResult): HashResult {
  if (result.kind === 'changed') return result
  const { kind, identity, sha256, length, pieces } = result
  return { kind, identity, sha256, ...buildInfo({ name, length, pieceLength, pieces }) }
}
