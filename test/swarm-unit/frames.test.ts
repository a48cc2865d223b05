/** Blocks as they go on the wire, and the reader that takes them apart: the same bytes however they are cut. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type Wire from 'bittorrent-protocol'
import { BLOCK_BYTES, FrameLayout, HEAD_BYTES } from '../../src/swarm/seeding/frames.ts'
import { WireReader } from '../../src/swarm/wire/wire-reader.ts'
import { SeededBytes } from '../helpers/seeded-bytes.ts'
import { message, uint32 } from '../hostile/raw-peer.ts'

const KIB = 1024
const MIB = 1024 * KIB

for (const [length, pieceLength] of [
  [5_000_000, 2 * MIB],
  [5_000_001, 256 * KIB],
  [300_000, 32 * KIB],
  [300_000, 20_000], // blocks that are not whole in every piece
  [9_000_000, 1_500_000], // several windows in a piece that is no multiple of one
  [16_385, 16 * KIB],
  [10, 32 * KIB],
] as const) {
  test(`frames of ${length} bytes in pieces of ${pieceLength}`, () => {
    const file = Buffer.from(new SeededBytes(7).next(length))
    const layout = new FrameLayout(length, pieceLength)
    const windows = new Map<number, Buffer>()
    const windowAt = (window: number): Buffer => {
      const known = windows.get(window)
      if (known !== undefined) return known
      const { bytes, blocks } = layout.frames(window, (size) => Buffer.alloc(size))
      const { start, end } = layout.range(window)
      let at = start
      for (const block of blocks) at += file.copy(block, 0, at, at + block.length)
      assert.equal(at, end)
      windows.set(window, bytes)
      return bytes
    }
    for (let piece = 0; piece * pieceLength < length; piece++) {
      const pieceBytes = layout.pieceBytes(piece)
      for (let offset = 0; offset < pieceBytes; offset += BLOCK_BYTES) {
        const size = Math.min(BLOCK_BYTES, pieceBytes - offset)
        assert.ok(layout.isBlock(piece, offset, size))
        assert.ok(!layout.isBlock(piece, offset, size - 1))
        const at = layout.placeOf(piece, offset)
        const frame = windowAt(layout.windowOf(piece, offset)).subarray(at, at + HEAD_BYTES + size)
        const start = piece * pieceLength + offset
        assert.ok(frame.equals(message(7, uint32(piece, offset), file.subarray(start, start + size))))
      }
      assert.ok(!layout.isBlock(piece, pieceBytes, 1))
    }
    const last = Math.ceil(length / pieceLength)
    assert.ok(!layout.isBlock(last, 0, 1) && !layout.isBlock(-1, 0, 1) && !layout.isBlock(0, -BLOCK_BYTES, 1))
    assert.throws(() => layout.pieceBytes(last), RangeError)
  })
}

test('a stream of messages is read the same wherever it is cut', () => {
  const random = new SeededBytes(11)
  const block = Buffer.from(random.next(BLOCK_BYTES))
  const stream = Buffer.concat([
    message(1),
    message(4, uint32(5)),
    message(7, uint32(3, 0), block),
    uint32(0), // keep-alive
    message(6, uint32(1, 16_384, 16_384)),
    message(7, uint32(9, 0), block.subarray(0, 100)), // not asked for
    message(5, Buffer.from([1, 2, 3])),
    message(7, uint32(4, 0)), // a block of nothing
    message(8, uint32(1, 16_384, 16_384)),
    message(20, Buffer.from([0]), Buffer.from('d1:ai1ee')),
    message(7, uint32(3, 16_384), block.subarray(0, 5_000)),
    message(0),
  ])
  const read = (cut: () => number): string[] => {
    const story: string[] = []
    const tell =
      (name: string) =>
      (...parts: readonly unknown[]): void =>
        void story.push(
          `${name} ${parts.map((part) => (ArrayBuffer.isView(part) ? [...(part as Buffer)] : part))}`,
        )
    const wire = {
      _onMessage: tell('message'),
      _onKeepAlive: tell('keep-alive'),
      _onHave: tell('have'),
      _onRequest: tell('request'),
      _onCancel: tell('cancel'),
    }
    const reader = new WireReader(wire as unknown as Wire)
    const piece = Buffer.alloc(32_768)
    reader.sink = {
      begin: (index, offset, length) => {
        story.push(`begin ${index} ${offset} ${length}`)
        return index === 3 ? { buffer: piece, at: offset } : null
      },
      end: () => void story.push('end'),
    }
    const buffer = Buffer.alloc(stream.length)
    for (let at = 0; at < stream.length; ) {
      const count = Math.min(cut(), stream.length - at)
      stream.copy(buffer, 0, at, at + count)
      reader.feed(buffer, count)
      buffer.fill(0xee) // as the next read would
      at += count
    }
    assert.ok(piece.subarray(0, BLOCK_BYTES).equals(block))
    assert.ok(piece.subarray(BLOCK_BYTES, BLOCK_BYTES + 5_000).equals(block.subarray(0, 5_000)))
    return story
  }
  const whole = read(() => stream.length)
  assert.equal(whole.filter((line) => line === 'end').length, 2)
  assert.deepEqual(
    read(() => 1),
    whole,
  )
  for (let round = 0; round < 50; round++) {
    const cut = (): number => 1 + (random.next(2).reduce((sum, byte) => sum * 256 + byte, 0) % 3_000)
    assert.deepEqual(read(cut), whole)
  }
})
