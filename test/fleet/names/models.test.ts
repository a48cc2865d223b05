/** Which model a shard belongs to, and what a fleet's shards make together. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groupModels, type ModelShard, modelOf } from '../../../src/fleet/names/models.ts'
import { type GgufHeader, readGgufHeader } from '../../../src/gguf/header.ts'
import { type InfoHash, parseInfoHash } from '../../../src/metainfo/info-hash.ts'
import { buildGguf, bytesSource, type TypedValue, value } from '../../helpers/gguf.ts'

async function headerWith(metadata: Record<string, TypedValue>): Promise<GgufHeader> {
  return readGgufHeader(bytesSource(buildGguf({ metadata, tensors: [{ name: 't', dims: [1] }] })))
}

const split = (no: number, count: number): Record<string, TypedValue> => ({
  'split.no': value('u16', no),
  'split.count': value('u16', count),
  'split.tensors.count': value('i32', 20),
})

const hash = (seed: number): InfoHash => parseInfoHash(seed.toString(16).padStart(40, '0'))

/** Shard `number` of `count` of `model`, with a content of its own unless `seed` says which. */
function shard(
  model: string,
  number: number,
  count: number,
  { seeds = 1, seed = number, ...rest }: Partial<ModelShard> & { seeds?: number; seed?: number } = {},
): ModelShard {
  const name = count === 1 ? `${model}.gguf` : `${model}-${number}-of-${count}.gguf`
  return { infoHash: hash(seed), name, length: 100, model, number, count, wholeSeeds: seeds, ...rest }
}

const place = async (
  name: string,
  metadata: Record<string, TypedValue> | null,
): Promise<readonly [string, number, number]> => {
  const { model, number, count } = modelOf(name, metadata === null ? null : await headerWith(metadata))
  return [model, number, count]
}

test('the file name says which shard of which model', async () => {
  assert.deepEqual(await place('X-00002-of-00004.gguf', null), ['X', 2, 4])
  assert.deepEqual(await place('X-00002-of-00004.gguf', {}), ['X', 2, 4])
  assert.deepEqual(await place('X-00002-of-00004.gguf', split(1, 4)), ['X', 2, 4])
})

test('a file that is in no set is a model', async () => {
  assert.deepEqual(await place('X-Q4_K.gguf', {}), ['X-Q4_K', 1, 1])
  assert.deepEqual(await place('X.GGUF', null), ['X', 1, 1])
  assert.deepEqual(await place('größer als 1.gguf', {}), ['größer als 1', 1, 1])
})

test('a header that contradicts the name makes it a file by itself', async () => {
  const itself = ['X-00002-of-00004', 1, 1]
  assert.deepEqual(await place('X-00002-of-00004.gguf', split(2, 4)), itself)
  assert.deepEqual(await place('X-00002-of-00004.gguf', split(1, 5)), itself)
  assert.deepEqual(await place('X-00002-of-00004.gguf', split(0, 0)), itself, 'a merged file')
  assert.deepEqual(await place('X-00002-of-00004.gguf', { 'split.no': value('string', '1') }), itself)
  assert.deepEqual(await place('X-00001-of-00001.gguf', split(0, 0)), ['X', 1, 1])
})

test('names that only count belong to a set when the header says so', async () => {
  assert.deepEqual(await place('shard-0.gguf', split(0, 4)), ['shard', 1, 4])
  assert.deepEqual(await place('shard-3.gguf', split(3, 4)), ['shard', 4, 4])
  assert.deepEqual(await place('my model_04.gguf', split(3, 4)), ['my model', 4, 4])
  assert.deepEqual(await place('shard-0.gguf', {}), ['shard-0', 1, 1])
  assert.deepEqual(await place('shard-0.gguf', split(2, 4)), ['shard-0', 1, 1])
  assert.deepEqual(await place('shard-1.gguf', split(0, 1)), ['shard-1', 1, 1])
  assert.deepEqual(await place('shard-5.gguf', split(4, 4)), ['shard-5', 1, 1])
  assert.deepEqual(await place('weights.gguf', split(1, 4)), ['weights', 1, 1])
})

test('architecture and size are told when they are fit to be shown', async () => {
  const labels = async (architecture: string, size: string) => {
    const header = await headerWith({
      'general.architecture': value('string', architecture),
      'general.size_label': value('string', size),
    })
    const { architecture: a, sizeLabel: s } = modelOf('a.gguf', header)
    return [a, s]
  }
  assert.deepEqual(await labels('llama', ' 8x7B '), ['llama', '8x7B'])
  assert.deepEqual(await labels('\x1b[31mllama', 'x'.repeat(33)), [null, null])
  assert.deepEqual(await labels('', '7B\u202e'), [null, null])
  const number = await headerWith({ 'general.size_label': value('u32', 7) })
  assert.equal(modelOf('a.gguf', number).sizeLabel, null)
})

test('the name of a model is as safe as a file name', async () => {
  assert.deepEqual(await place('con-00001-of-00002.gguf', split(0, 2)), ['con-00001-of-00002', 1, 1])
  assert.deepEqual(await place('con-0.gguf', split(0, 2)), ['con-0', 1, 1])
  const long = `${'x'.repeat(236)}-00001-of-00002.gguf`
  assert.equal((await place(long, null))[0], 'x'.repeat(236))
})

test('a set is one model, as strong as its weakest shard', () => {
  const shards = [
    shard('X', 2, 3, { seeds: 2 }),
    shard('X', 1, 3, { seeds: 5, architecture: 'llama', sizeLabel: '7B' }),
    shard('X', 3, 3, { seeds: 4, length: 30, architecture: 'other' }),
    shard('A', 1, 1, { seed: 9, seeds: 0 }),
  ]
  assert.deepEqual(groupModels(shards), [
    {
      name: 'A',
      architecture: null,
      sizeLabel: null,
      count: 1,
      shards: [[hash(9)]],
      missing: [1],
      length: 100,
      weakestSeeds: 0,
      weakest: hash(9),
      ambiguous: false,
    },
    {
      name: 'X',
      architecture: 'llama',
      sizeLabel: '7B',
      count: 3,
      shards: [[hash(1)], [hash(2)], [hash(3)]],
      missing: [],
      length: 230,
      weakestSeeds: 2,
      weakest: hash(2),
      ambiguous: false,
    },
  ])
})

test('a shard that nobody has is missing, known or not', () => {
  const [model] = groupModels([shard('X', 1, 4), shard('X', 4, 4, { seeds: 0 })])
  assert.deepEqual(model?.missing, [2, 3, 4])
  assert.deepEqual(model?.shards, [[hash(1)], [], [], [hash(4)]])
  assert.deepEqual([model?.weakest, model?.weakestSeeds], [null, 0], 'the first one missing, and unknown')
})

test('different contents under one name are ambiguous', () => {
  const [model] = groupModels([
    shard('X', 1, 2, { seed: 8, seeds: 1 }),
    shard('X', 1, 2, { seed: 7, seeds: 3, length: 50 }),
    shard('X', 2, 2),
  ])
  assert.equal(model?.ambiguous, true)
  assert.deepEqual(model?.shards, [[hash(7), hash(8)], [hash(2)]])
  assert.deepEqual([model?.weakestSeeds, model?.length], [1, 150])

  const sizes = groupModels([shard('X', 1, 4, { seed: 1 }), shard('X', 1, 1, { seed: 2 }), shard('Y', 1, 1)])
  assert.deepEqual(
    sizes.map(({ name, count, ambiguous }) => [name, count, ambiguous]),
    [
      ['X', 1, true],
      ['X', 4, true],
      ['Y', 1, false],
    ],
  )
})

test('what did not change is the same object', () => {
  const shards = [shard('X', 1, 2), shard('X', 2, 2), shard('Y', 1, 1, { seed: 5 })]
  const before = groupModels(shards)
  assert.equal(groupModels([...shards].reverse(), before), before)
  const after = groupModels([...shards.slice(0, 2), { ...shards[2]!, wholeSeeds: 2 }], before)
  assert.equal(after[0], before[0])
  assert.notEqual(after[1], before[1])
  assert.equal(groupModels(shards.slice(0, 2), before).length, 1)
  assert.deepEqual(groupModels([]), [])
})

test('an offer of enormous sets takes bounded memory', () => {
  const lies = Array.from({ length: 3_000 }, (_, at) => shard(`lie-${at}`, 7, 99_999, { seed: 100 + at }))
  const models = groupModels([shard('X', 1, 4), ...lies])
  assert.equal(models.length, 3_001)
  assert.equal(models.find(({ name }) => name === 'X')?.count, 4, 'the honest one is whole')
  const places = models.reduce((sum, { count }) => sum + count, 0)
  assert.ok(places < 110_000, `${places} places`)
  const apart = models.filter(({ count }) => count === 1)
  assert.equal(apart.length, 3_000)
  assert.equal(apart[0]?.name, 'lie-0-7-of-99999')
})
