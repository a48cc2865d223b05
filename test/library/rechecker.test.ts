/** The re-check of what is seeded: it reads everything, finds what rotted, keeps its rate, and knows where it was. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { constants } from 'node:fs'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import { Rechecker, type RecheckOptions, type RecheckPass } from '../../src/library/rechecker.ts'
import type { ShardFile } from '../../src/library/shard-library.ts'
import { buildInfo } from '../../src/metainfo/create.ts'
import { afterTest } from '../helpers/after-test.ts'
import { writeModel } from '../helpers/gguf.ts'
import { program, skipUnless } from '../helpers/requirements.ts'
import { until } from '../helpers/until.ts'
import { makeWorld } from './library-kit.ts'

const BYTES = 700_000 // three pieces of 256 KiB
const COUNT = 3
const FAST = 1e12

interface Scene {
  readonly stateDir: string
  readonly shards: readonly ShardFile[]
}

/** Shards as a library found them. */
async function hashedShards(t: TestContext): Promise<Scene> {
  const world = await makeWorld(t)
  const names = Array.from({ length: COUNT }, (_, index) => `${'abc'[index]}.gguf`)
  for (const [seed, name] of names.entries()) await writeModel(join(world.root, name), { bytes: BYTES, seed })
  const kit = await world.start()
  for (const name of names) await kit.heard('shard', name)
  await kit.library.stop()
  const shards = kit.shards.toSorted((a, b) => (a.path < b.path ? -1 : 1))
  return { stateDir: world.stateDir, shards }
}

interface Watched {
  readonly rechecker: Rechecker
  readonly bad: string[]
  readonly passes: RecheckPass[]
}

async function start(
  t: TestContext,
  { stateDir, shards }: Scene,
  options: Partial<RecheckOptions> = {},
): Promise<Watched> {
  const [bad, passes]: [string[], RecheckPass[]] = [[], []]
  const rechecker = await Rechecker.start({
    bytesPerSecond: FAST,
    stateDir,
    shards: () => shards,
    isSeeded: () => true,
    onBad: ({ relativePath }, reason) => bad.push(`${relativePath}: ${reason}`),
    onPass: (pass) => passes.push(pass),
    ...options,
  })
  afterTest(t, () => rechecker.stop())
  return { rechecker, bad, passes }
}

const firstPass = (watched: Watched) =>
  until(() => watched.passes[0], { timeoutMs: 30_000, what: 'one time through all shards' })

/** Other bytes under the same identity: what a disk does that loses bits. */
function rot(shard: ShardFile): ShardFile {
  const pieces = Uint8Array.from(shard.pieces)
  pieces[20] = (pieces[20] ?? 0) ^ 1 // of piece 1
  return { ...shard, pieces }
}

test('everything is read once, and then not again for a day, over restarts too', async (t) => {
  const scene = await hashedShards(t)
  const first = await start(t, scene)
  const pass = await firstPass(first)
  assert.deepEqual(pass, {
    shards: COUNT,
    bad: 0,
    bytes: scene.shards.reduce((sum, { length }) => sum + length, 0),
  })
  assert.deepEqual(first.bad, [])
  const { endedAt } = first.rechecker
  assert.ok(endedAt !== null && Math.abs(Date.now() - endedAt) < 60_000)
  await first.rechecker.stop()
  let asked = 0
  const second = await start(t, scene, {
    shards: () => {
      asked++
      return scene.shards
    },
  })
  assert.equal(second.rechecker.endedAt, endedAt)
  await second.rechecker.stop()
  assert.equal(asked, 0, 'the day is not over')
  const third = await start(t, scene, { minPassMs: 0 })
  await firstPass(third)
})

test('one changed piece is told, and the others go on', async (t) => {
  const scene = await hashedShards(t)
  const [first, second, third] = scene.shards as [ShardFile, ShardFile, ShardFile]
  const watched = await start(t, { ...scene, shards: [first, rot(second), third] })
  const { shards, bad } = await firstPass(watched)
  assert.deepEqual(watched.bad, ['b.gguf: re-check: piece 1 is not what was hashed'])
  assert.deepEqual([shards, bad], [COUNT - 1, 1])
})

test('a file that was changed in the open, or is gone, is not called rotten', async (t) => {
  const scene = await hashedShards(t)
  const [first, second] = scene.shards as [ShardFile, ShardFile]
  const bytes = await readFile(first.path)
  bytes[BYTES - 1] = (bytes[BYTES - 1] ?? 0) ^ 1
  await writeFile(first.path, bytes)
  const gone = { ...second, path: `${second.path}.gone` }
  const watched = await start(t, { ...scene, shards: [first, gone, ...scene.shards.slice(2)] })
  await firstPass(watched)
  assert.deepEqual(watched.bad, [])
})

test('a pipe in the place of a shard does not hold it up', {
  skip: skipUnless(program('mkfifo')),
}, async (t) => {
  const scene = await hashedShards(t)
  const [first] = scene.shards as [ShardFile]
  await rm(first.path)
  assert.equal(spawnSync('mkfifo', [first.path]).status, 0)
  t.after(() =>
    writeFile(first.path, '', { flag: constants.O_WRONLY | constants.O_NONBLOCK }).catch(() => {}),
  )
  const watched = await start(t, scene)
  assert.equal((await firstPass(watched)).shards, COUNT - 1)
  assert.deepEqual(watched.bad, [])
})

test('it goes on where it was stopped', async (t) => {
  const scene = await hashedShards(t)
  // Each of the three pieces of a shard is preceded by a look: the sixth is in the middle of the second shard.
  let looks = 0
  const first = await start(t, scene, {
    isSeeded: () => {
      looks++
      if (looks === 6) void first.rechecker.stop()
      return true
    },
  })
  await until(() => looks >= 6, { timeoutMs: 30_000 })
  await first.rechecker.stop()
  assert.deepEqual(first.passes, [])
  const saved = JSON.parse(await readFile(join(scene.stateDir, 'recheck.json'), 'utf8'))
  assert.equal(saved.path, scene.shards[1]?.path)
  assert.equal(saved.isDone, false)
  const second = await start(t, scene)
  const pass = await firstPass(second)
  assert.equal(pass.shards, COUNT, 'counted over both runs')
  const all = scene.shards.reduce((sum, { length }) => sum + length, 0)
  assert.ok(pass.bytes < all + 256 * 1024, `${pass.bytes} bytes read for ${all}`)
})

test('a shard that took the place of the one it was at is read from its beginning', async (t) => {
  const scene = await hashedShards(t)
  let looks = 0
  const first = await start(t, scene, {
    isSeeded: () => {
      if (++looks === 6) void first.rechecker.stop()
      return true
    },
  })
  await until(() => looks >= 6, { timeoutMs: 30_000 })
  await first.rechecker.stop()
  const [a, b, c] = scene.shards as [ShardFile, ShardFile, ShardFile]
  const pieces = Uint8Array.from(b.pieces, (byte, at) => (at === 0 ? byte ^ 1 : byte))
  const { infoHash } = buildInfo({ ...b, pieces })
  const watched = await start(t, { ...scene, shards: [a, { ...b, pieces, infoHash }, c] })
  await firstPass(watched)
  assert.deepEqual(watched.bad, ['b.gguf: re-check: piece 0 is not what was hashed'])
})

test('a damaged note of where it was means the beginning', async (t) => {
  const scene = await hashedShards(t)
  await writeFile(join(scene.stateDir, 'recheck.json'), '{"version":1,"path":7')
  const watched = await start(t, scene)
  assert.equal((await firstPass(watched)).shards, COUNT)
})

test('it reads no faster than it was told', async (t) => {
  const scene = await hashedShards(t)
  const all = scene.shards.reduce((sum, { length }) => sum + length, 0)
  const startedAt = performance.now()
  const watched = await start(t, scene, { bytesPerSecond: all / 1.5 })
  await firstPass(watched)
  const tookMs = performance.now() - startedAt
  // A busy machine is slower, never faster.
  assert.ok(tookMs >= 1_450, `${all} bytes at ${all / 1.5} a second took ${tookMs} ms`)
})

test('nothing to read is no reason to be busy, and a stop ends the wait', async (t) => {
  const { stateDir } = await makeWorld(t)
  let asked = 0
  const shards = (): readonly ShardFile[] => {
    asked++
    return []
  }
  const watched = await start(t, { stateDir, shards: [] }, { shards })
  await pause(300) // nothing is to happen for so long
  assert.equal(asked, 1)
  await watched.rechecker.stop()
  await watched.rechecker.stop()
  assert.equal(asked, 1)
  assert.deepEqual(watched.passes, [])
})
