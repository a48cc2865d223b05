/** Symbolic links under a library: of files and folders, in circles, to nothing, turned elsewhere. */
import assert from 'node:assert/strict'
import { renameSync } from 'node:fs'
import { appendFile, chmod, lchown, mkdir, rename, rm, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { isStraight, listShards } from '../../src/library/walk.ts'
import { writeModel } from '../helpers/gguf.ts'
import { ROOT_USER, skipUnless } from '../helpers/requirements.ts'
import { makeWorld } from './library-kit.ts'

const BYTES = 200_000

test('a linked file is seeded under the name of its link, and follows its target', async (t) => {
  const { root, start } = await makeWorld(t)
  const [first, second] = [join(root, '..', 'blob-1'), join(root, '..', 'blob-2')]
  await writeModel(first, { bytes: BYTES, seed: 1 })
  await writeModel(second, { bytes: BYTES + 1, seed: 2 })
  await symlink(first, join(root, 'a.gguf'))
  const kit = await start()
  await kit.heard('shard', 'a.gguf')
  assert.equal(kit.shards[0]?.path, join(root, 'a.gguf'))
  assert.equal(kit.shards[0]?.name, 'a.gguf')
  await symlink(second, join(root, 'new'))
  await rename(join(root, 'new'), join(root, 'a.gguf'))
  await kit.heard('shard', 'a.gguf', 2)
  assert.equal(kit.shards[1]?.length, BYTES + 1)
  await appendFile(second, 'x')
  await kit.heard('gone', 'a.gguf', 2)
  await kit.heard('shard', 'a.gguf', 3)
})

test('a link to nothing is rejected by name, and seeded when its target comes', async (t) => {
  const { root, start } = await makeWorld(t)
  const target = join(root, '..', 'later')
  await symlink(target, join(root, 'a.gguf'))
  await symlink('circle.gguf', join(root, 'circle.gguf'))
  const kit = await start({ rescanMs: 200 })
  assert.match(
    await kit.heard('rejected', 'a.gguf'),
    /^unreadable: it is a link to something that is not there/,
  )
  assert.match(await kit.heard('rejected', 'circle.gguf'), /^unreadable: its link leads in a circle/)
  assert.deepEqual(kit.scanned, [{ files: 2, seeding: 0, rejected: 2, waiting: 0 }])
  await writeModel(target, { bytes: BYTES, seed: 3 })
  await kit.heard('shard', 'a.gguf')
  await rm(target)
  await kit.heard('gone', 'a.gguf')
  await kit.heard('rejected', 'a.gguf', 2)
  await rm(join(root, 'a.gguf'))
  await writeModel(join(root, 'end.gguf'), { bytes: BYTES, seed: 4 })
  await kit.heard('shard', 'end.gguf')
  // Looked at every 200 ms, told once each time.
  assert.deepEqual(kit.of('a.gguf'), ['rejected', 'hashing', 'shard', 'gone', 'rejected'])
  assert.deepEqual(kit.of('circle.gguf'), ['rejected'])
})

test('linked folders: each shard once, whatever circles there are', async (t) => {
  const { root, start } = await makeWorld(t)
  const outside = join(root, '..', 'outside')
  await mkdir(join(root, 'sub'))
  await mkdir(join(root, '.store'))
  await mkdir(outside)
  await symlink(root, join(root, 'sub', 'up'))
  await symlink('sub', join(root, 'alias'))
  await symlink('..', join(root, 'everything'))
  await symlink(outside, join(root, 'linked'))
  await symlink(outside, join(outside, 'itself'))
  await symlink('.store', join(root, 'shown'))
  await writeModel(join(root, 'sub', 'a.gguf'), { bytes: BYTES, seed: 5 })
  await writeModel(join(outside, 'b.gguf'), { bytes: BYTES, seed: 6 })
  await writeModel(join(root, '.store', 'c.gguf'), { bytes: BYTES, seed: 7 })
  const warnings: string[] = []
  const expected = ['linked/b.gguf', 'shown/c.gguf', 'sub/a.gguf'].map((path) => join(root, path))
  assert.deepEqual(await listShards(root, (line) => warnings.push(line)), expected)
  assert.equal(await isStraight(join(root, 'sub', 'a.gguf'), root), true)
  assert.equal(await isStraight(join(root, 'linked', 'b.gguf'), root), false)
  assert.equal(await isStraight(join(root, 'sub', 'up', 'sub', 'a.gguf'), root), false)
  const kit = await start()
  for (const path of ['linked/b.gguf', 'shown/c.gguf', 'sub/a.gguf']) await kit.heard('shard', path)
  await writeModel(join(outside, 'd.gguf'), { bytes: BYTES, seed: 8 })
  await writeModel(join(root, 'sub', 'e.gguf'), { bytes: BYTES, seed: 9 })
  await kit.heard('shard', 'linked/d.gguf')
  await kit.heard('shard', 'sub/e.gguf')
  assert.equal(kit.shards.length, 5, JSON.stringify(kit.told))
  assert.deepEqual([...warnings, ...kit.warnings], [])
})

test('folders too deep and folders that cannot be read are named once; the rest is found', async (t) => {
  const { root } = await makeWorld(t)
  const deep = join(root, ...Array.from({ length: 20 }, () => 'd'))
  await mkdir(deep, { recursive: true })
  await writeModel(join(deep, 'deep.gguf'), { bytes: BYTES, seed: 10 })
  await writeModel(join(root, 'a.gguf'), { bytes: BYTES, seed: 11 })
  const closed = join(root, 'closed')
  await mkdir(closed)
  await chmod(closed, 0)
  const warnings: string[] = []
  assert.deepEqual(await listShards(root, (line) => warnings.push(line)), [join(root, 'a.gguf')])
  await chmod(closed, 0o700)
  assert.match(warnings.join('\n'), /more than 16 folders deep/)
  // Root reads what its mode forbids.
  if (process.getuid?.() !== 0) assert.match(warnings.join('\n'), /closed cannot be read \(EACCES\)/)
})

test('a folder that another user turned into a link is not followed, though its shards were known', {
  skip: skipUnless(ROOT_USER),
}, async (t) => {
  const { root, start } = await makeWorld(t)
  const [sub, secret] = [join(root, 'sub'), join(root, '..', 'secret')]
  for (const folder of [sub, secret]) await mkdir(folder)
  await writeModel(join(sub, 'a.gguf'), { bytes: BYTES, seed: 16 })
  await writeModel(join(secret, 'a.gguf'), { bytes: BYTES, seed: 17 })
  const kit = await start({ rescanMs: 100 })
  await kit.heard('shard', join('sub', 'a.gguf'))
  await symlink(secret, join(root, '.link'))
  await lchown(join(root, '.link'), 1234, 1234)
  renameSync(sub, join(root, '.sub')) // with no look between this and the next
  renameSync(join(root, '.link'), sub)
  assert.match(await kit.heard('rejected', join('sub', 'a.gguf')), /^foreign-link/)
  assert.equal(kit.shards.length, 1)
})

test('a name that is not UTF-8 leads to no file, which is said; one that only looks so is seeded', async (t) => {
  if (process.platform !== 'linux') return t.skip('file systems elsewhere refuse such names')
  const { root, start } = await makeWorld(t)
  const latin1 = (name: string): Buffer => Buffer.from(join(root, name), 'latin1')
  await writeModel(join(root, 'odd \ufffd.gguf'), { bytes: BYTES, seed: 14 })
  await writeModel(join(root, 'moved'), { bytes: BYTES, seed: 15 })
  await rename(join(root, 'moved'), latin1('modèle.gguf'))
  await mkdir(latin1('modèles'))
  const kit = await start({ rescanMs: 100 })
  await kit.heard('shard', 'odd \ufffd.gguf')
  assert.deepEqual(kit.scanned, [{ files: 1, seeding: 1, rejected: 0, waiting: 0 }])
  assert.deepEqual(
    kit.warnings.toSorted(),
    ['mod\ufffdle.gguf', 'mod\ufffdles'].map(
      (name) => `${join(root, name)} cannot be opened: its name is not UTF-8; rename it`,
    ),
  )
})

test('a file that may not be read is rejected, and seeded when it may', async (t) => {
  becomeOrdinaryUser(t)
  const { root, start } = await makeWorld(t)
  const path = join(root, 'a.gguf')
  await writeModel(path, { bytes: BYTES, seed: 12 })
  await chmod(path, 0)
  const kit = await start()
  assert.match(await kit.heard('rejected', 'a.gguf'), /^unreadable: permission denied/)
  await chmod(path, 0o600)
  await kit.heard('shard', 'a.gguf')
})

test('a shard that may not be read any more is withdrawn, and seeded when it may', async (t) => {
  becomeOrdinaryUser(t)
  const { root, start } = await makeWorld(t)
  const path = join(root, 'a.gguf')
  await writeModel(path, { bytes: BYTES, seed: 13 })
  const kit = await start()
  await kit.heard('shard', 'a.gguf')
  await chmod(path, 0)
  await kit.heard('gone', 'a.gguf')
  assert.match(await kit.heard('rejected', 'a.gguf'), /^unreadable: permission denied/)
  await chmod(path, 0o600)
  await kit.heard('shard', 'a.gguf', 2)
  assert.equal(kit.shards[0]?.infoHash, kit.shards[1]?.infoHash)
})

/** Root reads every file, whatever its mode: as root, the rest of the test runs as `nobody`. */
function becomeOrdinaryUser(t: TestContext): void {
  if (process.getuid?.() !== 0) return
  const NOBODY = 65_534
  process.setegid?.(NOBODY)
  process.seteuid?.(NOBODY)
  t.after(() => {
    process.seteuid?.(0)
    process.setegid?.(0)
  })
}
