/** The whole way: a model is seeded, fetched shard by shard by infohash, and llama.cpp says the same as before. */
import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { assertGot, runGet, scratchFolder, startBootstrap, startHost } from '../helpers/swarm.ts'
import { generateTokens } from './generate.ts'
import { prepareLlama } from './prepare.ts'

const MODEL = join(import.meta.dirname, '../../fixtures/model')
const FIRST = 'tiny-llama-00001-of-00004.gguf'

let unavailable: string | undefined
before(async () => {
  unavailable = await prepareLlama()
})

test('a downloaded model generates what the original does', async (t) => {
  if (unavailable !== undefined) return t.skip(unavailable)
  const shards = await readdir(MODEL)
  assert.equal(shards.length, 4)
  const { address: bootstrap } = await startBootstrap(t)
  const host = await startHost(t, MODEL, { bootstrap })
  const seeded = await Promise.all(shards.map((name) => host.announced(name)))

  const out = join(await scratchFolder(t), 'model')
  const ids = seeded.map(({ infoHash }) => infoHash)
  await assertGot(
    await runGet(t, ids, { bootstrap, out }),
    shards.map((name) => join(MODEL, name)),
  )
  assert.deepEqual((await readdir(out)).sort(), shards.sort())
  assert.deepEqual(await generateTokens(join(out, FIRST)), await generateTokens(join(MODEL, FIRST)))
})
