/** What a download serves to others: the frames of the pieces it has, and of no other. */
import assert from 'node:assert/strict'
import { open, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseInfoHash } from '../../src/metainfo/info-hash.ts'
import { PartialFrames } from '../../src/swarm/lane/partial-frames.ts'
import { BLOCK_BYTES, HEAD_BYTES } from '../../src/swarm/seeding/frames.ts'
import { WindowCache } from '../../src/swarm/seeding/window-cache.ts'
import { afterTest } from '../helpers/after-test.ts'
import { SeededBytes } from '../helpers/seeded-bytes.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { message, uint32 } from '../hostile/raw-peer.ts'

const KIB = 1024

async function partialFrames(t: TestContext, length: number, pieceLength: number, here: readonly number[]) {
  const path = join(await temporaryFolder(t), 'part')
  const bytes = Buffer.from(new SeededBytes(3).next(length))
  await writeFile(path, bytes)
  const handle = await open(path, 'r')
  afterTest(t, () => handle.close())
  const cache = new WindowCache()
  const note = { synced: new Uint8Array(1), written: new Uint8Array(1) }
  const partial = Promise.resolve({ handle, length, note, put: async () => true, saveNote: async () => {} })
  const holds = (piece: number): boolean => here.includes(piece)
  const infoHash = parseInfoHash('f'.repeat(40))
  return {
    path,
    bytes,
    handle,
    cache,
    frames: new PartialFrames({ infoHash, length, pieceLength, partial, holds, cache }),
  }
}

for (const [length, pieceLength] of [
  [300_000, 32 * KIB],
  [2_000_000, 256 * KIB],
  [3_000_001, 2 * KIB * KIB],
] as const) {
  test(`blocks of pieces of ${pieceLength} bytes, a window of no more than one piece`, async (t) => {
    const { frames, bytes } = await partialFrames(t, length, pieceLength, [0, 1])
    const { layout } = frames
    for (let piece = 0; piece * pieceLength < length; piece++) {
      assert.equal(frames.holds(piece), piece < 2)
      for (let offset = 0; offset < layout.pieceBytes(piece); offset += BLOCK_BYTES) {
        const size = Math.min(BLOCK_BYTES, layout.pieceBytes(piece) - offset)
        const window = layout.windowOf(piece, offset)
        const { firstPiece, endPiece } = layout.range(window)
        assert.deepEqual([firstPiece, endPiece], [piece, piece + 1])
        const at = layout.placeOf(piece, offset)
        const frame = (await frames.load(window)).subarray(at, at + HEAD_BYTES + size)
        const start = piece * pieceLength + offset
        assert.ok(frame.equals(message(7, uint32(piece, offset), bytes.subarray(start, start + size))))
      }
    }
  })
}

test('many that ask for one window at once share a read; the memory is given back', async (t) => {
  const { frames, handle, cache } = await partialFrames(t, 300_000, 32 * KIB, [0])
  let reads = 0
  const { readv } = handle
  handle.readv = ((...args: Parameters<typeof readv>) => {
    reads++
    return readv.apply(handle, args)
  }) as typeof readv
  const windows = await Promise.all([frames.load(0), frames.load(0), frames.load(0)])
  assert.ok(windows.every((window) => window === windows[0]))
  assert.equal(reads, 1)
  assert.equal(frames.frames(0), windows[0])
  const late = frames.load(1)
  frames.close()
  await late.catch(() => undefined)
  assert.equal(cache.bytes, 0)
  assert.equal(frames.frames(0), undefined)
  await assert.rejects(frames.load(0), /stopped/)
})

test('a file that ends too early gives an error, and nothing that could be sent', async (t) => {
  const { frames, path, cache } = await partialFrames(t, 300_000, 32 * KIB, [0])
  await truncate(path, 20_000)
  await assert.rejects(frames.load(0), /read 20000 of 32768 bytes at 0/)
  assert.equal(cache.bytes, 0)
})
