/**
 * A host's shelf of many large shards that it has hashed before: sparse files, and the records that a host would
 * have written. Their hashes are made up, which nobody can tell before a byte is asked for, or those of what
 * such a file holds, a header and zeros.
 */
import { createHash, hash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { identityOf } from '../../src/library/identity.ts'
import { ShardRecords } from '../../src/library/records.ts'
import { silentLog } from '../../src/log.ts'
import { buildInfo } from '../../src/metainfo/create.ts'
import { pieceCountOf, pieceLengthFor } from '../../src/metainfo/piece-length.ts'
import { writeSparseModel } from '../helpers/gguf.ts'

export interface Shelf {
  readonly folder: string
  readonly stateDir: string
  readonly torrentsDir: string
  readonly infoHashes: readonly string[]
  readonly pieceLength: number
}

export interface ShelfOptions {
  readonly shards: number
  readonly bytes: number
  /** With the hashes of what the files hold: their bytes can be served. */
  readonly isServed?: boolean
}

export async function makeShelf(
  home: string,
  { shards, bytes, isServed = false }: ShelfOptions,
): Promise<Shelf> {
  const folder = join(home, 'shards')
  const stateDir = join(home, 'state')
  await mkdir(folder, { recursive: true })
  const records = new ShardRecords(stateDir, silentLog)
  await records.load()
  const infoHashes: string[] = []
  const pieceLength = pieceLengthFor(bytes)
  for (let index = 0; index < shards; index++) {
    const name = `shelf-${String(index).padStart(4, '0')}.gguf`
    const path = join(folder, name)
    const header = await writeSparseModel(path, bytes, name)
    const pieces = isServed
      ? hashesOf(header, bytes, pieceLength)
      : madeUpHashes(pieceCountOf(bytes, pieceLength), index)
    const info = buildInfo({ name, length: bytes, pieceLength, pieces })
    const sha256 = createHash('sha256').update(name).digest('hex')
    await records.save({ ...info, path, identity: await identityOf(path), sha256 })
    infoHashes.push(info.infoHash)
  }
  return { folder, stateDir, torrentsDir: join(home, 'torrents'), infoHashes, pieceLength }
}

/** The hashes of a header and zeros; there are several pieces. */
function hashesOf(header: Uint8Array, bytes: number, pieceLength: number): Uint8Array {
  const piece = Buffer.alloc(pieceLength)
  const zeros = hash('sha1', piece, 'buffer')
  piece.set(header)
  const first = hash('sha1', piece, 'buffer')
  const rest = bytes % pieceLength
  const hashes = Array.from({ length: Math.floor(bytes / pieceLength) }, () => zeros)
  hashes[0] = first
  return Buffer.concat(rest === 0 ? hashes : [...hashes, hash('sha1', Buffer.alloc(rest), 'buffer')])
}

/** As random as hashes are, so that nothing compresses or compares better than it would. */
function madeUpHashes(count: number, seed: number): Uint8Array {
  const stream = createHash('shake256', { outputLength: count * 20 })
  return stream.update(String(seed)).digest()
}
