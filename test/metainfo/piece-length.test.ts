/** Which piece length a shard gets. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pieceCountOf, pieceLengthFor } from '../../src/metainfo/piece-length.ts'

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB

test('the rule that every host shares: it must never change, or swarms of the same shard split', () => {
  const known: readonly (readonly [number, number])[] = [
    [1, 256 * KiB],
    [420_000_000, 256 * KiB],
    [512 * MiB, 256 * KiB],
    [512 * MiB + 1, 512 * KiB],
    [1 * GiB, 512 * KiB],
    [2 ** 31, 1 * MiB],
    [2 ** 31 + 1, 2 * MiB],
    [8 * GiB, 4 * MiB],
    [32 * GiB, 16 * MiB],
    [32 * GiB + 1, 16 * MiB],
    [1024 * GiB, 16 * MiB],
  ]
  for (const [length, pieceLength] of known)
    assert.equal(pieceLengthFor(length), pieceLength, `${length} bytes`)
})

test('at most 2,048 pieces until the piece length is at its limit', () => {
  for (let length = 1; length <= 32 * GiB; length = length * 3 + 1) {
    assert.ok(pieceCountOf(length, pieceLengthFor(length)) <= 2_048, `${length} bytes`)
  }
})
