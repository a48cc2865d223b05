/** The verdicts, each with the sentence people get to see. */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { inspectGguf, judge } from '../../src/gguf/inspect.ts'
import { array, buildGguf, bytesSource, type GgufSpec, type TensorSpec, writeModel } from '../helpers/gguf.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { assertIncomplete, assertInvalid, SMALL, verdict } from './verdicts.ts'

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
