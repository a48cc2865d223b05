/** What a library remembers from one run to the next, and what it does with memories that are wrong. */
import assert from 'node:assert/strict'
import {
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { ShardRecords } from '../../src/library/records.ts'
import { silentLog } from '../../src/log.ts'
import { writeModel } from '../helpers/gguf.ts'
import { until } from '../helpers/until.ts'
import { type Kit, makeWorld, type World } from './library-kit.ts'

const BYTES = 200_000
const NAMES = ['a.gguf', 'b.gguf', join('sub', 'c.gguf')]

/** Three shards, hashed and remembered, and the library stopped. */
async function hashedOnce({ root, start }: World): Promise<Kit> {
  await mkdir(join(root, 'sub'))
  for (const [seed, name] of NAMES.entries()) await writeModel(join(root, name), { bytes: BYTES, seed })
  const kit = await start()
  for (const name of NAMES) await kit.heard('shard', name)
  await kit.library.stop()
  return kit
}

async function recordFiles({ stateDir }: World): Promise<string[]> {
  return (await readdir(join(stateDir, 'shards'))).map((name) => join(stateDir, 'shards', name)).sort()
}

test('unchanged files are shards again at once: nothing is hashed, nothing else is told', async (t) => {
  const world = await makeWorld(t)
  const before = await hashedOnce(world)
  // Times so long that any wait would end the test.
  const after = await world.start({ times: { momentMs: 60_000, settleMs: 60_000 } })
  for (const name of NAMES) await after.heard('shard', name)
  assert.equal(after.hashes(), 0)
  assert.ok(after.told.every(([what]) => what === 'shard'))
  const byPath = (kit: Kit) => kit.shards.toSorted((a, b) => a.path.localeCompare(b.path))
  assert.deepEqual(byPath(after), byPath(before))
  assert.deepEqual(after.scanned, [{ files: 3, seeding: 3, rejected: 0, waiting: 0 }])
})

test('changed, touched, replaced, cut or removed while stopped: seen, and only those are hashed', async (t) => {
  const world = await makeWorld(t)
  const { root } = world
  const before = await hashedOnce(world)
  const hashOf = (kit: Kit, name: string) =>
    kit.shards.findLast((shard) => shard.relativePath === name)?.infoHash
  await utimes(join(root, 'a.gguf'), new Date(0), new Date(0))
  await rm(join(root, 'b.gguf'))
  const second = await world.start()
  await second.heard('shard', 'a.gguf')
  await second.heard('shard', NAMES[2] ?? '')
  assert.equal(second.hashes(), 1)
  assert.equal(hashOf(second, 'a.gguf'), hashOf(before, 'a.gguf'))
  await until(async () => (await recordFiles(world)).length === 2, {
    timeoutMs: 30_000,
    what: 'the record of b removed',
  })
  await second.library.stop()

  await writeModel(join(root, 'new'), { bytes: BYTES, seed: 77 })
  await rename(join(root, 'new'), join(root, 'a.gguf'))
  await truncate(join(root, 'sub', 'c.gguf'), BYTES - 1)
  const third = await world.start()
  await third.heard('shard', 'a.gguf')
  await third.heard('rejected', join('sub', 'c.gguf'))
  assert.notEqual(hashOf(third, 'a.gguf'), hashOf(before, 'a.gguf'))
  assert.equal(third.hashes(), 1)
})

test('damaged records are put aside with one warning, and their shards hashed again', async (t) => {
  const world = await makeWorld(t)
  await hashedOnce(world)
  const [first = '', second = '', third = ''] = await recordFiles(world)
  assert.equal((await stat(first)).mode & 0o777, process.platform === 'win32' ? 0o666 : 0o600)
  const text = await readFile(second, 'utf8')
  await writeFile(first, text.slice(0, 100))
  await writeFile(second, text.replace(/"pieces":"..../, '"pieces":"AAAA'))
  await writeFile(third, (await readFile(third, 'utf8')).replace('"version":1', '"version":99'))
  await writeFile(join(world.stateDir, 'shards', '.x.tmp'), 'left by a crash')
  await writeFile(join(world.stateDir, 'shards', 'notes.txt'), 'of no concern')
  const kit = await world.start()
  for (const name of NAMES) await kit.heard('shard', name)
  assert.equal(kit.hashes(), 3)
  assert.equal(kit.warnings.length, 1)
  assert.match(kit.warnings[0] ?? '', /3 damaged record\(s\)/)
  const kept = (await recordFiles(world)).map((path) => path.replace(/.*\./, '')).sort()
  assert.deepEqual(kept, ['damaged', 'damaged', 'damaged', 'json', 'json', 'json', 'txt'])
})

test('a record is only believed for its own path, and only with the identity and the hashes it had', async (t) => {
  const world = await makeWorld(t)
  await hashedOnce(world)
  const records = new ShardRecords(world.stateDir, silentLog)
  await records.load()
  assert.deepEqual(records.paths().toSorted(), NAMES.map((name) => join(world.root, name)).sort())
  const record = records.get(join(world.root, 'a.gguf'))
  assert.ok(record)
  await records.save({ ...record, identity: { ...record.identity, dev: record.identity.dev + 1n } })
  const [file = ''] = await recordFiles(world)
  await rename(file, file.replace(/[0-9a-f]{40}/, '0'.repeat(40)))
  const kit = await world.start()
  for (const name of NAMES) await kit.heard('shard', name)
  // The moved record is not believed; the one with another device number is, as that changes with each mount.
  assert.equal(kit.hashes(), 1)
  assert.equal(kit.warnings.length, 1)
})

test('records of another root in the same state folder are left alone', async (t) => {
  const world = await makeWorld(t)
  await hashedOnce(world)
  const elsewhere = await makeWorld(t)
  const records = new ShardRecords(elsewhere.stateDir, silentLog)
  await records.load()
  const first = new ShardRecords(world.stateDir, silentLog)
  await first.load()
  const record = first.get(join(world.root, 'a.gguf'))
  assert.ok(record)
  await records.save(record)
  await writeModel(join(elsewhere.root, 'z.gguf'), { bytes: BYTES, seed: 9 })
  const kit = await elsewhere.start()
  await kit.heard('shard', 'z.gguf')
  assert.equal((await recordFiles(elsewhere)).length, 2)
})

test('a state folder that cannot be written: seeded all the same, and said once a shard', async (t) => {
  const world = await makeWorld(t)
  await writeModel(join(world.root, 'a.gguf'), { bytes: BYTES, seed: 1 })
  const kit = await world.start()
  await kit.heard('shard', 'a.gguf')
  const shards = join(world.stateDir, 'shards')
  // A file in the folder's place stops even root.
  await rm(shards, { recursive: true })
  await writeFile(shards, '')
  await writeModel(join(world.root, 'b.gguf'), { bytes: BYTES, seed: 2 })
  await kit.heard('shard', 'b.gguf')
  assert.match(kit.warnings.join('\n'), /b\.gguf is seeded, but hashed again after a restart/)
})

test('a shard that could not be looked at for a while is the same one again: nothing is hashed', async (t) => {
  const { root, start } = await makeWorld(t)
  const [disk, away] = [join(root, '..', 'disk'), join(root, '..', 'disk.away')]
  await mkdir(disk)
  await writeModel(join(disk, 'a.gguf'), { bytes: BYTES, seed: 1 })
  await symlink(join(disk, 'a.gguf'), join(root, 'a.gguf'))
  const first = await start({ rescanMs: 100 })
  const infoHash = await first.heard('shard', 'a.gguf')
  await rename(disk, away)
  await first.heard('gone', 'a.gguf')
  await first.heard('rejected', 'a.gguf')
  await rename(away, disk)
  assert.equal(await first.heard('shard', 'a.gguf', 2), infoHash)
  assert.equal(first.hashes(), 1)
  await first.library.stop()
  // Nor when it was not there at the start.
  await rename(disk, away)
  const second = await start({ rescanMs: 100 })
  await second.heard('rejected', 'a.gguf')
  await rename(away, disk)
  assert.equal(await second.heard('shard', 'a.gguf'), infoHash)
  assert.equal(second.hashes(), 0)
  // Another file in its place is another shard.
  await rename(disk, away)
  await second.heard('rejected', 'a.gguf', 2)
  await mkdir(disk)
  await writeModel(join(disk, 'a.gguf'), { bytes: BYTES, seed: 2 })
  assert.notEqual(await second.heard('shard', 'a.gguf', 2), infoHash)
})
