/** What the tests of verdicts share. */
import assert from 'node:assert/strict'
import { type GgufRejection, type GgufVerdict, judge } from '../../src/gguf/inspect.ts'
import { array, bytesSource, type GgufSpec, value } from '../helpers/gguf.ts'

/** A small file with a bit of everything. */
export const SMALL: GgufSpec = {
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

/** The verdict on these bytes. */
export function verdict(bytes: Uint8Array): Promise<GgufVerdict> {
  return judge(bytesSource(bytes))
}

export async function assertInvalid(bytes: Uint8Array, code: GgufRejection, reason: RegExp): Promise<void> {
  const found = await verdict(bytes)
  assert.equal(
    found.kind,
    'invalid',
    JSON.stringify(found, (_, v) => (typeof v === 'bigint' ? String(v) : v)),
  )
  assert.equal(found.code, code)
  assert.match(found.reason, reason)
}

export async function assertIncomplete(
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
