/** Shards that change, go and come back under a library that watches them. */
import assert from 'node:assert/strict'
import { copyFile, mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { UsageError } from '../../src/errors.ts'
import { writeModel } from '../helpers/gguf.ts'
import { until } from '../helpers/until.ts'
import { makeWorld, TIMES } from './library-kit.ts'

const BYTES = 300_000

test('rename in, rename over, touch and delete', async (t) => {
  const { root, start } = await makeWorld(t)
  const kit = await start()
  const [outside, other] = [join(root, '..', 'outside'), join(root, '..', 'other')]
  await writeModel(outside, { bytes: BYTES, seed: 9 })
  await writeModel(other, { bytes: BYTES, seed: 10 })
  const path = join(root, 'a.gguf')
  await rename(outside, path)
  const first = await kit.heard('shard', 'a.gguf')
  await rename(other, path)
  const second = await kit.heard('shard', 'a.gguf', 2)
  assert.notEqual(second, first)
  await utimes(path, new Date(), new Date(1_600_000_000_000))
  assert.equal(await kit.heard('shard', 'a.gguf', 3), second)
  await rm(path)
  assert.match(await kit.heard('gone', 'a.gguf', 3), /removed/)
  assert.deepEqual(
    kit.of('a.gguf'),
    [...['hashing', 'shard', 'gone'], ...['hashing', 'shard', 'gone'], ...['hashing', 'shard', 'gone']],
    JSON.stringify(kit.told),
  )
  assert.deepEqual(kit.library.entries(), [])
})

test('changed while it is hashed: the result is thrown away and the new content seeded', async (t) => {
  const { root, start } = await makeWorld(t)
  const path = join(root, 'a.gguf')
  await writeModel(path, { bytes: 48 * 1024 * 1024, seed: 11 })
  const kit = await start()
  await kit.heard('hashing', 'a.gguf')
  await writeModel(`${path}.new`, { bytes: BYTES, seed: 12 })
  await rename(`${path}.new`, path)
  await kit.heard('shard', 'a.gguf')
  assert.equal(kit.shards.at(-1)?.length, BYTES)
  assert.equal(kit.of('a.gguf').at(-1), 'shard')
})

test('found not to be what was hashed although nothing shows: withdrawn, hashed again', async (t) => {
  const { root, start } = await makeWorld(t)
  const path = join(root, 'a.gguf')
  await writeModel(path, { bytes: BYTES, seed: 13 })
  const kit = await start()
  const infoHash = await kit.heard('shard', 'a.gguf')
  kit.library.recheck(path, 'piece 0 is not what was hashed')
  assert.match(await kit.heard('gone', 'a.gguf'), /piece 0/)
  assert.equal(await kit.heard('shard', 'a.gguf', 2), infoHash)
  kit.library.recheck(join(root, 'nothing.gguf'))
  kit.library.recheck(path)
  await kit.heard('shard', 'a.gguf', 3)
  assert.equal(kit.hashes(), 3)
})

test('the same content under two paths is reported twice, with the same infohash for the same name', async (t) => {
  const { root, start } = await makeWorld(t)
  await mkdir(join(root, 'copy'))
  await writeModel(join(root, 'a.gguf'), { bytes: BYTES, seed: 16 })
  await copyFile(join(root, 'a.gguf'), join(root, 'copy', 'a.gguf'))
  await copyFile(join(root, 'a.gguf'), join(root, 'other name.gguf'))
  const kit = await start()
  const hashes = [
    await kit.heard('shard', 'a.gguf'),
    await kit.heard('shard', join('copy', 'a.gguf')),
    await kit.heard('shard', 'other name.gguf'),
  ]
  assert.equal(hashes[0], hashes[1])
  assert.notEqual(hashes[0], hashes[2])
})

test('the root: missing, a file, removed and made again while it is watched', async (t) => {
  const { root, stateDir, start } = await makeWorld(t)
  await rm(root, { recursive: true })
  await assert.rejects(start(), (error) => error instanceof UsageError && error.message.includes(root))
  await writeFile(root, 'x')
  await assert.rejects(start(), (error) => error instanceof UsageError && error.code === 'bad-folder')
  await rm(root)
  await mkdir(root)
  await writeModel(join(root, 'a.gguf'), { bytes: BYTES, seed: 17 })
  const kit = await start({ rescanMs: 300 })
  await kit.heard('shard', 'a.gguf')
  // Moved away and back, as a disk that is unmounted for a while: the same files need no hashing.
  await rename(root, `${stateDir}.away`)
  await kit.heard('gone', 'a.gguf')
  await until(() => kit.warnings.length, { timeoutMs: 30_000 })
  await rename(`${stateDir}.away`, root)
  await kit.heard('shard', 'a.gguf', 2)
  assert.equal(kit.hashes(), 1)
  assert.equal(kit.warnings.length, 1)
  await rm(root, { recursive: true })
  await kit.heard('gone', 'a.gguf', 2)
  await mkdir(root)
  await writeModel(join(root, 'b.gguf'), { bytes: BYTES, seed: 18 })
  await kit.heard('shard', 'b.gguf')
})

test('nothing is told after stop, and a stopped library can be stopped again', async (t) => {
  const { root, start } = await makeWorld(t)
  await writeModel(join(root, 'a.gguf'), { bytes: 48 * 1024 * 1024, seed: 19 })
  const kit = await start()
  await kit.heard('hashing', 'a.gguf')
  await Promise.all([kit.library.stop(), kit.library.stop()])
  const before = kit.told.length
  await writeModel(join(root, 'b.gguf'), { bytes: BYTES, seed: 20 })
  await delay(TIMES.settleMs * 2)
  assert.equal(kit.told.length, before)
})
