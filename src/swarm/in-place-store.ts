/**
 * The chunk store that seeds a shard where it lies: opens it read-only, reads windows instead of whole
 * pieces, and never lets a byte out that is not what was hashed. A piece is checked against its SHA-1
 * the first time it is read; every later read from disk checks the file's identity.
 */
import { type FileHandle, open } from 'node:fs/promises'
import type { ChunkStore, ChunkStoreCallback } from 'webtorrent'
import { messageOf } from '../errors.ts'
import { answerGet, type BlockRange } from './chunk-store.ts'
import type { WindowCache } from './window-cache.ts'

/** 1 MiB a read: 64 blocks, few enough system calls, small enough that many readers fit the budget. */
const WINDOW_BYTES = 1024 * 1024
/** A descriptor unused for this long is closed, so that a deleted shard frees its disk space. */
const IDLE_CLOSE_MS = 20_000
/** SHA-1 digest length in a torrent's `pieces` (BEP 3). */
const DIGEST_BYTES = 20

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
  readonly cache: WindowCache
}

/** Options as webtorrent hands them to a store: ours come in through `storeOpts`. */
interface StoreOptions {
  readonly file: ServedFile
}

/** Read-only chunk store over one shard. */
export class InPlaceStore implements ChunkStore {
  readonly chunkLength: number
  readonly #file: ServedFile
  readonly #verified: Uint8Array
  readonly #reads = new Map<string, Promise<Uint8Array>>()
  #handle: Promise<FileHandle> | undefined
  #idle: NodeJS.Timeout | undefined
  #lost = false
  #closed = false

  constructor(chunkLength: number, { file }: StoreOptions) {
    this.chunkLength = chunkLength
    this.#file = file
    this.#verified = new Uint8Array(file.pieces.length / DIGEST_BYTES)
  }

  get(index: number, options: BlockRange | ChunkStoreCallback, callback?: ChunkStoreCallback): void {
    answerGet((offset, length) => this.#block(index, offset, length), options, callback)
  }

  put(_index: number, _data: Uint8Array, callback?: (error: Error | null) => void): void {
    callback?.(new Error(`${this.#file.path} is served read-only`))
  }

  close(callback?: (error: Error | null) => void): void {
    this.#closed = true
    this.#file.cache.clear(`${this.#file.infoHash}:`)
    void this.#closeHandle().finally(() => callback?.(null))
  }

  /** Like close: a shard that is seeded in place is never deleted by the engine. */
  destroy(callback?: (error: Error | null) => void): void {
    this.close(callback)
  }

  async #block(index: number, offset: number, wanted?: number): Promise<Uint8Array> {
    const pieceBytes = this.#pieceBytes(index)
    const length = wanted ?? pieceBytes - offset
    if (offset < 0 || length <= 0 || offset + length > pieceBytes)
      throw new RangeError(`no such block in piece ${index}`)
    const first = Math.floor(offset / WINDOW_BYTES)
    const last = Math.floor((offset + length - 1) / WINDOW_BYTES)
    const windows: Uint8Array[] = []
    for (let window = first; window <= last; window++) windows.push(await this.#window(index, window))
    const start = offset - first * WINDOW_BYTES
    // A copy: a block that waits for a slow peer must not keep its window of 1 MiB alive.
    const bytes = windows.length === 1 ? windows[0]! : Buffer.concat(windows)
    return new Uint8Array(bytes.subarray(start, start + length))
  }

  #pieceBytes(index: number): number {
    const { length, pieceLength } = this.#file
    const count = this.#verified.length
    if (!Number.isInteger(index) || index < 0 || index >= count) throw new RangeError(`no piece ${index}`)
    return index === count - 1 ? length - index * pieceLength : pieceLength
  }

  /** One window of one piece, from the cache or from disk; readers of the same window share the read. */
  async #window(index: number, window: number): Promise<Uint8Array> {
    if (this.#lost || this.#closed) throw new Error(`${this.#file.path} is no longer served`)
    const key = `${this.#file.infoHash}:${index}:${window}`
    const cached = this.#file.cache.get(key)
    if (cached !== undefined) return cached
    const running = this.#reads.get(key)
    if (running !== undefined) return running
    const read = this.#file.cache.read(() => this.#read(index, window)).finally(() => this.#reads.delete(key))
    this.#reads.set(key, read)
    const bytes = await read
    if (!this.#lost && !this.#closed) this.#file.cache.set(key, bytes)
    return bytes
  }

  async #read(index: number, window: number): Promise<Uint8Array> {
    if (this.#lost || this.#closed) throw new Error(`${this.#file.path} is no longer served`)
    const pieceBytes = this.#pieceBytes(index)
    const start = window * WINDOW_BYTES
    const end = Math.min(start + WINDOW_BYTES, pieceBytes)
    try {
      if (this.#verified[index] === 1) {
        const bytes = await this.#readRange(index, start, end)
        // After the read: a write that came before it has changed the times by now.
        await this.#file.check(await this.#open())
        return bytes
      }
      const piece = await this.#readRange(index, 0, pieceBytes)
      await this.#verify(index, piece)
      // A copy, so that a cached window does not keep a piece of up to 16 MiB alive.
      return pieceBytes <= WINDOW_BYTES ? piece : piece.slice(start, end)
    } catch (error) {
      this.#lose(messageOf(error))
      throw error
    }
  }

  async #readRange(index: number, start: number, end: number): Promise<Uint8Array> {
    const handle = await this.#open()
    const buffer = new Uint8Array(end - start)
    const position = index * this.#file.pieceLength + start
    for (let filled = 0; filled < buffer.length; ) {
      const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position + filled)
      if (bytesRead === 0) throw new Error('it is shorter than when it was hashed')
      filled += bytesRead
    }
    return buffer
  }

  async #verify(index: number, piece: Uint8Array): Promise<void> {
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-1', piece as Uint8Array<ArrayBuffer>)) // off this thread
    const expected = this.#file.pieces.subarray(index * DIGEST_BYTES, (index + 1) * DIGEST_BYTES)
    if (Buffer.compare(digest, expected) !== 0) {
      await this.#file.check(await this.#open()) // says what happened, where the file system knows
      throw new Error(`piece ${index} is not what was hashed`)
    }
    this.#verified[index] = 1
  }

  #open(): Promise<FileHandle> {
    this.#handle ??= open(this.#file.path, 'r')
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
  }

  #lose(reason: string): void {
    if (this.#lost || this.#closed) return
    this.#lost = true
    this.#file.cache.clear(`${this.#file.infoHash}:`)
    this.#file.onLost(reason)
  }
}
