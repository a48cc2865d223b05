/**
 * A socket and its wire, joined without the streams that the engine puts between them: what is read is handed on
 * at once, and what one turn of the event loop has to say leaves in one write.
 */
import type { EnginePeer } from 'webtorrent'
import { speedometer } from '../rate-meter.ts'
import { keepUnsent } from './unsent.ts'
import { receiveBytes } from './wire-reader.ts'

/** Messages up to this size are copied together; longer ones are blocks, and go as they are. */
const SMALL_BYTES = 4 * 1024
/** Bytes are told to the engine's counters so often, not with every read. */
const TELL_MS = 100

export class WireLink {
  readonly #peer: EnginePeer
  readonly #wire: EnginePeer['wire']
  readonly #socket: EnginePeer['conn']
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  #isScheduled = false
  #received = 0
  #sent = 0
  #telling: NodeJS.Timeout | undefined

  constructor(peer: EnginePeer) {
    const { wire, conn } = peer
    this.#peer = peer
    this.#wire = wire
    this.#socket = conn
    conn.setNoDelay(true) // requests that wait for an acknowledgement come too late
    const push = wire.push.bind(wire)
    wire.push = (bytes) => (bytes === null ? push(null) : this.#push(bytes))
    wire.downloadSpeed = speedometer()
    wire.uploadSpeed = speedometer()
    wire.resume() // or its end would never be seen
    keepUnsent(wire, () => conn.writableLength + this.#queuedBytes)
    wire.once('close', () => this.#tell())
  }

  /** Takes the first `length` bytes, which are not looked at after this returns. */
  receive(bytes: Buffer, length: number): void {
    this.#received += length
    this.#telling ??= setTimeout(() => this.#tell(), TELL_MS).unref()
    receiveBytes(this.#wire, bytes, length)
  }

  #push(bytes: Uint8Array): boolean {
    this.#queue.push(bytes)
    this.#queuedBytes += bytes.length
    if (!this.#isScheduled) {
      this.#isScheduled = true
      queueMicrotask(() => this.#flush())
    }
    return true
  }

  /** The stream's own word for it ('drain') comes only after a write that it called one too many. */
  readonly #onSent = (): void => {
    if (!this.#socket.destroyed) this.#wire._read(() => undefined)
  }

  #flush(): void {
    this.#isScheduled = false
    const queue = this.#queue
    this.#queue = []
    const bytes = this.#queuedBytes
    this.#queuedBytes = 0
    const socket = this.#socket
    if (socket.destroyed || !socket.writable) return
    this.#sent += bytes
    this.#telling ??= setTimeout(() => this.#tell(), TELL_MS).unref()
    if (queue.length === 1) {
      socket.write(queue[0]!, this.#onSent)
      return
    }
    socket.cork()
    for (let from = 0; from < queue.length; ) {
      let to = from
      while (to < queue.length && queue[to]!.length <= SMALL_BYTES) to++
      if (to - from > 1) socket.write(Buffer.concat(queue.slice(from, to)), this.#onSent)
      else socket.write(queue[from]!, this.#onSent)
      from = Math.max(to, from + 1)
    }
    socket.uncork()
  }

  #tell(): void {
    clearTimeout(this.#telling)
    this.#telling = undefined
    const [received, sent] = [this.#received, this.#sent]
    this.#received = this.#sent = 0
    if (received > 0) this.#peer.emit('download', received)
    if (sent > 0) this.#peer.emit('upload', sent)
  }
}
