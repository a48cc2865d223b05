/** The verdicts, each with the sentence people get to see. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type GgufRejection, type GgufVerdict, inspectGguf, judge } from '../../src/gguf/inspect.ts'
import {
  array,
  ByteWriter,
  buildGguf,
  bytesSource,
  type GgufSpec,
  items,
  type TensorSpec,
  value,
  writeModel,
} from '../helpers/gguf.ts'
import { temporaryFolder } from '../helpers/temp.ts'

const SMALL: GgufSpec = {
  metadata: {
    'general.architecture': value('string', 'llama'),
    'general.alignment': value('u32', 32),
    tokens: array('string', ['a', 'bc', '']),
    numbers: array('i32', [1, 2, 3]),
  },
  tensors: [
    { name: 'first', dims: [8, 3] },
    { name: 'second', dims: [64], type: 'q8_0' },
    { name: 'third', dims: [3], type: 'f16' },
  ],
}

function verdict(bytes: Uint8Array): Promise<GgufVerdict> {
  return judge(bytesSource(bytes))
}

async function assertInvalid(bytes: Uint8Array, code: GgufRejection, reason: RegExp): Promise<void> {
  const found = await verdict(bytes)
  assert.equal(
    found.kind,
    'invalid',
    JSON.stringify(found, (_, v) => (typeof v === 'bigint' ? String(v) : v)),
  )
  assert.equal(found.code, code)
  assert.match(found.reason, reason)
}

async function assertIncomplete(
  bytes: Uint8Array,
  minimumLength: number | undefined,
  reason: RegExp,
): Promise<void> {
  const found = await verdict(bytes)
  assert.equal(found.kind, 'incomplete')
  assert.equal(found.length, bytes.length)
  assert.equal(found.minimumLength, minimumLength)
  assert.match(found.reason, reason)
}

test('whole with and without the padding of the last tensor, and with trailing data', async () => {
  const unpadded = buildGguf({ ...SMALL, padEnd: false })
  for (const bytes of [unpadded, buildGguf(SMALL), Buffer.concat([buildGguf(SMALL), Buffer.alloc(999)])]) {
    const found = await verdict(bytes)
    assert.equal(found.kind, 'whole')
    assert.equal(found.minimumLength, unpadded.length)
  }
})

test('no strict prefix is whole, each is incomplete, and none asks for more than the file has', async () => {
  for (const littleEndian of [true, false]) {
    const bytes = buildGguf({ ...SMALL, padEnd: false, littleEndian })
    for (let length = 0; length < bytes.length; length++) {
      const found = await verdict(bytes.subarray(0, length))
      assert.equal(found.kind, 'incomplete', `${length} of ${bytes.length} bytes`)
      const { minimumLength = length + 1 } = found
      assert.ok(length < minimumLength && minimumLength <= bytes.length, `${length}: ${minimumLength}`)
    }
  }
})

test('an empty file, a cut header and cut data say how much is missing', async () => {
  const bytes = buildGguf({ ...SMALL, padEnd: false })
  await assertIncomplete(Buffer.alloc(0), undefined, /^empty \(0 bytes\)$/)
  await assertIncomplete(
    bytes.subarray(0, 3),
    24,
    /^has 3 of at least 24 bytes; still being copied, or cut short$/,
  )
  await assertIncomplete(bytes.subarray(0, -1), bytes.length, /still being copied, or cut short$/)
  const large = buildGguf({ tensors: [{ name: 't', dims: [5000], data: new Uint8Array() }] })
  await assertIncomplete(large, large.length + 20_000, /^has 64 of at least 20,064 bytes; still being copied/)
})

test('a header cut in the middle but padded to the right length is malformed', async () => {
  const bytes = buildGguf(SMALL)
  const headerEnd = bytes.indexOf('third') + 5
  await assertInvalid(
    Buffer.concat([bytes.subarray(0, headerEnd), Buffer.alloc(500)]),
    'malformed',
    /"third"/,
  )
})

test('things saved as .gguf that are something else', async () => {
  const pointer = 'version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n'
  await assertInvalid(
    Buffer.from(pointer),
    'lfs-pointer',
    /^a Git LFS pointer, not the file itself; run `git lfs pull`$/,
  )
  const pages = [
    '<!DOCTYPE html><html>',
    '\ufeff\r\n  <HTML lang="en">',
    '<!-- gone --><html>',
    '<head></head>',
  ]
  for (const page of pages) {
    await assertInvalid(Buffer.from(page), 'html-page', /^an HTML page saved as \.gguf; download it again$/)
  }
  await assertInvalid(Buffer.from('<?xml version="1.0"?><Error/>'), 'html-page', /^an XML page/)
  await assertInvalid(Buffer.from('tjgg\u0003\0\0\0'), 'not-gguf', /before GGUF; convert it/)
  await assertInvalid(Buffer.alloc(4096), 'not-gguf', /begins with zeros/)
  await assertInvalid(Buffer.from('Entry not found'), 'not-gguf', /begins with "Entry not found"/)
  await assertInvalid(Buffer.from('GG\u001b[31m'), 'not-gguf', /begins with "GG\\u001b\[31m"/)
  await assertInvalid(Buffer.from('P'), 'not-gguf', /begins with "P"/)
})

test('versions that nobody loads', async () => {
  await assertInvalid(
    buildGguf({ version: 1 }),
    'unsupported-version',
    /^GGUF version 1, .* convert it again/,
  )
  await assertInvalid(
    buildGguf({ version: 4 }),
    'unsupported-version',
    /^GGUF version 4; .* update gguf-swarm/,
  )
  await assertInvalid(buildGguf({ version: 0x7fff_fff1 }), 'unsupported-version', /2,147,483,633/)
  await assertInvalid(buildGguf({ version: 0 }), 'malformed', /version 0/)
  // Known by its first 8 bytes already.
  await assertInvalid(buildGguf({ version: 4 }).subarray(0, 8), 'unsupported-version', /version 4/)
})

test('24 bytes that claim millions are judged at once, with hardly any memory', async () => {
  const before = process.memoryUsage().rss
  const start = performance.now()
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
    24 + 10_000 * 13 + 100_000 * 24,
    /^has 24 of at least 2,530,024 bytes/,
  )
  const tookMs = performance.now() - start
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

test('a tensor of unknown size leaves it open, unless even the known part is not there', async () => {
  const tensors: TensorSpec[] = [
    { name: 'known', dims: [8] },
    { name: 'later', dims: [8], type: 99 },
    { name: 'after', dims: [8] },
  ]
  const bytes = buildGguf({ tensors, padEnd: false })
  const found = await verdict(bytes)
  assert.equal(found.kind, 'undecidable')
  assert.match(found.reason, /tensor "later" is of type 99, whose size is not known here/)
  await assertIncomplete(bytes.subarray(0, -1), bytes.length, /still being copied/)
  for (const offset of [33, 0]) {
    const wrong = tensors.with(2, { name: 'after', dims: [8], offset })
    await assertInvalid(
      buildGguf({ tensors: wrong }),
      'malformed',
      /"after" at \d+ where a multiple of 32 from 32/,
    )
  }
  // Types that ggml gave up are treated alike.
  for (const type of [4, 31, 36]) {
    const given = await verdict(buildGguf({ tensors: [{ name: 't', dims: [32], type }] }))
    assert.equal(given.kind, 'undecidable')
  }
})

test('a vocabulary and the tensorless first part of a split are whole', async () => {
  const spec: GgufSpec = { metadata: { 'tokenizer.ggml.tokens': array('string', ['a', 'b']) } }
  const bytes = buildGguf(spec)
  assert.equal((await verdict(bytes)).kind, 'whole')
  assert.equal((await verdict(bytes.subarray(0, -1))).kind, 'incomplete')
})

test('a source that gives fewer bytes than it promised is being changed', async () => {
  const bytes = buildGguf(SMALL)
  const found = await judge(bytesSource(bytes.subarray(0, 100), { length: bytes.length }))
  assert.equal(found.kind, 'incomplete')
  assert.match(found.reason, /became shorter while it was read/)
})

test('files: judged by their size, or by the first bytes asked for', async (t) => {
  const folder = await temporaryFolder(t)
  const path = join(folder, 'm.gguf')
  await writeModel(path, { bytes: 300_000, seed: 7 })
  const found = await inspectGguf(path)
  assert.equal(found.kind, 'whole')
  assert.equal(found.minimumLength, 300_000)
  assert.equal((await inspectGguf(path, { length: 299_999 })).kind, 'incomplete')
  assert.equal((await inspectGguf(path, { length: 300_001 })).kind, 'whole')
  await truncate(path, 299_999)
  assert.equal((await inspectGguf(path)).kind, 'incomplete')
})

test('files: errors of the file system and of the signal come through as they are', async (t) => {
  const folder = await temporaryFolder(t)
  await assert.rejects(inspectGguf(join(folder, 'none.gguf')), { code: 'ENOENT' })
  const path = join(folder, 'm.gguf')
  await writeFile(path, buildGguf(SMALL))
  await assert.rejects(inspectGguf(path, { signal: AbortSignal.abort() }), { name: 'AbortError' })
})

test('files: what is no regular file is refused without waiting for it', {
  skip: process.platform === 'win32',
}, async (t) => {
  const folder = await temporaryFolder(t)
  const pipe = join(folder, 'pipe.gguf')
  execFileSync('mkfifo', [pipe])
  for (const path of [folder, pipe]) {
    assert.deepEqual(await inspectGguf(path), {
      kind: 'invalid',
      code: 'not-gguf',
      reason: 'not a regular file',
    })
  }
})
