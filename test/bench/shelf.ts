/**
 * A host's shelf of many large shards that it has hashed before: sparse files, and the records that a host would
 * have written. Their hashes are made up; nobody can tell before a byte is asked for.
 */
import { createHash } from 'node:crypto'
import { mkdir, open } from 'node:fs/promises'
import { join } from 'node:path'
import { identityOf } from '../../src/library/identity.ts'
import { ShardRecords } from '../../src/library/records.ts'
import { silentLog } from '../../src/log.ts'
import { buildInfo } from '../../src/metainfo/create.ts'
import { pieceCountOf, pieceLengthFor } from '../../src/metainfo/piece-length.ts'

export interface Shelf {
  readonly folder: string
  readonly stateDir: string
  readonly torrentsDir: string
  readonly infoHashes: readonly string[]
}

export async function makeShelf(
  home: string,
  { shards, bytes }: { readonly shards: number; readonly bytes: number },
): Promise<Shelf> {
  const folder = join(home, 'shards')
  const stateDir = join(home, 'state')
  await mkdir(folder, { recursive: true })
  const records = new ShardRecords(stateDir, silentLog)
  await records.load()
  const infoHashes: string[] = []
  for (let index = 0; index < shards; index++) {
    const name = `shelf-${String(index).padStart(4, '0')}.gguf`
    const path = join(folder, name)
    const file = await open(path, 'w')
    await file.truncate(bytes)
    await file.close()
    const pieceLength = pieceLengthFor(bytes)
    const pieces = madeUpHashes(pieceCountOf(bytes, pieceLength), index)
    const info = buildInfo({ name, length: bytes, pieceLength, pieces })
    const sha256 = createHash('sha256').update(name).digest('hex')
    await records.save({ ...info, path, identity: await identityOf(path), sha256 })
    infoHashes.push(info.infoHash)
  }
  return { folder, stateDir, torrentsDir: join(home, 'torrents'), infoHashes }
}

/** As random as hashes are, so that nothing compresses or compares better than it would. */
function madeUpHashes(count: number, seed: number): Uint8Array {
  const stream = createHash('shake256', { outputLength: count * 20 })
  return stream.update(String(seed)).digest()
}
