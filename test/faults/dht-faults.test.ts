/** A bootstrap that goes in the middle and never comes back, and routing tables full of nodes that are dead. */
import assert from 'node:assert/strict'
import { mkdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { writeModel } from '../helpers/gguf.ts'
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
} from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { dhtNode } from '../hostile/krpc.ts'

const BYTES = 4_000_000
const DEAD_NODES = 60
/** Each dead node that is asked costs a second, and several are asked at once. */
const FOUND_WITHIN_MS = 30_000

test('the bootstrap goes for good while a shard is fetched: hosts go on, and are found through each other', async (t) => {
  const folder = await scratchFolder(t)
  const originals = ['a.gguf', 'b.gguf'].map((name) => join(folder, name.slice(0, 1), name))
  for (const [seed, path] of originals.entries()) {
    await mkdir(join(path, '..'))
    await writeModel(path, { bytes: BYTES, seed })
  }
  const [aFile, bFile] = originals as [string, string]
  const { address: bootstrap, cli } = await startBootstrap(t)
  const args = ['--upload-limit', '400K']
  const [aHome, bHome] = [join(folder, 'a-home'), join(folder, 'b-home')]
  const a = await startHost(t, join(folder, 'a'), { bootstrap, args, home: aHome })
  const b = await startHost(t, join(folder, 'b'), { bootstrap, home: bHome })
  const [aSeeding, bSeeding] = await Promise.all([a.announced('a.gguf'), b.announced('b.gguf')])

  const get = startGet(t, [aSeeding.infoHash], { bootstrap, out: join(folder, 'middle') })
  await get.waitForEvent('progress', {
    timeoutMs: PATIENCE_MS,
    where: ({ verifiedBytes }) => verifiedBytes > BYTES / 10,
  })
  cli.kill('SIGKILL')
  await cli.exited
  await assertGot(await ended(get), [aFile])

  // Who knows the bootstrap alone is told so.
  const lost = await runGet(t, [bSeeding.infoHash], {
    bootstrap,
    out: join(folder, 'lost'),
    args: ['--timeout', '4'],
  })
  assert.equal(lost.code, 3)
  assert.ok(theError(lost).message.includes(`no DHT node answers at ${bootstrap}`), theError(lost).message)

  // A host that starts again joins through the nodes that it knew, and each of them is a bootstrap as good as any.
  await a.cli.stop()
  await rename(aFile, join(folder, 'a', 'renamed.gguf'))
  const again = await startHost(t, join(folder, 'a'), { bootstrap, home: aHome })
  const renamed = await again.announced('renamed.gguf')
  const { dhtPort } = await b.cli.waitForEvent('listening', { timeoutMs: PATIENCE_MS })
  const through = { bootstrap: `127.0.0.1:${dhtPort}`, out: join(folder, 'through') }
  await assertGot(await runGet(t, [renamed.infoHash], through), [join(folder, 'a', 'renamed.gguf')])
  await assertGot(await runGet(t, [bSeeding.infoHash], through), [bFile])
})

test(`a table with ${DEAD_NODES} dead nodes`, async (t) => {
  const folder = await scratchFolder(t)
  await mkdir(join(folder, 'shards'))
  const original = join(folder, 'shards', 'model.gguf')
  await writeModel(original, { bytes: 1_000_000, seed: 3 })
  const bootstrap = await startBootstrap(t)
  const at = [{ host: '127.0.0.1', port: bootstrap.port }]
  const dead = await Promise.all(Array.from({ length: DEAD_NODES }, () => dhtNode(t, { bootstrap: at })))
  for (const node of dead) await node.join()
  await until(() => dead.every(({ nodeCount }) => nodeCount > 5), {
    timeoutMs: PATIENCE_MS,
    what: 'a full table',
  })
  for (const node of dead) await node.stop()

  const startedAt = performance.now()
  const host = await startHost(t, join(folder, 'shards'), { bootstrap: bootstrap.address })
  const { infoHash } = await host.announced('model.gguf')
  const announcedMs = performance.now() - startedAt
  await assertGot(await runGet(t, [infoHash], { bootstrap: bootstrap.address, out: join(folder, 'out') }), [
    original,
  ])
  const gotMs = performance.now() - startedAt - announcedMs
  t.diagnostic(`announced after ${Math.round(announcedMs)} ms, fetched after ${Math.round(gotMs)} ms more`)
  assert.ok(announcedMs < FOUND_WITHIN_MS && gotMs < FOUND_WITHIN_MS)
})
