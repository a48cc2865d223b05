/**
 * The whole way: a model is seeded, found by DHT alone, fetched and verified, and real llama.cpp, given the path that
 * `get` printed and nothing else, says the same as from the original.
 */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { before, type TestContext, test } from 'node:test'
import { makeWhole } from '../../fixtures/make.ts'
import { createKeyFile } from '../../src/fleet/membership/fleet-key.ts'
import {
  assertGot,
  type GetOptions,
  type Got,
  runGet,
  scratchFolder,
  startBootstrap,
  startHost,
} from '../helpers/swarm.ts'
import { generateTokens } from './generate.ts'
import { prepareLlama } from './prepare.ts'

const MODEL = join(import.meta.dirname, '../../fixtures/model')
const NAMES = [1, 2, 3, 4].map((number) => `tiny-llama-0000${number}-of-00004.gguf`)
const FIRST = NAMES[0]!

let unavailable: string | undefined
before(async () => {
  unavailable = await prepareLlama()
})

const sha256Of = async (path: string): Promise<string> =>
  createHash('sha256')
    .update(await readFile(path))
    .digest('hex')

/** Runs `get` as people do; gives the one path on its stdout. */
async function printedPath(t: TestContext, id: string, options: GetOptions): Promise<string> {
  const got: Got = await runGet(t, [id], { ...options, json: false })
  assert.equal(got.code, 0, got.stderr)
  const [path = '', ...more] = got.stdout.trimEnd().split('\n')
  assert.deepEqual(more, [], 'the path and nothing else')
  return path
}

test('a model of one file: by infohash from the DHT to the same tokens', async (t) => {
  if (unavailable !== undefined) return t.skip(unavailable)
  const folder = join(await scratchFolder(t), 'models')
  await mkdir(folder)
  const original = join(folder, 'tiny-llama.gguf')
  await writeFile(original, makeWhole())
  const { address: bootstrap } = await startBootstrap(t)
  const host = await startHost(t, folder, { bootstrap })
  const { infoHash, sha256 } = await host.announced('tiny-llama.gguf')

  const path = await printedPath(t, infoHash, { bootstrap, out: join(await scratchFolder(t), 'got') })
  assert.notEqual(path, original)
  assert.equal(await sha256Of(path), await sha256Of(original))
  assert.equal(await sha256Of(path), sha256, 'as the host told')
  const tokens = await generateTokens(path)
  assert.deepEqual(tokens, await generateTokens(original))
  assert.deepEqual(tokens, await generateTokens(join(MODEL, FIRST)), 'and as the split model')
})

test('a split model: shard by shard by infohash to the same tokens', async (t) => {
  if (unavailable !== undefined) return t.skip(unavailable)
  const { address: bootstrap } = await startBootstrap(t)
  const host = await startHost(t, MODEL, { bootstrap })
  const seeded = await Promise.all(NAMES.map((name) => host.announced(name)))

  const out = join(await scratchFolder(t), 'model')
  const ids = seeded.map(({ infoHash }) => infoHash)
  await assertGot(
    await runGet(t, ids, { bootstrap, out }),
    NAMES.map((name) => join(MODEL, name)),
  )
  assert.deepEqual((await readdir(out)).sort(), NAMES)
  assert.deepEqual(await generateTokens(join(out, FIRST)), await generateTokens(join(MODEL, FIRST)))
})

test('a split model: by its name, from two hosts of a fleet of which none has all, to the same tokens', async (t) => {
  if (unavailable !== undefined) return t.skip(unavailable)
  const folder = await scratchFolder(t)
  const keyFile = join(folder, 'fleet.key')
  await createKeyFile(keyFile)
  const { address: bootstrap } = await startBootstrap(t)
  for (const [host, names] of [NAMES.slice(0, 2), NAMES.slice(2)].entries()) {
    const share = join(folder, `host-${host}`)
    await mkdir(share)
    for (const name of names) await copyFile(join(MODEL, name), join(share, name))
    const args = ['--fleet-key', keyFile]
    const running = await startHost(t, share, { bootstrap, home: join(folder, `home-${host}`), args })
    for (const name of names) await running.announced(name)
  }

  const args = ['--fleet-key', keyFile]
  const path = await printedPath(t, 'tiny-llama', { bootstrap, out: join(folder, 'got'), args })
  assert.equal(path, join(folder, 'got', FIRST))
  for (const name of NAMES) {
    assert.equal(await sha256Of(join(dirname(path), name)), await sha256Of(join(MODEL, name)), name)
  }
  assert.deepEqual(await generateTokens(path), await generateTokens(join(MODEL, FIRST)))
})
