/**
 * Hashes one file in one pass: the SHA-1 pieces of its torrent and the SHA-256 of the whole. Runs in a worker
 * thread, and knows nothing of threads. The file's identity is taken before and after, at the open descriptor
 * (was it written to?) and at the path (is it still this file?): any difference throws the result away.
 */
import { createHash } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { UsageError } from '../errors.ts'
import { createInfo, type TorrentInfo } from '../metainfo/create.ts'
import { type FileIdentity, identityOf, identityOfStats, sameIdentity } from './identity.ts'

/** Which file, the name its torrent gives it, and the length of the pieces. */
export interface HashJob {
  readonly path: string
  readonly name: string
  readonly pieceLength: number
}

/** A file whose bytes were read in whole while it did not change. */
export interface HashedFile extends TorrentInfo {
  readonly kind: 'hashed'
  readonly identity: FileIdentity
  /** 64 hex digits. */
  readonly sha256: string
}

/** `changed`: it was written to, replaced or removed meanwhile, and nothing is known of its content. */
export type HashResult = HashedFile | { readonly kind: 'changed' }

/** Small pieces are read several at once (256 KiB pieces: 450 instead of 330 MiB/s measured), … */
const MIN_CHUNK_LENGTH: number = 2 * 1024 * 1024

/** … and a stranger's large ones bit by bit, as a few chunks are always in flight. */
const MAX_CHUNK_LENGTH: number = 4 * 1024 * 1024

/** Opening must not block for ever on a FIFO that took the file's place. */
const OPEN_FLAGS = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

/**
 * Reads and hashes the file.
 * @throws what opening and reading throw; the signal's reason; UsageError `not-a-file` or `empty`
 */
export async function hashFile(
  { path, name, pieceLength }: HashJob,
  {
    signal,
    onProgress,
  }: { readonly signal?: AbortSignal; readonly onProgress?: (hashedBytes: number) => void } = {},
): Promise<HashResult> {
  const file = await open(path, OPEN_FLAGS)
  try {
    const stats = await file.stat({ bigint: true })
    if (!stats.isFile()) throw new UsageError('not-a-file', `${path} is not a regular file`)
    const identity = identityOfStats(stats)
    if (identity.size === 0n) throw new UsageError('empty', `${path} is empty; there is nothing to share`)
    const sha256 = createHash('sha256')
    const chunkLength = Math.min(Math.max(pieceLength, MIN_CHUNK_LENGTH), MAX_CHUNK_LENGTH)
    const chunks = readChunks(file, Number(identity.size), chunkLength, (chunk, hashedBytes) => {
      signal?.throwIfAborted()
      sha256.update(chunk)
      onProgress?.(hashedBytes)
    })
    const info = await createInfo(chunks, { name, pieceLength })
    const unchanged =
      sameIdentity(identity, await identityOf(file)) &&
      (await identityOf(path).then(
        (now) => sameIdentity(identity, now),
        () => false,
      ))
    if (!unchanged) return { kind: 'changed' }
    return { kind: 'hashed', ...info, identity, sha256: sha256.digest('hex') }
  } catch (error) {
    if (error instanceof CutShort) return { kind: 'changed' }
    throw error
  } finally {
    await file.close()
  }
}

/** The file ended before the length it had when it was opened. */
class CutShort extends Error {}

/** The file from start to end, each chunk in memory of its own, as create-torrent may hold on to it. */
async function* readChunks(
  file: FileHandle,
  length: number,
  chunkLength: number,
  onChunk: (chunk: Uint8Array, readBytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for (let position = 0; position < length; ) {
    const buffer = new Uint8Array(Math.min(chunkLength, length - position))
    let filled = 0
    while (filled < buffer.byteLength) {
      const { bytesRead } = await file.read(buffer, filled, buffer.byteLength - filled, position + filled)
      if (bytesRead === 0) throw new CutShort()
      filled += bytesRead
    }
    position += filled
    onChunk(buffer, position)
    yield buffer
  }
}
