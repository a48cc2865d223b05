/**
 * Requests of a peer wait here until its socket has room. The engine answers each one at once and keeps the
 * answers in memory until they are sent: a peer that asks for much and reads little would hold 8 MB of blocks
 * (500 requests, BEP 10's `reqq`), and a thousand such peers all of this machine's memory.
 */
import type Wire from 'bittorrent-protocol'
import { unsentBytes } from './unsent.ts'

/** What we tell peers (`reqq`, BEP 10): requests they may have outstanding. libtorrent's own default. */
export const REQUEST_QUEUE_LENGTH = 500
/** More outstanding requests than this cannot be an honest peer that read our `reqq`. */
const MAX_QUEUED_REQUESTS: number = 4 * REQUEST_QUEUE_LENGTH
/**
 * Answered and being answered, but not yet sent, of one peer: 2 MiB are several reads from disk under way at
 * once, without which each waits for the one before it (45 instead of 100 MB/s to libtorrent).
 */
const MAX_UNSENT_BYTES: number = 2 * 1024 * 1024
/** The same of all peers together; beyond it … */
const MAX_TOTAL_UNSENT_BYTES: number = 64 * 1024 * 1024
/** … each has room for 16 blocks only. */
const CROWDED_UNSENT_BYTES: number = 16 * 16 * 1024
/** Longer blocks are refused by every client (BEP 3 names 16 KiB, some ask for up to 128 KiB). */
const MAX_BLOCK_BYTES: number = 128 * 1024

interface Request {
  readonly piece: number
  readonly offset: number
  readonly length: number
}

/** Why a peer's request cannot be queued: it is nonsense, or one too many. */
export type RequestProblem = 'malformed' | 'flooding'

/** Makes all wires queue; `refuse` is told of requests that no honest peer would send. */
export function queueUploads(prototype: Wire, refuse: (wire: Wire, problem: RequestProblem) => void): void {
  const { _onRequest, _onCancel, _pull } = prototype
  const queues = new WeakMap<Wire, Request[]>()
  const unsent = new Unsent()

  function pump(wire: Wire): void {
    const queue = queues.get(wire)
    if (queue === undefined) return
    if (wire.destroyed) queue.length = 0
    while (queue.length > 0 && unsent.hasRoom(wire)) {
      const { piece, offset, length } = queue.shift()!
      _onRequest.call(wire, piece, offset, length)
    }
  }

  function queueOf(wire: Wire): Request[] {
    const known = queues.get(wire)
    if (known !== undefined) return known
    const queue: Request[] = []
    queues.set(wire, queue)
    wire.once('close', () => unsent.forget(wire))
    return queue
  }

  prototype._onRequest = function (this: Wire, piece, offset, length) {
    // Numbers above 2^31 arrive here as negative ones.
    if (piece < 0 || offset < 0 || length <= 0 || length > MAX_BLOCK_BYTES) {
      refuse(this, 'malformed')
      return
    }
    const queue = queueOf(this)
    if (queue.length >= MAX_QUEUED_REQUESTS) {
      queue.length = 0
      refuse(this, 'flooding')
      return
    }
    queue.push({ piece, offset, length })
    pump(this)
  }

  prototype._onCancel = function (this: Wire, piece, offset, length) {
    const queue = queues.get(this)
    const at = queue?.findIndex(
      (queued) => queued.piece === piece && queued.offset === offset && queued.length === length,
    )
    if (queue !== undefined && at !== undefined && at >= 0) queue.splice(at, 1)
    else _onCancel.call(this, piece, offset, length)
  }

  // Every answer, refusal and cancellation takes its request off the list with this.
  prototype._pull = function (this: Wire, requests, piece, offset, length) {
    const pulled = _pull.call(this, requests, piece, offset, length)
    if (requests === this.peerRequests && (queues.get(this)?.length ?? 0) > 0)
      queueMicrotask(() => pump(this))
    return pulled
  }

  // The stream calls this when what was pushed is gone.
  prototype._read = function (this: Wire, done) {
    done(null)
    pump(this)
  }
}

/** Bytes that wait in memory for the sockets of peers. */
class Unsent {
  readonly #byWire = new Map<Wire, number>()
  #total = 0

  hasRoom(wire: Wire): boolean {
    let bytes = unsentBytes(wire)
    for (const { length } of wire.peerRequests) bytes += length
    this.#total += bytes - (this.#byWire.get(wire) ?? 0)
    this.#byWire.set(wire, bytes)
    return bytes < (this.#total < MAX_TOTAL_UNSENT_BYTES ? MAX_UNSENT_BYTES : CROWDED_UNSENT_BYTES)
  }

  forget(wire: Wire): void {
    this.#total -= this.#byWire.get(wire) ?? 0
    this.#byWire.delete(wire)
  }
}
