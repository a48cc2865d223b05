/** The hidden folder of downloads under way. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { open, readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Partial } from '../../../src/fleet/download/partial.ts'
import { trustedPieces } from '../../../src/fleet/download/pieces.ts'
import { buildInfo } from '../../../src/metainfo/create.ts'
import { parseInfoHash } from '../../../src/metainfo/info-hash.ts'
import { metainfoFromInfo } from '../../../src/metainfo/metainfo.ts'
import { temporaryFolder } from '../../helpers/temp.ts'

/** Each download of several removes the hidden folder when it leaves it empty, while others are about to enter it. */
test('downloads that begin and end in one folder at once never meet a folder that is gone', async (t) => {
  const out = join(await temporaryFolder(t), 'models')
  const download = async (digit: number): Promise<void> => {
    for (let round = 0; round < 50; round++) {
      const partial = await Partial.open(out, parseInfoHash(String(digit).repeat(40)))
      await partial.discard()
      await partial.release()
    }
  }
  await Promise.all([1, 2, 3, 4].map(download))
  assert.deepEqual(await readdir(out), [])
})

const METAINFO = metainfoFromInfo(
  buildInfo({ name: 'm.gguf', length: 100_000, pieceLength: 262_144, pieces: new Uint8Array(20) }).info,
)
const NOTHING = new Uint8Array(1)

const skip = process.platform !== 'linux' && 'there is no /proc to look into'
test('a data file that cannot be made as long as it is to be is closed again', { skip }, async (t) => {
  const partial = await Partial.open(await temporaryFolder(t), METAINFO.infoHash)
  execFileSync('mkfifo', [partial.path]) // like a file on FAT that is to have 4 GiB
  await assert.rejects(partial.openData(METAINFO, { synced: NOTHING, written: NOTHING }))
  const links = (await readdir('/proc/self/fd')).map((fd) =>
    readlink(join('/proc/self/fd', fd)).catch(() => ''),
  )
  assert.ok(!(await Promise.all(links)).includes(partial.path))
  await partial.discard()
  await partial.release()
})

test('looking for pieces that an earlier run left ends when it is told to', async (t) => {
  await using handle = await open(join(await temporaryFolder(t), 'data'), 'w+')
  const note = { synced: NOTHING, written: new Uint8Array([0xff]) }
  const signal = AbortSignal.abort(new Error('stopped'))
  await assert.rejects(trustedPieces({ handle, note }, METAINFO, signal), /stopped/)
})
