/** Real llama.cpp agrees with our verdicts: it generates from the fixtures, and refuses a copy that is cut. */
import assert from 'node:assert/strict'
import { cp, stat, truncate } from 'node:fs/promises'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { inspectGguf } from '../../src/gguf/inspect.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { generateTokens } from './generate.ts'
import { prepareLlama } from './prepare.ts'

const MODEL = join(import.meta.dirname, '../../fixtures/model')
const FIRST = 'tiny-llama-00001-of-00004.gguf'
const LAST = 'tiny-llama-00004-of-00004.gguf'

let unavailable: string | undefined
before(async () => {
  unavailable = await prepareLlama()
})

test('llama.cpp generates the same tokens from the fixtures each time', async (t) => {
  if (unavailable !== undefined) return t.skip(unavailable)
  const tokens = await generateTokens(join(MODEL, FIRST))
  assert.equal(tokens.length, 16)
  // A model that said the same token over and over would hide a mistake.
  assert.ok(new Set(tokens).size > 4, tokens.join(' '))
  assert.deepEqual(await generateTokens(join(MODEL, FIRST)), tokens)
})

test('llama.cpp refuses a copy whose last shard lacks one byte, and so do we', async (t) => {
  if (unavailable !== undefined) return t.skip(unavailable)
  const folder = await temporaryFolder(t)
  await cp(MODEL, folder, { recursive: true })
  const path = join(folder, LAST)
  await truncate(path, (await stat(path)).size - 1)
  await assert.rejects(generateTokens(join(folder, FIRST)), /Failed to load model/)
  assert.equal((await inspectGguf(path)).kind, 'incomplete')
})
