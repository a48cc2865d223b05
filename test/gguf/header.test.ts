/** What the reader takes out of valid headers, in either byte order and both versions. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type GgufHeader, readGgufHeader } from '../../src/gguf/header.ts'
import { array, buildGguf, bytesSource, type GgufSpec, items, value } from '../helpers/gguf.ts'

const EVERYTHING: GgufSpec = {
  metadata: {
    'a.u8': value('u8', 250),
    'a.i8': value('i8', -5),
    'a.u16': value('u16', 65_000),
    'a.i16': value('i16', -1234),
    'a.u32': value('u32', 4_000_000_000),
    'a.i32': value('i32', -7),
    'a.f32': value('f32', 0.5),
    'a.f64': value('f64', 1e-300),
    'a.u64': value('u64', 0xffff_ffff_ffff_ffffn),
    'a.i64': value('i64', -9_007_199_254_740_993n),
    'a.true': value('bool', true),
    'a.false': value('bool', false),
    'a.text': value('string', 'Grüße, 世界'),
    'a.empty': value('string', ''),
    'a.long': value('string', 'x'.repeat(5000)),
    'a.tokens': array('string', ['<unk>', '', '▁the']),
    'a.scores': array('f32', [0, -1, -2.5]),
    'a.nested': array('array', [items('u8', [1, 2]), items('string', ['x']), items('array', [])]),
  },
  tensors: [
    { name: 'token_embd.weight', dims: [64, 3], type: 'q8_0' },
    { name: 'blk.0.attn_q.weight', dims: [256, 2, 2, 2], type: 'q4_k' },
    { name: 'scalar', dims: [] },
    { name: 'nothing', dims: [0, 5] },
    { name: 'last', dims: [5], type: 'f16' },
  ],
}

function header(spec: GgufSpec, perRead?: number): Promise<GgufHeader> {
  return readGgufHeader(bytesSource(buildGguf(spec), perRead === undefined ? {} : { perRead }))
}

for (const littleEndian of [true, false]) {
  for (const version of [2, 3]) {
    test(`reads every value type and tensor of a ${littleEndian ? 'little' : 'big'}-endian version ${version} file`, async () => {
      const read = await header({ ...EVERYTHING, littleEndian, version })
      assert.equal(read.version, version)
      assert.equal(read.littleEndian, littleEndian)
      assert.equal(read.alignment, 32)
      assert.equal(read.metadataCount, 18)
      assert.deepEqual(Object.fromEntries(read.metadata), {
        'a.u8': 250,
        'a.i8': -5,
        'a.u16': 65_000,
        'a.i16': -1234,
        'a.u32': 4_000_000_000,
        'a.i32': -7,
        'a.f32': 0.5,
        'a.f64': 1e-300,
        'a.u64': 0xffff_ffff_ffff_ffffn,
        'a.i64': -9_007_199_254_740_993n,
        'a.true': true,
        'a.false': false,
        'a.text': 'Grüße, 世界',
        'a.empty': '',
        'a.long': { byteLength: 5000 },
        'a.tokens': { elementType: 'string', length: 3 },
        'a.scores': { elementType: 'f32', length: 3 },
        'a.nested': { elementType: 'array', length: 3 },
      })
      assert.equal(read.tensorCount, 5)
      assert.deepEqual(read.tensors, [
        { name: 'token_embd.weight', type: 8, dims: [64, 3], offset: 0, byteLength: 204 },
        { name: 'blk.0.attn_q.weight', type: 12, dims: [256, 2, 2, 2], offset: 224, byteLength: 1152 },
        { name: 'scalar', type: 0, dims: [], offset: 1376, byteLength: 4 },
        { name: 'nothing', type: 0, dims: [0, 5], offset: 1408, byteLength: 0 },
        { name: 'last', type: 1, dims: [5], offset: 1408, byteLength: 10 },
      ])
    })
  }
}

test('gives the same header however few bytes a read returns', async () => {
  const atOnce = await header(EVERYTHING)
  assert.deepEqual(await header(EVERYTHING, 1), atOnce)
  assert.deepEqual(await header(EVERYTHING, 7), atOnce)
})

test('reads on over the edge of its window', async () => {
  const tokens = Array.from({ length: 150_000 }, (_, index) => `token number ${index}`)
  const metadata = {
    t: array('string', tokens),
    'b.bytes': array('u8', tokens.fill('7')),
    after: value('u16', 9),
  }
  const tensors = Array.from({ length: 3000 }, (_, index) => ({ name: `blk.${index}.weight`, dims: [8] }))
  const read = await header({ metadata, tensors })
  assert.equal(read.metadata.get('after'), 9)
  assert.equal(read.tensors[2999]?.name, 'blk.2999.weight')
  assert.equal(read.tensors[2999]?.offset, 2999 * 32)
})

test('uses the alignment the metadata gives', async () => {
  const spec: GgufSpec = {
    metadata: { 'general.alignment': value('u32', 4096) },
    tensors: [
      { name: 'a', dims: [1] },
      { name: 'b', dims: [1] },
    ],
    alignment: 4096,
  }
  const read = await header(spec)
  assert.equal(read.alignment, 4096)
  assert.equal(read.dataStart, 4096)
  assert.deepEqual(
    read.tensors.map(({ offset }) => offset),
    [0, 4096],
  )
})

test('keeps keys that are names of an object’s own machinery', async () => {
  const metadata = [
    ['__proto__', value('u8', 1)],
    ['constructor', value('u8', 2)],
  ] as const
  const read = await header({ metadata })
  assert.deepEqual(
    [...read.metadata],
    [
      ['__proto__', 1],
      ['constructor', 2],
    ],
  )
})

test('a file without tensors ends with its header, unpadded', async () => {
  const spec = { metadata: { 'general.architecture': value('string', 'llama') } }
  const read = await header(spec)
  assert.equal(read.dataStart, buildGguf(spec).length)
})
