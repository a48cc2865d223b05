/** Shards that were found not to be what was hashed, though the file system saw no change. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { renameSync } from 'node:fs'
import { mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { buildInfo } from '../../src/metainfo/create.ts'
import { writeModel } from '../helpers/gguf.ts'
import { inOllama, tagInOllama } from '../helpers/model-stores.ts'
import { makeWorld, type World } from './library-kit.ts'

const BYTES = 200_000

/** One shard, hashed and remembered, and the library stopped. */
async function hashedOnce({ root, start }: World): Promise<void> {
  await writeModel(join(root, 'a.gguf'), { bytes: BYTES, seed: 1 })
  const kit = await start()
  await kit.heard('shard', 'a.gguf')
  await kit.library.stop()
}

/**
 * A record that names other content under the same identity is what rot looks like: times cannot be set back. Gives
 * the path of its shard.
 */
async function rotRecord({ root, stateDir }: World, name = 'a.gguf'): Promise<string> {
  const path = join(root, name)
  const file = join(stateDir, 'shards', `${createHash('sha1').update(path).digest('hex')}.json`)
  const record = JSON.parse(await readFile(file, 'utf8'))
  const pieces = new Uint8Array(20)
  const { infoHash } = buildInfo({ ...record, pieces })
  await writeFile(
    file,
    JSON.stringify({ ...record, infoHash, pieces: Buffer.from(pieces).toString('base64') }),
  )
  return path
}

test('a shard that was only suspected is one again, and its record says so', async (t) => {
  const world = await makeWorld(t)
  await hashedOnce(world)
  const kit = await world.start()
  const before = await kit.heard('shard', 'a.gguf')
  kit.library.recheck(join(world.root, 'a.gguf'), 'a read failed once')
  assert.equal(await kit.heard('shard', 'a.gguf', 2), before)
  await kit.library.stop()
  const after = await world.start()
  await after.heard('shard', 'a.gguf')
  assert.equal(after.hashes(), 0)
})

test('a suspect that could not be looked at for a while is still one', async (t) => {
  const world = await makeWorld(t)
  const [disk, away] = [join(world.root, '..', 'disk'), join(world.root, '..', 'disk.away')]
  await mkdir(disk)
  await writeModel(join(disk, 'a.gguf'), { bytes: BYTES, seed: 1 })
  await symlink(join(disk, 'a.gguf'), join(world.root, 'a.gguf'))
  const before = await world.start()
  await before.heard('shard', 'a.gguf')
  await before.library.stop()
  const path = await rotRecord(world)
  const kit = await world.start({ rescanMs: 100 })
  await kit.heard('shard', 'a.gguf')
  renameSync(disk, away) // with no look between this and the next
  kit.library.recheck(path, 'piece 0 is not what was hashed')
  await kit.heard('rejected', 'a.gguf')
  await rename(away, disk)
  assert.match(await kit.heard('rejected', 'a.gguf', 2), /^rotten/)
  await kit.library.stop()
  assert.match(await (await world.start()).heard('rejected', 'a.gguf'), /^rotten/)
})

test('bytes that went bad are not passed on under a path that comes before', async (t) => {
  const world = await makeWorld(t)
  const target = join(world.root, '..', 'file')
  await writeModel(target, { bytes: BYTES, seed: 1 })
  await symlink(target, join(world.root, 'b.gguf'))
  const before = await world.start()
  await before.heard('shard', 'b.gguf')
  await before.library.stop()
  const path = await rotRecord(world, 'b.gguf')
  await symlink(target, join(world.root, 'a.gguf'))
  const kit = await world.start()
  await kit.heard('alias', 'a.gguf')
  kit.library.recheck(path, 'piece 0 is not what was hashed')
  assert.match(await kit.heard('rejected', 'b.gguf'), /^rotten/)
  assert.match(await kit.heard('rejected', 'a.gguf'), /^rotten/)
  assert.equal(kit.shards.length, 1)
})

test('a suspect is read again, though the file is seeded under the name of another set, too', async (t) => {
  const world = await makeWorld(t)
  const names = ['a-00001-of-00001.gguf', 'b-00001-of-00001.gguf'] as const
  await writeModel(join(world.root, names[0]), { bytes: BYTES, seed: 1 })
  await symlink(names[0], join(world.root, names[1]))
  const before = await world.start()
  for (const name of names) await before.heard('shard', name)
  await before.library.stop()
  // The first of them is looked at first, so that the other follows it.
  const path = await rotRecord(world, names[0])
  const kit = await world.start()
  for (const name of names) await kit.heard('shard', name)
  kit.library.recheck(path, 'piece 0 is not what was hashed')
  assert.match(await kit.heard('rejected', names[0]), /^rotten/)
  await kit.library.stop()
  const again = await world.start()
  for (const name of names) assert.match(await again.heard('rejected', name), /^rotten/)
})

test('a suspect that is called otherwise by the time it is hashed is not called rotten for its name', async (t) => {
  const { root, start } = await makeWorld(t)
  const tag = 'registry.ollama.ai/library/tiny'
  const { blob, sha256 } = await inOllama(root, { bytes: BYTES, seed: 1, tags: [`${tag}/latest`] })
  let hashes = 0
  const failHash = () => (hashes++ > 0 ? Object.assign(new Error('read'), { code: 'EIO' }) : undefined)
  const kit = await start({ failHash })
  const file = relative(root, blob)
  await kit.heard('shard', file)
  kit.library.recheck(blob, 'a read failed')
  await kit.heard('rejected', file)
  await kit.library.stop()
  await tagInOllama(root, `${tag}/1b`, sha256)
  const again = await start()
  await again.heard('shard', file)
  assert.equal(again.shards[0]?.name, 'tiny-1b.gguf')
  assert.deepEqual(again.of(file), ['hashing', 'shard'])
})

test('bytes that went bad where they lay are not passed on as a new shard', async (t) => {
  const world = await makeWorld(t)
  await hashedOnce(world)
  const shard = await rotRecord(world)
  const kit = await world.start()
  const name = 'a.gguf'
  await kit.heard('shard', name)
  kit.library.recheck(shard, 'piece 0 is not what was hashed')
  assert.match(await kit.heard('gone', name), /piece 0/)
  assert.match(await kit.heard('rejected', name), /^rotten: its bytes are not what they were/)
  // Nor after a restart, which would otherwise find a whole GGUF file it knows nothing of.
  await kit.library.stop()
  const again = await world.start()
  assert.match(await again.heard('rejected', name), /^rotten/)
  assert.ok(!again.of(name).includes('shard'))
  // Copied again, it is a shard like any other; so it is after one more restart.
  await writeFile(shard, await readFile(shard))
  const healed = await again.heard('shard', name)
  await again.library.stop()
  const last = await world.start()
  assert.equal(await last.heard('shard', name), healed)
  assert.equal(last.hashes(), 0)
})
