/** A file that was fetched, hashed and named by this very process: seeded at once, and never hashed again. */
import assert from 'node:assert/strict'
import { appendFile, link, mkdir, rename, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { hashFile } from '../../src/library/hash-file.ts'
import { identityOf } from '../../src/library/identity.ts'
import type { ShardRecord } from '../../src/library/records.ts'
import { pieceLengthFor } from '../../src/metainfo/piece-length.ts'
import { writeModel } from '../helpers/gguf.ts'
import { TEST_SEED } from '../helpers/random.ts'
import { SeededBytes } from '../helpers/seeded-bytes.ts'
import { type Kit, makeWorld, TIMES, type World } from './library-kit.ts'

const BYTES = 300_000
/** Longer than a file takes to settle, be hashed and be looked at again. */
const QUIET_MS = TIMES.settleMs * 5

/** A model in a hidden folder, hashed there, as a download leaves it. */
async function fetched(world: World, seed = 1): Promise<{ hidden: string; record: ShardRecord }> {
  const folder = join(world.root, '.hidden')
  await mkdir(folder, { recursive: true })
  const hidden = join(folder, `data-${seed}`)
  await writeModel(hidden, { bytes: BYTES, seed })
  return { hidden, record: await recordOf(hidden, join(world.root, 'a.gguf')) }
}

async function recordOf(file: string, path: string): Promise<ShardRecord> {
  const name = basename(path)
  const hashed = await hashFile({ path: file, name, pieceLength: pieceLengthFor(BYTES) })
  assert.ok(hashed.kind === 'hashed')
  const { kind: _, ...content } = hashed
  return { ...content, path }
}

/** Gives it its name the way a download does, with events for a watcher at each step, and adopts it. */
async function published({ hidden, record }: { hidden: string; record: ShardRecord }): Promise<ShardRecord> {
  await link(hidden, record.path)
  await rm(hidden)
  return { ...record, identity: await identityOf(record.path) }
}

async function assertUnread(kit: Kit, quietMs = QUIET_MS): Promise<void> {
  await pause(quietMs) // nothing is to happen for so long
  assert.equal(kit.hashes(), 0)
  assert.deepEqual(kit.of('a.gguf'), ['shard'])
}

test('is seeded at once, whatever the watcher says of it', async (t) => {
  const world = await makeWorld(t)
  const kit = await world.start()
  const record = await published(await fetched(world))
  assert.equal(await kit.library.adopt(record), true)
  assert.deepEqual(kit.of('a.gguf'), ['shard'], 'told before the adoption is')
  assert.equal(kit.shards[0]?.infoHash, record.infoHash)
  assert.equal(kit.shards[0]?.relativePath, 'a.gguf')
  await assertUnread(kit)
  assert.equal(await kit.library.adopt(record), true, 'again is no news')
  await kit.library.stop()

  const after = await world.start({ times: { momentMs: 60_000, settleMs: 60_000 } })
  await after.heard('shard', 'a.gguf')
  assert.equal(after.hashes(), 0, 'its record was kept')
})

test('before, during and after the events of the watcher: always unread, told once', async (t) => {
  t.diagnostic(`seed ${TEST_SEED}`)
  const random = new SeededBytes(TEST_SEED)
  // So long that a busy machine does not begin to hash the file before it is adopted.
  const settleMs = 3_000
  const round = async (seed: number, afterMs: number): Promise<void> => {
    const world = await makeWorld(t)
    const kit = await world.start({ times: { settleMs } })
    const record = await published(await fetched(world, seed))
    await pause(afterMs)
    kit.library.recheck(record.path) // a look may be under way
    assert.equal(await kit.library.adopt(record), true, `after ${afterMs} ms`)
    await assertUnread(kit, settleMs * 1.5)
    await kit.library.stop()
  }
  await Promise.all(Array.from(random.next(12), (byte, at) => round(at + 1, byte % (TIMES.settleMs / 2))))
})

test('while the library hashes it already: that hash is given up', async (t) => {
  const world = await makeWorld(t)
  const kit = await world.start({ times: { momentMs: 0, settleMs: 0 } })
  const record = await published(await fetched(world))
  assert.equal(await kit.library.adopt(record), true)
  await pause(QUIET_MS)
  assert.deepEqual(
    kit.of('a.gguf').filter((what) => what !== 'hashing'),
    ['shard'],
  )
})

async function assertOrdinary(
  t: TestContext,
  change: (record: ShardRecord) => Promise<ShardRecord>,
): Promise<void> {
  const world = await makeWorld(t)
  const kit = await world.start()
  const record = await change(await published(await fetched(world)))
  assert.equal(await kit.library.adopt(record), false)
  await kit.heard('shard', 'a.gguf')
  assert.equal(kit.hashes(), 1)
  assert.notDeepEqual(kit.shards[0]?.identity, record.identity)
}

test('a file that is not what was hashed any more goes the ordinary way', async (t) => {
  await assertOrdinary(t, async (record) => {
    await appendFile(record.path, 'x')
    return record
  })
  await assertOrdinary(t, async (record) => {
    await writeModel(join(record.path, '..', '.other'), { bytes: BYTES, seed: 9 })
    await rename(join(record.path, '..', '.other'), record.path)
    return record
  })
})

test('what another would hash otherwise, lies elsewhere or is gone is not taken over', async (t) => {
  const world = await makeWorld(t)
  const kit = await world.start()
  const record = await published(await fetched(world))
  const { library } = kit
  assert.equal(await library.adopt({ ...record, pieceLength: record.pieceLength * 2 }), false)
  assert.equal(await library.adopt({ ...record, pieces: record.pieces.map((byte) => byte ^ 1) }), false)
  assert.equal(await library.adopt({ ...record, name: 'b.gguf' }), false)
  assert.equal(await library.adopt({ ...record, path: join(world.root, '..', 'a.gguf') }), false)
  await rm(record.path)
  assert.equal(await library.adopt(record), false)
  assert.deepEqual(kit.shards, [])
})

test('a library that stops answers at once, and so does one that has stopped', async (t) => {
  const world = await makeWorld(t)
  const kit = await world.start()
  const record = await published(await fetched(world))
  const adopting = kit.library.adopt(record)
  await kit.library.stop()
  await adopting
  assert.equal(await kit.library.adopt(record), false)
})

test('removed and changed afterwards: withdrawn and hashed like any other', async (t) => {
  const world = await makeWorld(t)
  const kit = await world.start()
  const record = await published(await fetched(world))
  assert.equal(await kit.library.adopt(record), true)
  await writeModel(record.path, { bytes: BYTES, seed: 5 })
  await kit.heard('shard', 'a.gguf', 2)
  assert.equal(kit.hashes(), 1)
  await rm(record.path)
  await kit.heard('gone', 'a.gguf', 2)
})
