/**
 * Takes a connection's bytes apart once its handshakes are done, in place of the protocol library, which copies
 * every byte twice and makes objects for each block: blocks go straight to where the download wants them.
 */
import type Wire from 'bittorrent-protocol'

/** Longer than any message in use: blocks are at most 128 KiB, metadata pieces 16 KiB (BEP 9). */
const MAX_MESSAGE_BYTES = 256 * 1024
/**
 * The engine says that it is alive every 55 s, and others do so every two minutes (BEP 3). A peer that said nothing
 * between so many of ours is gone without a word: its machine lost power, or a router forgot the connection.
 */
const MAX_UNANSWERED = 4
const LENGTH_BYTES = 4
/** Length, number and three integers: a whole request, or a block's head and more. */
const MAX_HEAD_BYTES = 17
/** Length, number, piece and offset. */
const BLOCK_HEAD_BYTES = 13

/** Message numbers of BEP 3 that are taken apart here; all others are the library's. */
const HAVE = 4
const REQUEST = 6
const PIECE = 7
const CANCEL = 8

/** Where a block's bytes go. */
export interface BlockTarget {
  readonly buffer: Buffer
  readonly at: number
}

/** Who wants the blocks of a connection. */
export interface BlockSink {
  /** A block begins; null for one that was not asked for: its bytes are dropped. */
  begin(piece: number, offset: number, length: number): BlockTarget | null
  /** All bytes of the block that was begun last are there. */
  end(): void
}

export type MessageProblem = 'malformed' | 'oversized'

type Refuse = (wire: Wire, problem: MessageProblem | 'crashesCaught') => void

const readers = new WeakMap<Wire, WireReader>()
let refuse: Refuse = (wire) => wire.destroy()

/** The reader of a wire. It is fed from the first message after the handshakes on. */
export function readerOf(wire: Wire): WireReader {
  const known = readers.get(wire)
  if (known !== undefined) return known
  const reader = new WireReader(wire)
  readers.set(wire, reader)
  return reader
}

/**
 * Lets the readers take over all wires: the library asks for the length of the first message when the handshakes,
 * encryption included, are done. `refuse` is told of messages that no honest peer would send.
 */
export function installReaders(prototype: Wire, onProblem: Refuse): void {
  refuse = onProblem
  const { _write: write, keepAlive } = prototype
  prototype.keepAlive = function (this: Wire) {
    if (readerOf(this).isGone()) this.destroy()
    else keepAlive.call(this)
  }
  prototype._onMessageLength = function (this: Wire, length: Uint8Array) {
    const bytes = [length, ...this._buffer]
    this._buffer = []
    this._bufferSize = 0
    this._parse(Number.MAX_SAFE_INTEGER, () => undefined)
    const reader = readerOf(this)
    reader.isActive = true
    for (const part of bytes) reader.feed(asBuffer(part))
  }
  // The engine's own pipes (with a rate limit) end here.
  prototype._write = function (this: Wire, bytes, done) {
    if (readers.get(this)?.isActive) {
      receiveBytes(this, asBuffer(bytes), bytes.length)
      done(null)
    } else {
      write.call(this, bytes, done)
    }
  }
}

/** Takes the first `length` bytes that a socket read; they may be overwritten as soon as this returns. */
export function receiveBytes(wire: Wire, bytes: Buffer, length: number): void {
  if (wire._finished || wire.destroyed) return
  const reader = readers.get(wire)
  const part = length === bytes.length ? bytes : bytes.subarray(0, length)
  try {
    if (!reader?.isActive) wire._write(new Uint8Array(part), () => undefined)
    else if (wire._encryptor?._isEncrypted) reader.feed(asBuffer(wire._encryptor.decrypt(part)))
    else reader.feed(bytes, length)
  } catch {
    refuse(wire, 'crashesCaught')
  }
}

const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer as ArrayBuffer, bytes.byteOffset, bytes.byteLength)

/** The reader of one connection. */
export class WireReader {
  readonly #wire: Wire
  readonly #head = Buffer.alloc(MAX_HEAD_BYTES)
  #headBytes = 0
  #headWanted = LENGTH_BYTES
  /** A message that is not complete. */
  #message: Buffer | null = null
  #messageBytes = 0
  #target: BlockTarget | null = null
  #at = 0
  /** Bytes of a block still to come. */
  #blockLeft = 0
  #stopped = false
  #unanswered = 0
  sink: BlockSink | null = null
  /** The handshakes are done. */
  isActive = false

  constructor(wire: Wire) {
    this.#wire = wire
  }

  /** Takes the first `length` bytes; none of them is looked at after this returns. */
  feed(bytes: Buffer, length: number = bytes.length): void {
    this.#unanswered = 0
    let at = 0
    while (at < length && !this.#stopped) {
      if (this.#blockLeft > 0) at += this.#takeBlock(bytes, at, length)
      else if (this.#message !== null) at += this.#takeMessage(this.#message, bytes, at, length)
      else at += this.#takeHead(bytes, at, length)
    }
  }

  /** Asked before each of our own keep-alives: has nothing come for too many of them? */
  isGone(): boolean {
    return ++this.#unanswered > MAX_UNANSWERED
  }

  /** The rest of the block that is arriving is not wanted any more: its buffer is somebody else's. */
  dropBlock(): void {
    this.#target = null
  }

  /** Nothing is read any more. */
  stop(): void {
    this.#stopped = true
    this.#target = null
  }

  #takeBlock(bytes: Buffer, at: number, length: number): number {
    const count = Math.min(this.#blockLeft, length - at)
    if (this.#target !== null) {
      bytes.copy(this.#target.buffer, this.#at, at, at + count)
      this.#at += count
    }
    this.#blockLeft -= count
    if (this.#blockLeft === 0 && this.#target !== null) {
      this.#target = null
      this.sink?.end()
    }
    return count
  }

  #takeMessage(message: Buffer, bytes: Buffer, at: number, length: number): number {
    const count = Math.min(message.length - this.#messageBytes, length - at)
    bytes.copy(message, this.#messageBytes, at, at + count)
    this.#messageBytes += count
    if (this.#messageBytes === message.length) {
      this.#message = null
      this.#wire._onMessage(message)
    }
    return count
  }

  #takeHead(bytes: Buffer, at: number, length: number): number {
    const count = Math.min(this.#headWanted - this.#headBytes, length - at)
    for (let index = 0; index < count; index++) this.#head[this.#headBytes++] = bytes[at + index]!
    if (this.#headBytes === this.#headWanted) this.#onHead()
    return count
  }

  /** The head has as many bytes as were wanted of it. */
  #onHead(): void {
    const head = this.#head
    const length = head.readUInt32BE(0)
    if (this.#headWanted === LENGTH_BYTES) {
      if (length > MAX_MESSAGE_BYTES) {
        refuse(this.#wire, 'oversized')
        return
      }
      if (length === 0) {
        this.#nextHead()
        this.#wire._onKeepAlive()
      } else {
        this.#headWanted = LENGTH_BYTES + 1
      }
      return
    }
    const number = head[LENGTH_BYTES]!
    const wanted = headBytesOf(number, length)
    if (this.#headWanted < wanted) {
      this.#headWanted = wanted
      return
    }
    this.#nextHead()
    if (number === PIECE) this.#onBlockHead(length)
    else if (wanted === LENGTH_BYTES + length && wanted > LENGTH_BYTES + 1) this.#onNumbers(number)
    else this.#onOther(number, length, LENGTH_BYTES + 1)
  }

  #nextHead(): void {
    this.#headBytes = 0
    this.#headWanted = LENGTH_BYTES
  }

  #onBlockHead(length: number): void {
    if (length < BLOCK_HEAD_BYTES - LENGTH_BYTES) {
      refuse(this.#wire, 'malformed')
      return
    }
    if (this.sink === null && this.#wire.requests.length > 0) {
      this.#onOther(PIECE, length, BLOCK_HEAD_BYTES) // somebody asked by the library's own means
      return
    }
    const blockLength = length + LENGTH_BYTES - BLOCK_HEAD_BYTES
    this.#target =
      this.sink?.begin(this.#head.readUInt32BE(5), this.#head.readUInt32BE(9), blockLength) ?? null
    this.#at = this.#target?.at ?? 0
    this.#blockLeft = blockLength
  }

  /** Messages of a few integers; numbers above 2^31 become negative ones, as in the library. */
  #onNumbers(number: number): void {
    const wire = this.#wire
    const piece = this.#head.readInt32BE(5)
    if (number === HAVE) wire._onHave(piece)
    else if (number === REQUEST) wire._onRequest(piece, this.#head.readInt32BE(9), this.#head.readInt32BE(13))
    else wire._onCancel(piece, this.#head.readInt32BE(9), this.#head.readInt32BE(13))
  }

  /** Gathers a message for the library; `read` bytes of it are in the head. */
  #onOther(number: number, length: number, read: number): void {
    const message = Buffer.from(new ArrayBuffer(length)) // of its own: handlers keep parts of it
    message[0] = number
    this.#head.copy(message, 1, LENGTH_BYTES + 1, read)
    this.#messageBytes = read - LENGTH_BYTES
    if (this.#messageBytes === length) this.#wire._onMessage(message)
    else this.#message = message
  }
}

/** How many bytes of a message are looked at together, besides which it may have more. */
function headBytesOf(number: number, length: number): number {
  if (number === PIECE && length >= BLOCK_HEAD_BYTES - LENGTH_BYTES) return BLOCK_HEAD_BYTES
  if (number === HAVE && length === 5) return LENGTH_BYTES + length
  if ((number === REQUEST || number === CANCEL) && length === 13) return LENGTH_BYTES + length
  return LENGTH_BYTES + 1
}
