/** A disk that is too small, or fills up while a download runs; on a file system of our own, which takes root. */
import assert from 'node:assert/strict'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeModel } from '../helpers/gguf.ts'
import { skipUnless } from '../helpers/requirements.ts'
import { MOUNTS, SmallDisk } from '../helpers/small-disk.ts'
import {
  assertGot,
  ended,
  PATIENCE_MS,
  runGet,
  scratchFolder,
  startBootstrap,
  startGet,
  startHost,
  theError,
  visibleFiles,
} from '../helpers/swarm.ts'

const MIB = 1024 * 1024
const BYTES = 30 * MIB

test('a disk without room', { skip: skipUnless(MOUNTS) }, async (t) => {
  const folder = await scratchFolder(t)
  const { path: tiny } = await SmallDisk.mount(t, join(folder, 'tiny'), '24m')
  const { path: filling } = await SmallDisk.mount(t, join(folder, 'filling'), '64m')
  await mkdir(join(folder, 'shards'))
  const original = join(folder, 'shards', 'a.gguf')
  await writeModel(original, { bytes: BYTES, seed: 1 })
  const { address: bootstrap } = await startBootstrap(t)
  const host = await startHost(t, join(folder, 'shards'), { bootstrap, args: ['--upload-limit', '4M'] })
  const { infoHash } = await host.announced('a.gguf')
  const args = ['--peer', await host.address()]

  await t.test('is told before anything is fetched', async (t) => {
    const got = await runGet(t, [infoHash], { bootstrap, out: tiny, args })
    assert.equal(got.code, 5, got.stderr)
    const { code, message } = theError(got)
    assert.equal(code, 'ENOSPC')
    for (const words of ['a.gguf', tiny, 'free some space', '--out'])
      assert.ok(message.includes(words), message)
    assert.deepEqual(await visibleFiles(tiny), [])
    t.diagnostic(message)
  })

  await t.test('that fills up meanwhile: told, and gone on with when there is room', async (t) => {
    const get = startGet(t, [infoHash], { bootstrap, out: filling, args })
    await get.waitForEvent('progress', {
      timeoutMs: PATIENCE_MS,
      where: (event) => event.verifiedBytes > MIB,
    })
    const filler = join(filling, '.filler')
    await writeFile(filler, Buffer.alloc(64 * MIB)).catch((error) => assert.equal(error.code, 'ENOSPC'))
    const got = await ended(get)
    assert.equal(got.code, 5, got.stderr)
    const { code, message } = theError(got)
    assert.equal(code, 'ENOSPC')
    for (const words of [filling, 'the disk is full', 'free some space'])
      assert.ok(message.includes(words), message)
    assert.deepEqual(await visibleFiles(filling), [])
    t.diagnostic(message)

    await rm(filler)
    const again = await runGet(t, [infoHash], { bootstrap, out: filling, args })
    await assertGot(again, [original])
    const first = again.events.find((event) => event.event === 'progress')
    assert.ok(first !== undefined && first.verifiedBytes > 0, 'what was there before is not fetched again')
  })
})
