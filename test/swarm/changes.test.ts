/** What happens to files under a running host: replaced, touched, removed; each is withdrawn first. */
import assert from 'node:assert/strict'
import { mkdir, rename, rm, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeModel } from '../helpers/gguf.ts'
import {
  assertGot,
  PATIENCE_MS,
  runGet,
  scratchFolder,
  startBootstrap,
  startHost,
  theError,
} from '../helpers/swarm.ts'

const BYTES = 2_000_000
/** A change on disk is noticed by events, long before the slow rescan (60 s) would find it. */
const NOTICED_WITHIN_MS = 15_000

test('files are replaced, touched and removed', async (t) => {
  const folder = await scratchFolder(t)
  const shards = join(folder, 'shards')
  await mkdir(shards)
  const files = ['replaced', 'touched', 'removed', 'untouched'].map((name) => `${name}.gguf`)
  for (const [seed, name] of files.entries()) await writeModel(join(shards, name), { bytes: BYTES, seed })
  const [replaced, touched, removed, untouched] = files as [string, string, string, string]
  const { address: bootstrap } = await startBootstrap(t)
  const host = await startHost(t, shards, { bootstrap })
  const before = await Promise.all(files.map((name) => host.announced(name)))
  const hashOf = (name: string) => before[files.indexOf(name)]!.infoHash
  const withdrawn = async (name: string): Promise<string> => {
    const event = await host.cli.waitForEvent('withdrawn', {
      timeoutMs: NOTICED_WITHIN_MS,
      where: ({ file }) => file === name,
    })
    assert.equal(event.infoHash, hashOf(name))
    return event.reason
  }

  await t.test('renamed over: withdrawn, then another infohash', async (t) => {
    await writeModel(join(folder, 'new.gguf'), { bytes: BYTES, seed: 50 })
    await rename(join(folder, 'new.gguf'), join(shards, replaced))
    assert.match(await withdrawn(replaced), /changed/)
    const after = await host.seeding(replaced, { where: ({ infoHash }) => infoHash !== hashOf(replaced) })
    assert.deepEqual(host.story(replaced), ['hashing', 'seeding', 'withdrawn', 'hashing', 'seeding'])
    const out = join(folder, 'out')
    const got = await runGet(t, [after.infoHash], { bootstrap, out })
    await assertGot(got, [join(shards, replaced)])
  })

  await t.test('touched: withdrawn, then the same infohash', async () => {
    await utimes(join(shards, touched), new Date(), new Date())
    await withdrawn(touched)
    const story = ['hashing', 'seeding', 'withdrawn', 'hashing', 'seeding']
    const again = await host.cli.waitForEvent(
      (event) =>
        event.event === 'seeding' && event.file === touched && host.story(touched).length >= story.length,
      { timeoutMs: PATIENCE_MS },
    )
    assert.equal('infoHash' in again && again.infoHash, hashOf(touched))
    assert.deepEqual(host.story(touched), story)
  })

  await t.test('removed: withdrawn, and nobody has it', async (t) => {
    await rm(join(shards, removed))
    assert.match(await withdrawn(removed), /removed/)
    const args = ['--timeout', '4']
    const got = await runGet(t, [hashOf(removed)], { bootstrap, out: join(folder, 'none'), args })
    assert.equal(got.code, 3)
    assert.ok(theError(got).message.includes(hashOf(removed)))
    assert.deepEqual(host.story(removed), ['hashing', 'seeding', 'withdrawn'])
  })

  assert.deepEqual(host.story(untouched), ['hashing', 'seeding'], 'the others went on')
})
