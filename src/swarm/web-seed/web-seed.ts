/**
 * A web seed (BEP 19) as a peer of the lane: it has every piece, never chokes, takes the same request messages as a
 * connection, and answers blocks out of HTTP ranges. So it is measured, helped, judged and left like any other peer.
 */
import { EventEmitter } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import type Wire from 'bittorrent-protocol'
import { messageOf } from '../../errors.ts'
import { speedometer } from '../rate-meter.ts'
import { readerOf } from '../wire/wire-reader.ts'
import { BlockQueue, type FileBlock, type Stretch } from './block-queue.ts'
import { Mirror, MirrorError, type MirrorOptions } from './mirror.ts'

/** Two connections: one answers while the next request is on its way. */
const CONNECTIONS = 2
/** One request: enough that its round trip costs nothing, and that a slow mirror does not hold too much. */
const MAX_STRETCH_BYTES = 4 * 1024 * 1024
/** Asked for at once at most, in blocks, as a peer says with `reqq` (BEP 10). */
const QUEUE_LENGTH = 1_024
/** Pauses after failures in a row, by which a restarting server is back; then the mirror is left. */
const RETRY_MS = [1_000, 3_000, 9_000]

/** The messages of the lane (BEP 3): length, number, piece, offset, length. */
const MESSAGE_BYTES = 17
const REQUEST = 6

export interface WebSeedOptions extends Omit<MirrorOptions, 'connections'> {
  readonly url: string
  readonly pieceLength: number
  /** It is left; why. */
  readonly onLeft: (reason: string) => void
}

/** What the lane and the engine's own types use of a connection. */
export class WebSeed extends EventEmitter {
  readonly url: string
  readonly peerPieces = { get: (): boolean => true }
  readonly peerChoking = false
  readonly hasFast = false
  readonly peerExtendedHandshake = { reqq: QUEUE_LENGTH }
  readonly downloadSpeed = speedometer()
  downloaded = 0
  destroyed = false
  readonly _finished = false
  readonly #options: WebSeedOptions
  readonly #mirror: Mirror
  readonly #queue = new BlockQueue()
  readonly #stopping = new AbortController()
  /** Blocks under way that are not wanted any more, by their place in the file. */
  readonly #cancelled = new Set<number>()
  #active = 0
  #failures = 0

  constructor(options: WebSeedOptions) {
    super()
    this.url = options.url
    this.#options = options
    this.#mirror = new Mirror(options.url, { ...options, connections: CONNECTIONS })
  }

  /** This, as the lane takes it. */
  get wire(): Wire {
    return this as unknown as Wire
  }

  /** Takes request and cancel messages. */
  _push(messages: Uint8Array): void {
    const bytes = Buffer.from(messages.buffer, messages.byteOffset, messages.byteLength)
    for (let start = 0; start + MESSAGE_BYTES <= bytes.length; start += MESSAGE_BYTES) {
      const piece = bytes.readUInt32BE(start + 5)
      const offset = bytes.readUInt32BE(start + 9)
      const at = piece * this.#options.pieceLength + offset
      const block: FileBlock = { piece, offset, at, length: bytes.readUInt32BE(start + 13) }
      if (bytes[start + 4] === REQUEST) {
        this.#cancelled.delete(at)
        this.#queue.add(block)
      } else if (!this.#queue.remove(at)) {
        this.#cancelled.add(at)
      }
    }
    queueMicrotask(() => this.#pump())
  }

  /** Called by whoever finds that it is of no use: it sent wrong data, or nothing. */
  leave(reason: string): void {
    if (this.destroyed) return
    this.destroyed = true
    this.#stopping.abort(new Error(reason))
    this.#queue.clear()
    this.#mirror.close()
    this.#options.onLeft(reason)
    this.emit('close')
    this.removeAllListeners()
  }

  /** The lane leaves peers that were silent for too long. */
  destroy(): void {
    this.leave('it was asked and sent nothing')
  }

  #pump(): void {
    while (this.#active < CONNECTIONS && !this.destroyed) {
      const stretch = this.#queue.take(MAX_STRETCH_BYTES)
      if (stretch === null) return
      this.#active++
      void this.#fetch(stretch).finally(() => {
        this.#active--
        this.#pump()
      })
    }
  }

  async #fetch(stretch: Stretch): Promise<void> {
    const { signal } = this.#stopping
    const left = [...stretch.blocks]
    try {
      await this.#receive(stretch, left, signal)
      this.#failures = 0
    } catch (error) {
      if (signal.aborted) return
      const pauseMs = RETRY_MS[this.#failures++]
      if (pauseMs === undefined || (error instanceof MirrorError && error.isFinal)) {
        this.leave(messageOf(error))
        return
      }
      await delay(pauseMs, undefined, { signal }).catch(() => undefined)
      this.#queue.putBack(left.filter(({ at }) => !this.#cancelled.delete(at)))
    }
  }

  /** Cuts what comes into blocks; `left` holds those that are still to come. */
  async #receive({ start, end }: Stretch, left: FileBlock[], signal: AbortSignal): Promise<void> {
    let waiting: Buffer[] = []
    let bytes = 0
    for await (const part of this.#mirror.read(start, end, signal)) {
      waiting.push(part)
      bytes += part.length
      for (let [next] = left; next !== undefined && bytes >= next.length; [next] = left) {
        const all = waiting.length === 1 ? waiting[0]! : Buffer.concat(waiting)
        left.shift()
        this.#deliver(next, all.subarray(0, next.length))
        bytes -= next.length
        waiting = bytes > 0 ? [all.subarray(next.length)] : []
        if (signal.aborted) return
      }
      if (left.length > 0 && left.every(({ at }) => this.#cancelled.has(at))) break // nobody waits for the rest
    }
  }

  #deliver({ piece, offset, at, length }: FileBlock, bytes: Buffer): void {
    if (this.#cancelled.delete(at)) return
    const { sink } = readerOf(this.wire)
    const target = sink?.begin(piece, offset, length) ?? null
    if (target === null) return
    bytes.copy(target.buffer, target.at)
    sink?.end()
  }
}
