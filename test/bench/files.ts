/** The files that the bench moves, their torrents, and whether what arrived is the same to the last byte. */
import { hash } from 'node:crypto'
import { closeSync, openSync, readSync } from 'node:fs'
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { buildInfo, composeTorrentFile } from '../../src/metainfo/create.ts'
import { pieceLengthFor } from '../../src/metainfo/piece-length.ts'
import { writeModel } from '../helpers/gguf.ts'
import type { BenchFile } from './model.ts'

/** Reads this much at once: what fits the second-level cache twice. */
const COMPARE_BYTES = 256 * 1024

/** Writes a shard and its torrent; equal numbers give equal bytes. */
export async function makeFile(folder: string, index: number, bytes: number): Promise<BenchFile> {
  const name = `bench-${index}.gguf`
  const shards = join(folder, `shard-${index}`)
  await mkdir(shards, { recursive: true })
  const path = join(shards, name)
  await writeModel(path, { bytes, seed: 1000 + index })
  const torrentFile = join(folder, `${name}.torrent`)
  const { infoHash, pieceLength } = await writeTorrent(path, torrentFile)
  return { path, folder: shards, name, length: bytes, pieceLength, infoHash, torrentFile }
}

async function writeTorrent(
  path: string,
  torrentFile: string,
): Promise<{ infoHash: string; pieceLength: number }> {
  const { size: length } = await stat(path)
  const pieceLength = pieceLengthFor(length)
  const pieces: Buffer[] = []
  await eachPiece(path, pieceLength, (piece) => void pieces.push(hash('sha1', piece, 'buffer')))
  const info = buildInfo({ name: basename(path), length, pieceLength, pieces: Buffer.concat(pieces) })
  await mkdir(dirname(torrentFile), { recursive: true })
  await writeFile(torrentFile, composeTorrentFile({ info: info.info }))
  return { infoHash: info.infoHash, pieceLength }
}

async function eachPiece(path: string, length: number, call: (piece: Uint8Array) => void): Promise<void> {
  const file = openSync(path, 'r')
  const buffer = Buffer.allocUnsafe(length)
  try {
    for (;;) {
      const read = readSync(file, buffer, 0, length, null)
      if (read === 0) return
      call(buffer.subarray(0, read))
    }
  } finally {
    closeSync(file)
  }
}

/** A copy of the torrent that names a tracker, for clients that take a peer's address in no other way. */
export async function withTracker({ torrentFile }: BenchFile, url: string, to: string): Promise<string> {
  const bytes = await readFile(torrentFile)
  // `announce` is the first key of the dictionary, as the keys are sorted.
  const announce = Buffer.from(`d8:announce${Buffer.byteLength(url)}:${url}`)
  await writeFile(to, Buffer.concat([announce, bytes.subarray(1)]))
  return to
}

/** @throws Error naming the first byte that differs */
export function assertSameBytes(expected: string, actual: string): void {
  const files = [openSync(expected, 'r'), openSync(actual, 'r')] as const
  const [a, b] = [Buffer.allocUnsafe(COMPARE_BYTES), Buffer.allocUnsafe(COMPARE_BYTES)]
  try {
    for (let at = 0; ; at += COMPARE_BYTES) {
      const [gotA, gotB] = [readSync(files[0], a), readSync(files[1], b)]
      if (gotA !== gotB || Buffer.compare(a.subarray(0, gotA), b.subarray(0, gotB)) !== 0) {
        throw new Error(`${actual} differs from ${expected} between bytes ${at} and ${at + COMPARE_BYTES}`)
      }
      if (gotA === 0) return
    }
  } finally {
    for (const file of files) closeSync(file)
  }
}
