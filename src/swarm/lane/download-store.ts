/**
 * The chunk store of a download: whole verified pieces into one hidden file, and a note of which pieces
 * are there that survives kill -9 and a power cut.
 *
 * A piece is read back and checked once it is written, and counts from then on: what is noted, told to peers and
 * sent is what the file holds. The note has two bitfields: `synced` pieces were flushed to disk before they were noted and are
 * trusted on resume; `written` ones were not yet, and are hashed again before they count.
 */
import type { FileHandle } from 'node:fs/promises'
import type { ChunkStore, ChunkStoreCallback } from 'webtorrent'
import { answerGet, asError, type BlockRange } from '../chunk-store.ts'

/** How often the note is brought up to date: at most this much of a download is fetched again. */
const NOTE_INTERVAL_MS = 250
/** How often the data is flushed; on a slow disk the flush itself sets the pace. */
const SYNC_INTERVAL_MS = 2_000

/** Which pieces a partial download holds; bit order as in BEP 3's bitfield. */
export interface ResumeNote {
  readonly synced: Uint8Array
  readonly written: Uint8Array
}

/** The partial file a download writes to, open for reading and writing, of full length. */
export interface PartialFile {
  readonly handle: FileHandle
  readonly length: number
  readonly note: ResumeNote
  /** Writes a piece as it was received and reads it back; false when peers sent something wrong. */
  readonly put: (index: number, bytes: Uint8Array) => Promise<boolean>
  /** Keeps the note, atomically. */
  readonly saveNote: (note: ResumeNote) => Promise<void>
}

/** What the owner of a download gives to its store. */
export interface DownloadStoreSettings {
  /** Resolves once metadata is known and accepted and the partial file is open. */
  readonly partial: Promise<PartialFile>
  /** Writing or flushing failed (disk full, …): the download cannot go on, or is not on its disk. */
  readonly onFailed: (error: unknown) => void
}

/** What was written is not what the torrent says: whoever sent it is to blame, and it is to be fetched again. */
export class WrongPiece extends Error {}

interface StoreOptions {
  readonly settings: DownloadStoreSettings
}

export function hasPiece(bitfield: Uint8Array, index: number): boolean {
  return ((bitfield[index >> 3] ?? 0) & (0x80 >> (index & 7))) !== 0
}

export function setPiece(bitfield: Uint8Array, index: number): void {
  bitfield[index >> 3] = (bitfield[index >> 3] ?? 0) | (0x80 >> (index & 7))
}

/** Chunk store over one {@link PartialFile}. */
export class DownloadStore implements ChunkStore {
  readonly chunkLength: number
  readonly #settings: DownloadStoreSettings
  #written: Uint8Array | undefined
  #synced: Uint8Array | undefined
  #noteTimer: NodeJS.Timeout | undefined
  #lastSync = performance.now()
  #saving: Promise<void> = Promise.resolve()
  #syncing: Promise<void> = Promise.resolve()
  #puts = new Set<Promise<void>>()
  #opened = false
  #closed = false

  constructor(chunkLength: number, { settings }: StoreOptions) {
    this.chunkLength = chunkLength
    this.#settings = settings
    void settings.partial.then(() => {
      this.#opened = true
    })
  }

  put(index: number, data: Uint8Array, callback?: (error: Error | null) => void): void {
    const put = this.#put(index, data).then(
      () => callback?.(null),
      (error: unknown) => {
        if (!(error instanceof WrongPiece)) this.#settings.onFailed(error)
        callback?.(asError(error))
      },
    )
    this.#puts.add(put)
    void put.finally(() => this.#puts.delete(put))
  }

  get(index: number, options: BlockRange | ChunkStoreCallback, callback?: ChunkStoreCallback): void {
    answerGet((offset, length) => this.#get(index, offset, length), options, callback)
  }

  close(callback?: (error: Error | null) => void): void {
    this.#close().then(
      () => callback?.(null),
      (error: unknown) => {
        this.#settings.onFailed(error) // the engine drops what its stores say at their end
        callback?.(asError(error))
      },
    )
  }

  /** Like close: the hidden file belongs to the download that made it, not to the engine. */
  destroy(callback?: (error: Error | null) => void): void {
    this.close(callback)
  }

  async #put(index: number, data: Uint8Array): Promise<void> {
    const { note, put } = await this.#settings.partial
    if (this.#closed) throw new Error('the download was stopped')
    if (!(await put(index, data))) throw new WrongPiece(`piece ${index} is wrong`)
    this.#written ??= note.written.slice()
    this.#synced ??= note.synced.slice()
    setPiece(this.#written, index)
    this.#noteTimer ??= setTimeout(() => this.#scheduleSave(), NOTE_INTERVAL_MS)
  }

  async #get(index: number, offset: number, wanted?: number): Promise<Uint8Array> {
    const { handle, length } = await this.#settings.partial
    const pieceBytes = Math.min(this.chunkLength, length - index * this.chunkLength)
    const end = offset + (wanted ?? pieceBytes - offset)
    // The engine lets peers ask for any piece and offset; past the piece lies what nobody has verified yet.
    if (index < 0 || offset < 0 || end <= offset || end > pieceBytes)
      throw new RangeError(`no such block in piece ${index}`)
    const buffer = new Uint8Array(end - offset)
    const position = index * this.chunkLength + offset
    for (let filled = 0; filled < buffer.length; ) {
      const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled, position + filled)
      if (bytesRead === 0) throw new Error('the partial file ends too early')
      filled += bytesRead
    }
    return buffer
  }

  #scheduleSave(): void {
    this.#noteTimer = undefined
    if (performance.now() - this.#lastSync >= SYNC_INTERVAL_MS) {
      this.#lastSync = performance.now()
      // Beside the notes, not between them: on a slow disk a flush takes seconds.
      this.#syncing = this.#syncing.then(() => this.#sync()).catch((error) => this.#settings.onFailed(error))
    }
    this.#saving = this.#saving.then(() => this.#save()).catch((error) => this.#settings.onFailed(error))
  }

  async #sync(): Promise<void> {
    const { handle } = await this.#settings.partial
    const flushed = this.#written?.slice() // taken before the flush: later pieces are not covered by it
    await handle.datasync()
    if (flushed !== undefined) this.#synced = flushed
  }

  async #save(): Promise<void> {
    if (this.#written === undefined || this.#synced === undefined) return
    const { saveNote } = await this.#settings.partial
    await saveNote({ synced: this.#synced, written: this.#written.slice() })
  }

  async #close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (!this.#opened) return // the torrent was refused before there was a file
    await Promise.allSettled([...this.#puts])
    clearTimeout(this.#noteTimer) // of a piece that was being written, too: the file is closed after this
    await Promise.all([this.#syncing, this.#saving])
    await this.#sync()
    await this.#save()
  }
}
