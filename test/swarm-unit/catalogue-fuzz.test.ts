/** 100,000 damaged frames: each is understood or refused, quickly, and nothing else happens. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  decodeHello,
  decodeMessage,
  decodeProof,
  encodeMessage,
  MalformedMessage,
} from '../../src/swarm/catalogue/catalogue-codec.ts'
import { cpuTimeMs } from '../helpers/cpu-time.ts'
import { SeededBytes } from '../helpers/seeded-bytes.ts'
import { encoded, hashOf, infoOf, proved, shardOf } from './catalogue-kit.ts'

const MUTANTS = 100_000
const SEED = Number(process.env['FUZZ_SEED'] ?? 20_260_729)
/** Of processor time: the slowest honest frame takes 1 ms, and the collector may run in between. */
const SLOW_MS = 250

const { a } = proved()
const ORIGINALS: readonly Uint8Array[] = [
  a.sent[0]!,
  a.sent[1]!,
  encodeMessage({ type: 'info', info: infoOf(1), wantsCatalogue: true }),
  encodeMessage({ type: 'beat', info: infoOf(1), shardCount: 9 }),
  encodeMessage({
    type: 'shards',
    put: [shardOf(1), shardOf(2, { state: 'fetching' })],
    drop: [hashOf(3)],
    isPartial: true,
  }),
  encodeMessage({
    type: 'shards',
    put: Array.from({ length: 50 }, (_, at) => shardOf(at)),
    drop: [],
    isPartial: false,
  }),
  encoded({ t: 'later', list: [1, [2, { three: 'x' }]] }),
]

function mutant(random: SeededBytes): Uint8Array {
  const pick = (count: number): number => random.nextUint32() % count
  let bytes = Buffer.from(ORIGINALS[pick(ORIGINALS.length)]!)
  for (let edits = 1 + pick(4); edits > 0 && bytes.length > 0; edits--) {
    const at = pick(bytes.length)
    switch (pick(6)) {
      case 0:
        bytes[at] = random.nextUint32()
        break
      case 1:
        bytes[at] = '0123456789-:delix'.charCodeAt(pick(17))
        break
      case 2:
        bytes = bytes.subarray(0, at)
        break
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), random.next(1 + pick(8)), bytes.subarray(at)])
        break
      case 4:
        bytes = Buffer.concat([
          bytes.subarray(0, at),
          bytes.subarray(Math.min(bytes.length, at + 1 + pick(16))),
        ])
        break
      default:
        bytes = Buffer.concat([bytes, bytes.subarray(at)])
    }
  }
  return bytes
}

test(`${MUTANTS} mutants of frames (seed ${SEED}): no crash, none slow`, () => {
  const random = new SeededBytes(SEED)
  const decoders = [decodeMessage, decodeMessage, decodeMessage, decodeHello, decodeProof]
  let taken = 0
  let slowestMs = 0
  for (let count = 0; count < MUTANTS; count++) {
    const bytes = mutant(random)
    const decode = decoders[count % decoders.length]!
    const begun = cpuTimeMs()
    try {
      decode(bytes)
      taken++
    } catch (error) {
      assert.ok(error instanceof MalformedMessage, `${error} for ${Buffer.from(bytes).toString('latin1')}`)
    }
    slowestMs = Math.max(slowestMs, cpuTimeMs() - begun)
  }
  assert.ok(slowestMs < SLOW_MS, `one took ${slowestMs} ms`)
  assert.ok(taken > MUTANTS / 100 && taken < MUTANTS, `${taken} taken: the mutants are of little use`)
})

test('of messages with their codes no mutant is heard', () => {
  const random = new SeededBytes(SEED + 1)
  for (let count = 0; count < 2_000; count++) {
    const { a: from, b: to } = proved()
    from.session.send({ type: 'shards', put: [shardOf(count)], drop: [], isPartial: false })
    const frame = Buffer.from(from.sent.at(-1)!)
    frame[random.nextUint32() % frame.length]! ^= 1 + (random.nextUint32() % 255)
    assert.throws(() => to.session.receive(frame))
  }
})
