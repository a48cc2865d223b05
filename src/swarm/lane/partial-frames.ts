/**
 * What a download has already, as it goes on the wire to others: a piece at a time, or a part of a long one. One read and
 * one write serve a whole piece, where the engine would take sixteen and more of each.
 */
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { FrameLayout, WINDOW_BYTES } from '../seeding/frames.ts'
import type { FrameSource } from '../seeding/upload-queue.ts'
import type { WindowCache } from '../seeding/window-cache.ts'
import type { PartialFile } from './download-store.ts'

export interface PartialFramesOptions {
  readonly infoHash: InfoHash
  /** Bytes of the whole file. */
  readonly length: number
  readonly pieceLength: number
  readonly partial: Promise<PartialFile>
  /** Is the piece in the file, and known to be right? */
  readonly holds: (piece: number) => boolean
  readonly cache: WindowCache
}

export class PartialFrames implements FrameSource {
  readonly layout: FrameLayout
  readonly holds: (piece: number) => boolean
  readonly #cache: WindowCache
  readonly #partial: Promise<PartialFile>
  readonly #prefix: string
  readonly #reads = new Map<number, Promise<Buffer>>()
  #closed = false

  constructor({ infoHash, length, pieceLength, partial, holds, cache }: PartialFramesOptions) {
    // Pieces come in any order: the neighbours of one that is here may be missing.
    this.layout = new FrameLayout(length, pieceLength, Math.min(pieceLength, WINDOW_BYTES))
    this.holds = holds
    this.#cache = cache
    this.#partial = partial
    // The whole file has frames of another layout.
    this.#prefix = `partial:${infoHash}:`
  }

  get mayReadAhead(): boolean {
    return this.#cache.isIdle
  }

  frames(window: number): Buffer | undefined {
    return this.#cache.get(this.#prefix + window)
  }

  /** @throws {Error} when the file cannot be read: it is closed, or its disk fails */
  async load(window: number): Promise<Buffer> {
    const known = this.frames(window) ?? this.#reads.get(window)
    if (known !== undefined) return known
    const read = this.#cache.read(() => this.#read(window)).finally(() => this.#reads.delete(window))
    this.#reads.set(window, read)
    const frames = await read
    if (!this.#closed) this.#cache.set(this.#prefix + window, frames)
    return frames
  }

  pin(frames: Buffer): void {
    this.#cache.pin(frames)
  }

  unpin(frames: Buffer): void {
    this.#cache.unpin(frames)
  }

  /** Gives its memory back; nothing is read any more. */
  close(): void {
    this.#closed = true
    this.#cache.clear(this.#prefix)
  }

  async #read(window: number): Promise<Buffer> {
    const { handle } = await this.#partial
    if (this.#closed) throw new Error('the download was stopped')
    const { start, end } = this.layout.range(window)
    const { bytes, blocks } = this.layout.frames(window, (length) => this.#cache.take(length))
    const { bytesRead } = await handle.readv(blocks, start)
    // A signal may cut a read short; then the engine serves the blocks of this window its own way.
    if (bytesRead < end - start) throw new Error(`read ${bytesRead} of ${end - start} bytes at ${start}`)
    return bytes
  }
}
