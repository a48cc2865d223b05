/**
 * The chunk store that seeds a shard where it lies: opens it read-only, reads windows instead of whole
 * pieces, and never lets a byte out that is not what was hashed. A piece is checked against its SHA-1
 * the first time it is read; every later read from disk checks the file's identity.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, open } from 'node:fs/promises'
import type { ChunkStore, ChunkStoreCallback, Torrent } from 'webtorrent'
import { messageOf } from '../../errors.ts'
import { HASH_LENGTH } from '../../metainfo/info-hash.ts'
import { READ_FLAGS } from '../../open-flags.ts'
import { answerGet, type BlockRange } from '../chunk-store.ts'
import { BLOCK_BYTES, FrameLayout, HEAD_BYTES, WINDOW_BYTES } from './frames.ts'
import type { FrameSource } from './upload-queue.ts'
import type { WindowCache } from './window-cache.ts'

/** A descriptor unused for this long is closed, so that a deleted shard frees its disk space. */
const IDLE_CLOSE_MS = 20_000

/** What must stay true of the file, compared as it was when it was hashed. */
export interface ServedFile {
  readonly infoHash: string
  readonly path: string
  readonly length: number
  readonly pieceLength: number
  /** Concatenated SHA-1 digests, 20 bytes a piece. */
  readonly pieces: Uint8Array
  /** Throws unless the open file and the path are still what was hashed. */
  readonly check: (handle: FileHandle) => Promise<void>
  /** The file is no longer what was hashed, or cannot be read; called once. */
  readonly onLost: (reason: string) => void
}

/** Options as webtorrent hands them to a store: ours come in through `storeOpts`. */
interface StoreOptions {
  readonly file: ServedFile
  /** Shared by all shards. */
  readonly cache: WindowCache
}

/** Read-only chunk store over one shard. */
export class InPlaceStore implements ChunkStore, FrameSource {
  readonly chunkLength: number
  readonly #file: ServedFile
  readonly #cache: WindowCache
  readonly #verified: Uint8Array
  readonly layout: FrameLayout
  readonly #reads = new Map<string, Promise<Buffer>>()
  #handle: Promise<FileHandle> | undefined
  #idle: NodeJS.Timeout | undefined
  #checking: Promise<void> | undefined
  #nextCheck: Promise<void> | undefined
  #lost = false
  #closed = false

  constructor(chunkLength: number, { file, cache }: StoreOptions) {
    this.chunkLength = chunkLength
    this.#file = file
    this.#cache = cache
    this.#verified = new Uint8Array(file.pieces.length / HASH_LENGTH)
    this.layout = new FrameLayout(file.length, file.pieceLength)
  }

  get(index: number, options: BlockRange | ChunkStoreCallback, callback?: ChunkStoreCallback): void {
    answerGet((offset, length) => this.#block(index, offset, length), options, callback)
  }

  put(_index: number, _data: Uint8Array, callback?: (error: Error | null) => void): void {
    callback?.(new Error(`${this.#file.path} is served read-only`))
  }

  close(callback?: (error: Error | null) => void): void {
    this.#closed = true
    this.#cache.clear(`${this.#file.infoHash}:`)
    void this.#closeHandle().finally(() => callback?.(null))
  }

  /** Like close: a shard that is seeded in place is never deleted by the engine. */
  destroy(callback?: (error: Error | null) => void): void {
    this.close(callback)
  }

  /** All of it, as it was hashed. */
  holds(): boolean {
    return true
  }

  get mayReadAhead(): boolean {
    return this.#cache.isIdle
  }

  pin(frames: Buffer): void {
    this.#cache.pin(frames)
  }

  unpin(frames: Buffer): void {
    this.#cache.unpin(frames)
  }

  frames(window: number): Buffer | undefined {
    return this.#lost || this.#closed ? undefined : this.#cache.get(this.#key(window))
  }

  async load(window: number): Promise<Buffer> {
    if (this.#lost || this.#closed) throw new Error(`${this.#file.path} is no longer served`)
    const key = this.#key(window)
    const cached = this.#cache.get(key)
    if (cached !== undefined) return cached
    const running = this.#reads.get(key)
    if (running !== undefined) return running
    const read = this.#cache.read(() => this.#read(window)).finally(() => this.#reads.delete(key))
    this.#reads.set(key, read)
    const frames = await read
    if (!this.#lost && !this.#closed) this.#cache.set(key, frames)
    return frames
  }

  #key(window: number): string {
    return `${this.#file.infoHash}:${window}`
  }

  /** Any range of a piece, put together from its blocks; a copy, as all that leaves here by itself. */
  async #block(index: number, offset: number, wanted?: number): Promise<Uint8Array> {
    const pieceBytes = this.layout.pieceBytes(index)
    const length = wanted ?? pieceBytes - offset
    if (offset < 0 || length <= 0 || offset + length > pieceBytes)
      throw new RangeError(`no such block in piece ${index}`)
    const block = new Uint8Array(length)
    for (let filled = 0; filled < length; ) {
      const at = offset + filled
      const skipped = at % BLOCK_BYTES
      const frames = await this.load(this.layout.windowOf(index, at))
      const from = this.layout.placeOf(index, at - skipped) + HEAD_BYTES + skipped
      const count = Math.min(BLOCK_BYTES - skipped, length - filled)
      block.set(frames.subarray(from, from + count), filled)
      filled += count
    }
    return block
  }

  async #read(window: number): Promise<Buffer> {
    if (this.#lost || this.#closed) throw new Error(`${this.#file.path} is no longer served`)
    const { firstPiece, endPiece } = this.layout.range(window)
    try {
      return this.#verified.subarray(firstPiece, endPiece).includes(0)
        ? await this.#readFirst(window)
        : await this.#readAgain(window)
    } catch (error) {
      this.#lose(messageOf(error))
      throw error
    }
  }

  /** Reads whole pieces and checks them, with the memory of one window however long a piece is. */
  async #readFirst(window: number): Promise<Buffer> {
    const { firstPiece, endPiece, start, end } = this.layout.range(window)
    const { bytes, blocks } = this.#frames(window)
    for (let piece = firstPiece; piece < endPiece; piece++) {
      const digest = createHash('sha1')
      const from = piece * this.#file.pieceLength
      const to = from + this.layout.pieceBytes(piece)
      for (let at = from; at < to; at += WINDOW_BYTES) {
        const part = await this.#readRange(at, Math.min(to, at + WINDOW_BYTES))
        digest.update(part)
        if (at >= start && at < end) fill(blocks, at - start, part)
        this.#cache.give(part)
      }
      await this.#judge(piece, digest.digest())
    }
    return bytes
  }

  /** Reads what was checked before. */
  async #readAgain(window: number): Promise<Buffer> {
    const { start, end } = this.layout.range(window)
    const handle = await this.#open()
    const { bytes, blocks } = this.#frames(window)
    const { bytesRead } = await handle.readv(blocks, start)
    if (bytesRead < end - start) fill(blocks, 0, await this.#readRange(start, end))
    // After the read: a write that came before it has changed the times by now.
    await this.#check()
    return bytes
  }

  /** One check for all reads that ended before it began. */
  #check(): Promise<void> {
    const running = this.#checking
    if (running === undefined) return this.#beginCheck()
    this.#nextCheck ??= running
      .catch(() => undefined)
      .then(() => {
        this.#nextCheck = undefined
        return this.#beginCheck()
      })
    return this.#nextCheck
  }

  #beginCheck(): Promise<void> {
    const check = this.#open()
      .then((handle) => this.#file.check(handle))
      .finally(() => {
        if (this.#checking === check) this.#checking = undefined
      })
    this.#checking = check
    return check
  }

  #frames(window: number): ReturnType<FrameLayout['frames']> {
    return this.layout.frames(window, (length) => this.#cache.take(length))
  }

  async #readRange(start: number, end: number): Promise<Buffer> {
    const handle = await this.#open()
    const buffer = this.#cache.take(end - start)
    for (let filled = 0; filled < buffer.length; ) {
      const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, start + filled)
      if (bytesRead === 0) throw new Error('it is shorter than when it was hashed')
      filled += bytesRead
    }
    return buffer
  }

  async #judge(piece: number, digest: Uint8Array): Promise<void> {
    const expected = this.#file.pieces.subarray(piece * HASH_LENGTH, (piece + 1) * HASH_LENGTH)
    if (Buffer.compare(digest, expected) !== 0) {
      await this.#file.check(await this.#open()) // says what happened, where the file system knows
      throw new Error(`piece ${piece} is not what was hashed`)
    }
    this.#verified[piece] = 1
  }

  #open(): Promise<FileHandle> {
    this.#handle ??= open(this.#file.path, READ_FLAGS)
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => void this.#closeHandle(), IDLE_CLOSE_MS)
    this.#idle.unref()
    return this.#handle
  }

  async #closeHandle(): Promise<void> {
    clearTimeout(this.#idle)
    const handle = this.#handle
    this.#handle = undefined
    await Promise.allSettled([...this.#reads.values()]) // nobody loses its descriptor under a read
    await handle?.then((open) => open.close()).catch(() => undefined) // an open() that failed has no descriptor
    // A read that went on after the end has opened the file anew.
    if (this.#closed && this.#handle !== undefined) await this.#closeHandle()
  }

  #lose(reason: string): void {
    if (this.#lost || this.#closed) return
    this.#lost = true
    this.#cache.clear(`${this.#file.infoHash}:`)
    this.#file.onLost(reason)
  }
}

/** The store of a torrent that is seeded in place; the engine wraps the one it is given. */
export function inPlaceStoreOf({ store }: Torrent): InPlaceStore | undefined {
  const inner = (store as { store?: unknown } | null)?.store
  return inner instanceof InPlaceStore ? inner : undefined
}

/** Puts file bytes into the blocks of a window, from `offset` of their content on. */
function fill(blocks: readonly Buffer[], offset: number, content: Buffer): void {
  let at = 0
  for (const block of blocks) {
    const from = at - offset
    at += block.length
    if (from >= 0 && from < content.length) content.copy(block, 0, from, from + block.length)
  }
}
