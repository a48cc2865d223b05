/** A host that was stopped, or killed, hashes again what changed meanwhile, and nothing else. */
import assert from 'node:assert/strict'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeModel } from '../helpers/gguf.ts'
import { assertGot, runGet, scratchFolder, startBootstrap, startHost } from '../helpers/swarm.ts'

for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
  test(`after ${signal}, only what changed is hashed`, async (t) => {
    const folder = await scratchFolder(t)
    const shards = join(folder, 'shards')
    await mkdir(shards)
    const [same, changed, gone] = ['same', 'changed', 'gone'].map((name) => join(shards, `${name}.gguf`))
    for (const path of [same!, changed!, gone!])
      await writeModel(path, { bytes: 2_000_000, seed: path.length })
    const { address: bootstrap } = await startBootstrap(t)
    const home = join(folder, 'home')
    const options = { bootstrap, home }

    const before = await startHost(t, shards, options)
    const sameBefore = await before.announced('same.gguf')
    const changedBefore = await before.seeding('changed.gguf')
    await before.seeding('gone.gguf')
    const listening = before.cli.events().find((event) => event.event === 'listening')
    before.cli.kill(signal)
    await before.cli.exited
    await writeModel(changed!, { bytes: 2_000_000, seed: 99 })
    await rm(gone!)

    const after = await startHost(t, shards, options)
    const startedAt = performance.now()
    const sameAfter = await after.announced('same.gguf')
    t.diagnostic(
      `seeding and announced again ${Math.round(performance.now() - startedAt)} ms after the start`,
    )
    const changedAfter = await after.seeding('changed.gguf')
    assert.deepEqual({ ...sameAfter, time: '' }, { ...sameBefore, time: '' })
    assert.notEqual(changedAfter.infoHash, changedBefore.infoHash)
    assert.deepEqual(after.story('same.gguf'), ['seeding'], 'no hashing')
    assert.deepEqual(after.story('changed.gguf'), ['hashing', 'seeding'])
    assert.deepEqual(after.story('gone.gguf'), [])
    const again = after.cli.events().find((event) => event.event === 'listening')
    assert.deepEqual({ ...again, time: '' }, { ...listening, time: '' }, 'host id and ports are the same')

    const ids = [sameAfter.infoHash, changedAfter.infoHash]
    await assertGot(await runGet(t, ids, { bootstrap, out: join(folder, 'out') }), [same!, changed!])
  })
}
