/** Shards on disk, with the records of a host that hashed them. */
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { TestContext } from 'node:test'
import { FileShelf } from '../../src/fleet/file-shelf.ts'
import { hashFile } from '../../src/library/hash-file.ts'
import { ShardRecords } from '../../src/library/records.ts'
import { silentLog } from '../../src/log.ts'
import { pieceLengthFor } from '../../src/metainfo/piece-length.ts'
import { writeModel } from '../helpers/gguf.ts'
import { temporaryFolder } from '../helpers/temp.ts'

export const SHARD_BYTES = 2_500_000

/** Shards of these names; each has a byte more than the one before. */
export async function makeShelf(t: TestContext, names: readonly string[]) {
  const folder = await temporaryFolder(t)
  const [shards, state] = [join(folder, 'shards'), join(folder, 'state')]
  await mkdir(shards)
  const records = new ShardRecords(state, silentLog)
  await records.load()
  const files = []
  for (const [seed, name] of names.entries()) {
    const path = join(shards, String(seed), name)
    await mkdir(join(shards, String(seed)))
    await writeModel(path, { bytes: SHARD_BYTES + seed, seed })
    const hashed = hashFile({ path, name: basename(name), pieceLength: pieceLengthFor(SHARD_BYTES + seed) })
    assert.ok(hashed.kind === 'hashed')
    await records.save({ ...hashed, path })
    files.push({ path, infoHash: hashed.infoHash, sha256: hashed.sha256, bytes: await readFile(path) })
  }
  return { shelf: new FileShelf(state), files, records, folder }
}
