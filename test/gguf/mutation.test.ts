/**
 * Thousands of damaged headers: whatever the damage, the verdict comes, and soon. A failure prints the seed and
 * the round, which are enough to make the same file again.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { judge } from '../../src/gguf/inspect.ts'
import { cpuTimeMs } from '../helpers/cpu-time.ts'
import { array, buildGguf, bytesSource, items, value } from '../helpers/gguf.ts'
import { TEST_SEED } from '../helpers/random.ts'
import { SeededBytes } from '../helpers/seeded-bytes.ts'

const ROUNDS = 4000
/** Generous, for busy machines; such a header usually takes a tenth of a millisecond. */
const LIMIT_MS = 500

const BASE = {
  metadata: {
    'general.architecture': value('string', 'llama'),
    'general.alignment': value('u32', 64),
    tokens: array('string', ['a', 'bc', '', 'def']),
    scores: array('f32', [1, 2, 3]),
    nested: array('array', [items('u16', [1]), items('string', ['x', 'y'])]),
    count: value('u64', 12n),
  },
  tensors: [
    { name: 'first', dims: [8, 3] },
    { name: 'second', dims: [64], type: 'q8_0' as const },
    { name: 'third', dims: [3], type: 'f16' as const },
  ],
  alignment: 64,
}

/** Bytes that break parsers more often than random ones do. */
const NASTY = [0x00, 0x01, 0x08, 0x09, 0x7f, 0x80, 0xfe, 0xff]

function mutate(bytes: Buffer, headerBytes: number, random: SeededBytes): Buffer {
  let mutant = Buffer.from(bytes)
  for (let edits = 1 + (random.nextUint32() % 4); edits > 0; edits--) {
    const at = random.nextUint32() % headerBytes
    const kind = random.nextUint32() % 5
    const byte = NASTY[random.nextUint32() % NASTY.length] ?? 0
    if (kind === 0) mutant[at] = random.nextUint32()
    else if (kind === 1) mutant[at] = byte
    else if (kind === 2) mutant.fill(byte, at, at + 8)
    else if (kind === 3) mutant = Buffer.concat([mutant.subarray(0, at), mutant.subarray(at + 1)])
    else mutant = Buffer.concat([mutant.subarray(0, at), random.next(8), mutant.subarray(at)])
  }
  return mutant
}

test('damaged headers always get a verdict, quickly', async () => {
  const random = new SeededBytes(TEST_SEED)
  const tally = new Map<string, number>()
  for (let round = 0; round < ROUNDS; round++) {
    const bytes = buildGguf({ ...BASE, littleEndian: round % 4 !== 0 })
    const mutant = mutate(bytes, bytes.length - 448, random)
    const label = `GGUF_TEST_SEED=${TEST_SEED}, round ${round}`
    const start = cpuTimeMs()
    const verdict = await judge(bytesSource(mutant)).catch((cause) => {
      throw new Error(`${label}: no verdict`, { cause })
    })
    const tookMs = cpuTimeMs() - start
    assert.ok(tookMs < LIMIT_MS, `${label}: took ${tookMs} ms`)
    if (verdict.kind === 'whole') assert.ok(verdict.minimumLength <= mutant.length, label)
    tally.set(verdict.kind, (tally.get(verdict.kind) ?? 0) + 1)
  }
  // Each of these must be met, or the damage is not of a kind that tests much.
  for (const kind of ['whole', 'incomplete', 'invalid']) {
    assert.ok(tally.has(kind), `GGUF_TEST_SEED=${TEST_SEED}: none is ${kind}`)
  }
})
