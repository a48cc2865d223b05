/** A disk that cannot read a shard: said once, tried again more and more seldom, and seeded when it can. */
import assert from 'node:assert/strict'
import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { restAfterFailedReads } from '../../src/library/settling.ts'
import { writeModel } from '../helpers/gguf.ts'
import { skipUnless } from '../helpers/requirements.ts'
import { injectInto, STRACE } from '../helpers/strace.ts'
import { makeWorld } from './library-kit.ts'

const READS = ['read', 'pread64', 'readv', 'preadv', 'preadv2']
/** Many more reads for the thread that hashes it than for those that look into its header. */
const BYTES = 16_000_000
const FIRST_BAD_READ = 6

test('read errors while a shard is hashed', { skip: skipUnless(STRACE) }, async (t) => {
  const world = await makeWorld(t)
  const [bad, good] = [join(world.root, 'bad.gguf'), join(world.root, 'good.gguf')]
  await writeModel(join(world.stateDir, '..', 'bad.gguf'), { bytes: BYTES, seed: 1 })
  await writeModel(good, { bytes: BYTES, seed: 2 })
  const kit = await world.start({ rescanMs: 100 })
  await kit.heard('shard', 'good.gguf')
  const heal = await injectInto(t, process.pid, {
    calls: READS,
    fault: `error=EIO:when=${FIRST_BAD_READ}+`,
    path: bad,
  })
  await rename(join(world.stateDir, '..', 'bad.gguf'), bad)
  assert.match(await kit.heard('rejected', 'bad.gguf'), /the disk reported a read error; check the disk/)
  // By itself, without any change to the file.
  await heal()
  await kit.heard('shard', 'bad.gguf')
  const rejections = kit.told.filter(([what, file]) => what === 'rejected' && file === 'bad.gguf')
  assert.equal(rejections.length, 1, `told once: ${JSON.stringify(rejections)}`)
  assert.deepEqual(kit.of('good.gguf'), ['hashing', 'shard'])
  assert.ok(kit.hashes() >= 3, `hashed once, failed, hashed again: ${kit.hashes()}`)
})

test('as often as it fails: told once', async (t) => {
  const world = await makeWorld(t)
  await writeModel(join(world.root, 'bad.gguf'), { bytes: 100_000, seed: 3 })
  let failures = 0
  const kit = await world.start({
    rescanMs: 50,
    failHash: () => (failures++ < 2 ? Object.assign(new Error('read'), { code: 'EIO' }) : undefined),
  })
  await kit.heard('hashing', 'bad.gguf')
  assert.equal(failures, 3)
  const told = kit.of('bad.gguf').filter((what) => what !== 'waiting')
  assert.deepEqual(told.slice(0, 2), ['rejected', 'hashing'])
})

test('a disk that stays bad is read more and more seldom', () => {
  const rests = Array.from({ length: 12 }, (_, failures) => restAfterFailedReads(failures, 3_000) / 1_000)
  assert.deepEqual(rests, [0, 0, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600, 3_600, 3_600])
})
