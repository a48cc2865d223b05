import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { Partial } from '../../../src/fleet/download/partial.ts'
import { parseInfoHash } from '../../../src/metainfo/info-hash.ts'
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
