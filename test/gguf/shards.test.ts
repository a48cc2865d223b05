/** Names and metadata of split models. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readGgufHeader } from '../../src/gguf/header.ts'
import { formatShardName, parseShardName, shardInfoOf } from '../../src/gguf/shards.ts'
import { buildGguf, bytesSource, type TypedValue, value } from '../helpers/gguf.ts'

test('parses the names llama.cpp gives', () => {
  assert.deepEqual(parseShardName('tiny-llama-00001-of-00004.gguf'), {
    prefix: 'tiny-llama',
    number: 1,
    count: 4,
  })
  assert.deepEqual(parseShardName('a-00002-of-00003-00003-of-00003.gguf'), {
    prefix: 'a-00002-of-00003',
    number: 3,
    count: 3,
  })
})

test('other names are not of a split', () => {
  const names = [
    'model.gguf',
    'm-1-of-4.gguf',
    'm-000001-of-00004.gguf.part',
    'm-00001-of-00004.GGUF',
    'm-00000-of-00004.gguf',
    'm-00005-of-00004.gguf',
    '-00001-of-00004.gguf',
    'm-00001-of-000004.gguf',
    'm-0000１-of-00004.gguf',
    'm-00001-of-00004.gguf\n',
  ]
  for (const name of names) assert.equal(parseShardName(name), null, name)
})

test('makes the names it parses', () => {
  const name = { prefix: 'some model', number: 12, count: 345 }
  assert.equal(formatShardName(name), 'some model-00012-of-00345.gguf')
  assert.deepEqual(parseShardName(formatShardName(name)), name)
})

async function infoOf(metadata: Record<string, TypedValue>): Promise<ReturnType<typeof shardInfoOf>> {
  const bytes = buildGguf({ metadata, tensors: [{ name: 't', dims: [1] }] })
  return shardInfoOf(await readGgufHeader(bytesSource(bytes)))
}

test('reads which shard of how many a file is', async () => {
  const split = {
    'split.no': value('u16', 3),
    'split.count': value('u16', 4),
    'split.tensors.count': value('i32', 20),
  }
  assert.deepEqual(await infoOf(split), { no: 3, count: 4, tensorsCount: 20 })
  assert.equal(await infoOf({}), null)
  assert.equal(await infoOf({ ...split, 'split.no': value('u16', 4) }), null)
  assert.equal(await infoOf({ ...split, 'split.count': value('string', '4') }), null)
  assert.equal(await infoOf({ ...split, 'split.count': value('f32', 4.5) }), null)
  assert.equal(await infoOf({ ...split, 'split.tensors.count': value('i32', 0) }), null)
})
