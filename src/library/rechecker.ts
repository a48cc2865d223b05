/**
 * Reads what is seeded again, shard by shard and piece by piece, at a rate nobody notices, and compares each piece
 * with its hash: a disk that loses bits says nothing by itself. Where it was is remembered, so that restarts do not
 * make it read the first shards for ever.
 */
import { createHash } from 'node:crypto'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { messageOf, systemCode } from '../errors.ts'
import { READ_FLAGS } from '../open-flags.ts'
import { writeFileAtomic } from './atomic-file.ts'
import { checkServed } from './served.ts'
import type { ShardFile } from './shard-state.ts'

/** Read at once; the pause that keeps the rate follows. At the usual rate that is four wakes a second. */
const READ_BYTES = 1024 * 1024
/** SHA-1 digest length in a torrent's `pieces` (BEP 3). */
const DIGEST_BYTES = 20
/** A small library would be read all the time: everything at most once a day. */
const MIN_PASS_MS = 24 * 60 * 60_000
/** With nothing to read: shards may come, or the day may be over. */
const IDLE_MS = 5_000
/** A read ends within milliseconds; one of a disk that hangs must not keep a host from stopping. */
const STOP_MS = 1_000
/** What a crash costs is this much of reading again. */
const SAVE_MS = 60_000
const STATE_FILE = 'recheck.json'
const STATE_VERSION = 1

/** One time through all shards. */
export interface RecheckPass {
  /** Shards of which every byte is what was hashed. */
  readonly shards: number
  /** Shards that were found not to be. */
  readonly bad: number
  readonly bytes: number
}

export interface RecheckOptions {
  readonly bytesPerSecond: number
  readonly stateDir: string
  /** What is seeded now. */
  readonly shards: () => readonly ShardFile[]
  /** Whether this very shard still is. */
  readonly isSeeded: (shard: ShardFile) => boolean
  /** A piece is not what was hashed, or cannot be read. */
  readonly onBad: (shard: ShardFile, reason: string) => void
  readonly onPass: (pass: RecheckPass) => void
  /** Only tests give another. */
  readonly minPassMs?: number
}

interface Position {
  /** The shard that is being read, or was the last to be (`isDone`); '' before the first. */
  path: string
  /** Of that shard: another may stand there when it goes on. */
  infoHash: string
  /** Its next piece. */
  piece: number
  isDone: boolean
  /** When this pass began and the last one ended, in milliseconds since 1970; 0 for never. */
  startedAt: number
  endedAt: number
  shards: number
  bad: number
  bytes: number
}

const FRESH: Position = {
  path: '',
  infoHash: '',
  piece: 0,
  isDone: false,
  startedAt: 0,
  endedAt: 0,
  shards: 0,
  bad: 0,
  bytes: 0,
}

/** A running re-check. Made by {@link Rechecker.start}. */
export class Rechecker implements AsyncDisposable {
  readonly #options: RecheckOptions
  readonly #position: Position
  readonly #stop = new AbortController()
  readonly #running: Promise<void>
  #stopping: Promise<void> | undefined
  #readAfter = 0
  #savedAt = performance.now()
  #buffer: Buffer | undefined

  private constructor(options: RecheckOptions, position: Position) {
    this.#options = options
    this.#position = position
    this.#running = this.#run()
  }

  /** Goes on where the last run stopped. */
  static async start(options: RecheckOptions): Promise<Rechecker> {
    return new Rechecker(options, await load(options.stateDir))
  }

  /** When everything had been read for the last time, in milliseconds since 1970; null before that. */
  get endedAt(): number | null {
    return this.#position.endedAt || null
  }

  /** Ends reading and writes down where it is; idempotent, and bounded in time. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      this.#stop.abort()
      await Promise.race([this.#running, delay(STOP_MS, undefined, { ref: false })])
      await this.#save()
    })()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #run(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const shard = this.#next()
      if (shard === null) await this.#pause(IDLE_MS)
      else await this.#recheck(shard)
    }
  }

  /** Shards in the order of their paths, so that those that come and go in between do no harm. */
  #next(): ShardFile | null {
    const position = this.#position
    const { minPassMs = MIN_PASS_MS } = this.#options
    const isBetween = position.path === ''
    const sinceLastMs = Date.now() - position.startedAt
    // A clock that was set back must not stop it.
    if (isBetween && position.startedAt > 0 && sinceLastMs >= 0 && sinceLastMs < minPassMs) return null
    let next: ShardFile | null = null
    for (const shard of this.#options.shards()) {
      const isDue = shard.path > position.path || (shard.path === position.path && !position.isDone)
      if (isDue && (next === null || shard.path < next.path)) next = shard
    }
    if (next === null) this.#endPass()
    else if (isBetween) Object.assign(position, { startedAt: Date.now(), shards: 0, bad: 0, bytes: 0 })
    if (next !== null && (next.path !== position.path || next.infoHash !== position.infoHash)) {
      const { path, infoHash } = next
      Object.assign(position, { path, infoHash, piece: 0, isDone: false })
    }
    return next
  }

  #endPass(): void {
    const { path, shards, bad, bytes } = this.#position
    if (path === '') return // nothing is seeded
    Object.assign(this.#position, { path: '', piece: 0, isDone: false, endedAt: Date.now() })
    this.#options.onPass({ shards, bad, bytes })
  }

  async #recheck(shard: ShardFile): Promise<void> {
    const position = this.#position
    const check = checkServed(shard)
    const count = shard.pieces.length / DIGEST_BYTES
    try {
      await using file = await open(shard.path, READ_FLAGS)
      while (position.piece < count && this.#goesOn(shard)) {
        const { piece } = position
        const digest = await this.#hashPiece(file, shard, piece)
        if (this.#stop.signal.aborted) return
        await check(file) // throws where the file is another by now: its library sees that, too
        const expected = shard.pieces.subarray(piece * DIGEST_BYTES, (piece + 1) * DIGEST_BYTES)
        if (Buffer.compare(digest, expected) !== 0)
          throw new BadPiece(`piece ${piece} is not what was hashed`)
        position.piece++
        await this.#saveSometimes()
      }
      if (position.piece >= count) position.shards++
    } catch (error) {
      // Whatever else went wrong is a change of the file, which events and looks tell of.
      const isBad = error instanceof BadPiece || ['EIO', 'EUCLEAN', 'EBADMSG'].includes(systemCode(error))
      if (isBad && this.#goesOn(shard)) {
        position.bad++
        this.#options.onBad(shard, `re-check: ${messageOf(error)}`)
      }
    }
    // A stop leaves the piece where it is.
    if (!this.#stop.signal.aborted) position.isDone = true
  }

  #goesOn(shard: ShardFile): boolean {
    return !this.#stop.signal.aborted && this.#options.isSeeded(shard)
  }

  async #hashPiece(file: FileHandle, { length, pieceLength }: ShardFile, piece: number): Promise<Uint8Array> {
    const digest = createHash('sha1')
    const end = Math.min(length, (piece + 1) * pieceLength)
    this.#buffer ??= Buffer.allocUnsafeSlow(READ_BYTES) // kept: one for each piece would be collected every few seconds
    const buffer = this.#buffer
    for (let at = piece * pieceLength; at < end && !this.#stop.signal.aborted; ) {
      const { bytesRead } = await file.read(buffer, 0, Math.min(buffer.length, end - at), at)
      if (bytesRead === 0) break // cut short: the check after this says so
      digest.update(buffer.subarray(0, bytesRead))
      at += bytesRead
      this.#position.bytes += bytesRead
      await this.#keepRate(bytesRead)
    }
    return digest.digest()
  }

  #keepRate(bytes: number): Promise<void> {
    const now = performance.now()
    this.#readAfter = Math.max(now, this.#readAfter) + (bytes / this.#options.bytesPerSecond) * 1000
    return this.#pause(this.#readAfter - now)
  }

  async #pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.#stop.signal, ref: false }).catch(() => undefined) // stopped
  }

  async #saveSometimes(): Promise<void> {
    if (performance.now() - this.#savedAt >= SAVE_MS) await this.#save()
  }

  async #save(): Promise<void> {
    this.#savedAt = performance.now()
    const text = `${JSON.stringify({ version: STATE_VERSION, ...this.#position })}\n`
    // A disk that is full costs nothing but reading some of it again.
    await writeFileAtomic(join(this.#options.stateDir, STATE_FILE), text, { sync: false }).catch(() => {})
  }
}

class BadPiece extends Error {}

/** What is missing or damaged begins anew. */
async function load(stateDir: string): Promise<Position> {
  try {
    const saved = JSON.parse(await readFile(join(stateDir, STATE_FILE), 'utf8')) as Record<string, unknown>
    const { version, path, infoHash, isDone } = saved
    if (version !== STATE_VERSION || typeof path !== 'string') return { ...FRESH }
    const count = (key: keyof Position): number => {
      const value = saved[key]
      return Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : 0
    }
    const numbers = {
      piece: count('piece'),
      startedAt: count('startedAt'),
      endedAt: count('endedAt'),
      shards: count('shards'),
      bad: count('bad'),
      bytes: count('bytes'),
    }
    return { path, infoHash: String(infoHash), isDone: isDone === true, ...numbers }
  } catch {
    return { ...FRESH }
  }
}
