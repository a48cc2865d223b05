/** The committed fixtures are what their script makes, and are what they should be. */
import assert from 'node:assert/strict'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { makeFixtures } from '../../fixtures/make.ts'
import { inspectGguf } from '../../src/gguf/inspect.ts'
import { parseShardName, shardInfoOf } from '../../src/gguf/shards.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const FIXTURES = join(import.meta.dirname, '../../fixtures')

/** The `.gguf` files of both sets, as paths below the fixtures' folder. */
async function ggufFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true })
  return entries.filter((path) => path.endsWith('.gguf')).sort()
}

test('making them again gives the same bytes', async (t) => {
  const folder = await temporaryFolder(t)
  await makeFixtures(folder)
  const files = await ggufFiles(FIXTURES)
  assert.equal(files.length, 8)
  assert.deepEqual(await ggufFiles(folder), files)
  for (const file of files) {
    const [made, committed] = await Promise.all([
      readFile(join(folder, file)),
      readFile(join(FIXTURES, file)),
    ])
    assert.ok(made.equals(committed), `${file} differs; run npm run fixtures`)
  }
})

test('each is whole, ends with its last tensor, and knows its place', async () => {
  let tensors = 0
  for (const file of await ggufFiles(join(FIXTURES, 'model'))) {
    const path = join(FIXTURES, 'model', file)
    const verdict = await inspectGguf(path)
    assert.equal(verdict.kind, 'whole', file)
    assert.equal(verdict.minimumLength, (await readFile(path)).length, file)
    const { number, count } = parseShardName(file) ?? {}
    assert.deepEqual(shardInfoOf(verdict.header), { no: (number ?? 0) - 1, count, tensorsCount: 21 }, file)
    tensors += verdict.header.tensorCount
  }
  assert.equal(tensors, 21)
})

test('both sets hold the same shards', async () => {
  for (const no of [0, 1, 2, 3]) {
    const short = await readFile(join(FIXTURES, 'shards', `shard-${no}.gguf`))
    const official = await readFile(join(FIXTURES, 'model', `tiny-llama-0000${no + 1}-of-00004.gguf`))
    assert.ok(short.equals(official), `shard ${no}`)
  }
})
