/** Headers made to mislead or exhaust a reader: each is refused at once, with a reason. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteWriter } from '../helpers/byte-writer.ts'
import { cpuTimeMs } from '../helpers/cpu-time.ts'
import { array, buildGguf, type GgufSpec, items, type TensorSpec, value } from '../helpers/gguf.ts'
import { assertIncomplete, assertInvalid } from './verdicts.ts'

test('24 bytes that claim millions are judged at once, with hardly any memory', async () => {
  const before = process.memoryUsage().rss
  const start = cpuTimeMs()
  const claims: GgufSpec[] = [
    { tensorCount: 9_900_000 },
    { metadataCount: 9_900_000 },
    { tensorCount: 2n ** 64n - 1n },
    { metadataCount: 2n ** 63n },
  ]
  for (const claim of claims)
    await assertInvalid(buildGguf(claim), 'over-limit', /^claims [\d,]+ (tensors|metadata)/)
  await assertIncomplete(
    buildGguf({ tensorCount: 100_000, metadataCount: 10_000 }),
    24 + 10_000 * 14 + 100_000 * 24,
    /^has 24 of at least 2,540,024 bytes/,
  )
  const tookMs = cpuTimeMs() - start
  assert.ok(tookMs < 200, `took ${tookMs} ms`)
  const grown = process.memoryUsage().rss - before
  assert.ok(grown < 32 * 1024 * 1024, `took ${grown} bytes`)
})

const STRING = 8
const ARRAY = 9

/** A file whose only metadata entry is `key`, then these numbers: u32 if plain, u64 if bigint. */
function withRawValue(key: string, ...numbers: readonly (number | bigint)[]): Buffer {
  const writer = new ByteWriter()
  writer.raw(buildGguf({ metadataCount: 1 })).string(key)
  for (const number of numbers) writer.plain(typeof number === 'bigint' ? 'u64' : 'u32', number)
  return writer.bytes
}

test('huge strings, huge arrays and deep nesting', async () => {
  await assertInvalid(withRawValue('s', STRING, 2n ** 64n - 1n), 'over-limit', /bytes for the value of "s"/)
  await assertInvalid(withRawValue('s', STRING, 2n ** 40n), 'over-limit', /more than 134,217,728 bytes/)
  await assertIncomplete(withRawValue('s', STRING, 50_000_000n), 50_000_045, /at least 50,000,045 bytes/)
  await assertInvalid(withRawValue('a', ARRAY, STRING, 2n ** 63n), 'over-limit', /items in "a"/)
  await assertIncomplete(withRawValue('a', ARRAY, STRING, 1_000_000n), 8_000_049, /still being copied/)
  await assertIncomplete(withRawValue('a', ARRAY, ARRAY, 1_000_000n), 12_000_049, /still being copied/)
  const deep = Array.from({ length: 5000 }, () => [ARRAY, 1n]).flat()
  await assertInvalid(withRawValue('d', ARRAY, ...deep), 'over-limit', /nested deeper than 4 in "d"/)
  const many = Array.from({ length: 70_000 }, () => items('u8', []))
  await assertInvalid(
    buildGguf({ metadata: { m: array('array', many) } }),
    'over-limit',
    /more than 65,536 arrays/,
  )
  // A string in the middle of an array that reaches beyond every file.
  await assertInvalid(withRawValue('v', ARRAY, STRING, 2n, 2n ** 60n, 0n), 'over-limit', /134,217,728/)
})

test('values and keys that cannot be', async () => {
  await assertInvalid(withRawValue('k', 13, 0n), 'malformed', /unknown type 13 under "k"/)
  await assertInvalid(withRawValue('k', ARRAY, 99, 0n), 'malformed', /unknown type 99/)
  await assertInvalid(
    buildGguf({ metadata: { ['k'.repeat(65_536)]: value('u8', 1) } }),
    'over-limit',
    /metadata key/,
  )
  await assertInvalid(buildGguf({ metadata: { '': value('u64', 1) } }), 'malformed', /empty metadata key/)
  const twice = [
    ['same', value('u8', 1)],
    ['same', value('u8', 1)],
  ] as const
  await assertInvalid(buildGguf({ metadata: twice }), 'malformed', /key "same" twice/)
})

test('alignments that cannot be', async () => {
  for (const alignment of [0, 24, 33]) {
    const bytes = buildGguf({ metadata: { 'general.alignment': value('u32', alignment) } })
    await assertInvalid(bytes, 'malformed', /not a power of two/)
  }
  for (const type of ['u64', 'string', 'bool'] as const) {
    const bytes = buildGguf({ metadata: { 'general.alignment': value(type, type === 'bool' ? true : '32') } })
    await assertInvalid(bytes, 'malformed', /where u32 is demanded/)
  }
})

test('tensor tables that cannot be', async () => {
  const first: TensorSpec = { name: 'first', dims: [8] }
  const table = (...tensors: TensorSpec[]): Buffer => buildGguf({ tensors })
  await assertInvalid(table(first, first), 'malformed', /tensor "first" twice/)
  await assertInvalid(table({ ...first, offset: 32 }), 'malformed', /"first" at 32 where 0 is expected/)
  await assertInvalid(
    table(first, { name: 'b', dims: [8], offset: 0 }),
    'malformed',
    /"b" at 0 where 32 is expected/,
  )
  await assertInvalid(table({ name: 'd', dims: [1, 1, 1, 1, 1] }), 'malformed', /5 dimensions/)
  await assertInvalid(table({ name: 'n'.repeat(64), dims: [1] }), 'over-limit', /64 bytes for a tensor name/)
  await assertInvalid(
    table({ name: 'r', dims: [33], type: 'q8_0', data: new Uint8Array(68) }),
    'malformed',
    /of 32/,
  )
  const huge = (dims: bigint[]): Buffer => table({ name: 'h', dims, data: new Uint8Array() })
  await assertInvalid(huge([2n ** 63n]), 'over-limit', /"h" to be larger than any file/)
  await assertInvalid(huge([2n ** 40n, 2n ** 40n]), 'over-limit', /"h" to be larger than any file/)
  const half = { dims: [2n ** 50n], data: new Uint8Array() }
  await assertInvalid(
    table({ ...half, name: 'a', type: 'i8' }, { ...half, name: 'b', type: 'i8', offset: 2n ** 53n }),
    'over-limit',
    /larger than any file/,
  )
})
