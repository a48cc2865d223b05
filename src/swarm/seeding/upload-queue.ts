/**
 * Requests of a peer wait here until its socket has room. The engine answers each one at once and keeps the
 * answers in memory until they are sent: a peer that asks for much and reads little would hold 8 MB of blocks
 * (500 requests, BEP 10's `reqq`), and a thousand such peers all of this machine's memory.
 *
 * Blocks asked for in sequence leave together, as they lie in memory; only what nobody usually asks for goes
 * the engine's way, one block at a time.
 */
import type Wire from 'bittorrent-protocol'
import { sendsInPlace, unsentBytes } from '../wire/unsent.ts'
import { type FrameLayout, HEAD_BYTES } from './frames.ts'
import { RequestQueue } from './request-queue.ts'
import type { Suggestions } from './suggestions.ts'
import { MIN_UNSENT_BYTES, UploadRoom } from './upload-room.ts'

/** What we tell peers (`reqq`, BEP 10): requests they may have outstanding. libtorrent's own default. */
export const REQUEST_QUEUE_LENGTH = 500
/** More outstanding requests than this cannot be an honest peer that read our `reqq`. */
const MAX_QUEUED_REQUESTS: number = 4 * REQUEST_QUEUE_LENGTH
/** Longer blocks are refused by every client (BEP 3 names 16 KiB, some ask for up to 128 KiB). */
const MAX_BLOCK_BYTES: number = 128 * 1024
/** What is less than half of its window is copied: it must not keep all of that in memory until it is sent. */
const COPIED_SHARE = 2
/** Windows read ahead of the one that is sent, out of what the peer has asked for already. */
const READ_AHEAD = 2

/** Blocks in the form in which they are sent. */
export interface FrameSource {
  readonly layout: FrameLayout
  /** Is there anything to send of this piece? */
  holds(piece: number): boolean
  /** A window that is in memory. */
  frames(window: number): Buffer | undefined
  /** True while there is time and memory for what is not needed yet. */
  readonly mayReadAhead: boolean
  /** Brings a window into memory. */
  load(window: number): Promise<Buffer>
  /** The window's memory stays what it is until it is unpinned. */
  pin(frames: Buffer): void
  unpin(frames: Buffer): void
}

/** Why a peer's request cannot be queued: it is nonsense, or one too many. */
export type RequestProblem = 'malformed' | 'flooding'

/** The torrent of a wire. */
export interface Served {
  /** Where its blocks come from, as soon as that is known; undefined for one that the engine serves itself. */
  readonly source: () => FrameSource | undefined
  /** What its peers are proposed to ask for. */
  readonly suggestions: Suggestions
  /** It has ended: the engine would answer from a store that is no more, and fail. */
  readonly isGone: () => boolean
}

const torrents = new WeakMap<Wire, Served>()

/** Tells whose blocks this wire asks for. */
export function serveFrames(wire: Wire, served: Served): void {
  torrents.set(wire, served)
  served.suggestions.add(wire)
}

/** Makes all wires queue; `refuse` is told of requests that no honest peer would send. */
export function queueUploads(prototype: Wire, refuse: (wire: Wire, problem: RequestProblem) => void): void {
  const { _onRequest, _onCancel, _pull } = prototype
  const uploads = new WeakMap<Wire, Upload>()
  const unsent = new UploadRoom()

  function uploadOf(wire: Wire): Upload {
    const known = uploads.get(wire)
    if (known !== undefined) return known
    const answer = (piece: number, offset: number, length: number): void =>
      _onRequest.call(wire, piece, offset, length)
    const upload = new Upload(wire, unsent, answer)
    uploads.set(wire, upload)
    wire.once('close', () => {
      unsent.forget(wire)
      // Later: the socket is closed at the end of this turn of the event loop.
      setImmediate(() => upload.unpin())
    })
    return upload
  }

  prototype._onRequest = function (this: Wire, piece, offset, length) {
    // Numbers above 2^31 arrive here as negative ones.
    if (piece < 0 || offset < 0 || length <= 0 || length > MAX_BLOCK_BYTES) {
      refuse(this, 'malformed')
      return
    }
    const upload = uploadOf(this)
    if (upload.queue.length >= MAX_QUEUED_REQUESTS) {
      upload.queue.clear()
      refuse(this, 'flooding')
      return
    }
    upload.add(piece, offset, length)
    torrents.get(this)?.suggestions.asked(this, piece)
  }

  prototype._onCancel = function (this: Wire, piece, offset, length) {
    const isQueued = uploads.get(this)?.queue.remove(piece, offset, length) === true
    if (!isQueued) _onCancel.call(this, piece, offset, length)
  }

  // Every answer, refusal and cancellation takes its request off the list with this.
  prototype._pull = function (this: Wire, requests, piece, offset, length) {
    const pulled = _pull.call(this, requests, piece, offset, length)
    if (requests === this.peerRequests) uploads.get(this)?.schedule()
    return pulled
  }

  // The stream calls this when what was pushed is gone.
  prototype._read = function (this: Wire, done) {
    done(null)
    uploads.get(this)?.pump()
  }
}

/** What one peer has asked for. */
class Upload {
  readonly #wire: Wire
  readonly #unsent: UploadRoom
  /** The engine's way to answer. */
  readonly #answer: (piece: number, offset: number, length: number) => void
  readonly queue = new RequestQueue()
  #isScheduled = false
  /** Windows that the socket still sends from, and how much was pushed when each had been. */
  readonly #pinned: { readonly source: FrameSource; readonly frames: Buffer; readonly end: number }[] = []
  /** Bytes of frames pushed so far. */
  #pushedBytes = 0
  /** The window that the next answer waits for. */
  #loading: number | null = null

  constructor(
    wire: Wire,
    unsent: UploadRoom,
    answer: (piece: number, offset: number, length: number) => void,
  ) {
    this.#wire = wire
    this.#unsent = unsent
    this.#answer = answer
  }

  add(piece: number, offset: number, length: number): void {
    this.queue.push(piece, offset, length)
    this.schedule()
  }

  /** Pumps when all that came together is in the queue. */
  schedule(): void {
    if (this.#isScheduled || this.queue.length === 0) return
    this.#isScheduled = true
    queueMicrotask(() => {
      this.#isScheduled = false
      this.pump()
    })
  }

  /** Lets go of the windows behind which no more than so many bytes are unsent; of all without a number. */
  unpin(unsent = 0): void {
    // Other messages between the frames only make more bytes than are counted here: none is let go of too early.
    while (this.#pinned.length > 0 && unsent <= this.#pushedBytes - this.#pinned[0]!.end) {
      const { source, frames } = this.#pinned.shift()!
      source.unpin(frames)
    }
  }

  pump(): void {
    const wire = this.#wire
    if (this.#pinned.length > 0) this.unpin(unsentBytes(wire))
    this.#dropIfGone()
    while (this.queue.length > 0 && this.#loading === null) {
      const room = this.#unsent.room(wire)
      if (room <= 0) return
      const source = wire.amChoking ? undefined : torrents.get(wire)?.source()
      if (source !== undefined && this.#isBlock(source, 0)) this.#send(source, room)
      else this.#answerFirst()
    }
  }

  /** A wire ends some turns of the event loop after its torrent. */
  #dropIfGone(): void {
    const wire = this.#wire
    if (wire.destroyed || wire._finished || torrents.get(wire)?.isGone()) this.queue.clear()
  }

  #isBlock(source: FrameSource, at: number): boolean {
    const piece = this.queue.piece(at)
    return source.holds(piece) && source.layout.isBlock(piece, this.queue.offset(at), this.queue.bytes(at))
  }

  #windowOf({ layout }: FrameSource, at: number): number {
    return layout.windowOf(this.queue.piece(at), this.queue.offset(at))
  }

  #placeOf({ layout }: FrameSource, at: number): number {
    return layout.placeOf(this.queue.piece(at), this.queue.offset(at))
  }

  /** One block in the engine's own way, or its refusal. */
  #answerFirst(): void {
    const { queue } = this
    const [piece, offset, length] = [queue.piece(0), queue.offset(0), queue.bytes(0)]
    queue.drop(1)
    this.#answer(piece, offset, length)
  }

  /** Sends the blocks at the head of the queue that lie one after the other, or waits until they can be. */
  #send(source: FrameSource, room: number, loaded?: Buffer): void {
    const window = this.#windowOf(source, 0)
    const frames = loaded ?? source.frames(window)
    if (frames === undefined) {
      this.#load(source, window)
      return
    }
    const start = this.#placeOf(source, 0)
    let end = start
    let count = 0
    for (; count < this.queue.length && end - start < room; count++) {
      if (!this.#isBlock(source, count) || this.#windowOf(source, count) !== window) break
      if (this.#placeOf(source, count) !== end) break
      end += HEAD_BYTES + this.queue.bytes(count)
    }
    this.queue.drop(count)
    const wire = this.#wire
    const stretch = frames.subarray(start, end)
    this.#pushedBytes += stretch.length
    if (!sendsInPlace(wire) || stretch.length * COPIED_SHARE < frames.length) {
      wire._push(Buffer.from(stretch))
    } else {
      source.pin(frames)
      this.#pinned.push({ source, frames, end: this.#pushedBytes })
      wire._push(stretch)
    }
    const bytes = end - start - count * HEAD_BYTES
    wire.uploaded += bytes
    wire.uploadSpeed(bytes)
    wire.emit('upload', bytes)
    if (this.queue.length > 0) this.#readAhead(source, window)
  }

  #load(source: FrameSource, window: number): void {
    this.#loading = window
    const loaded = (frames: Buffer): void => {
      this.#loading = null
      this.#sendLoaded(source, window, frames)
      this.pump()
    }
    source.load(window).then(loaded, () => {
      // The file is not what it was: the engine refuses each block in its own words.
      this.#loading = null
      this.#dropIfGone()
      for (let left = this.queue.length; left > 0; left--) this.#answerFirst()
    })
  }

  /** What was waited for is sent at once: with many peers it may be pushed out of memory before their turn. */
  #sendLoaded(source: FrameSource, window: number, frames: Buffer): void {
    const { amChoking, destroyed, _finished } = this.#wire
    if (this.queue.length === 0 || amChoking || destroyed || _finished) return
    if (!this.#isBlock(source, 0) || this.#windowOf(source, 0) !== window) return
    this.#send(source, Math.max(MIN_UNSENT_BYTES, this.#unsent.room(this.#wire)), frames)
  }

  /** What the peer asked for after this window is brought in meanwhile, while nobody waits for the disk. */
  #readAhead(source: FrameSource, window: number): void {
    const ahead = new Set<number>()
    const step = Math.max(1, Math.floor(this.queue.length / 64))
    for (let at = 0; at < this.queue.length && ahead.size < READ_AHEAD; at += step) {
      if (!this.#isBlock(source, at)) continue
      const next = this.#windowOf(source, at)
      if (next !== window && source.frames(next) === undefined) ahead.add(next)
    }
    for (const next of ahead) {
      if (source.mayReadAhead) source.load(next).catch(() => undefined) // told when its turn comes
    }
  }
}
