/**
 * One conversation of two members, without a socket: each proves that it holds the fleet's key, and every message
 * after that carries a code that only a holder of the key can make. Bytes go in and out; the state is
 *
 *   waiting for hello -> waiting for proof -> proved        any -> refused (throws, and takes no more)
 *
 * The proof covers both openings, nonces included, and who connected to whom: neither can be replayed or sent
 * back to its maker.
 */
import { createHmac, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from 'node:crypto'
import {
  decodeHello,
  decodeMessage,
  decodeProof,
  encodeHello,
  encodeMessage,
  encodeProof,
  MalformedMessage,
} from './catalogue-codec.ts'
import type { CatalogueMessage } from './catalogue-entry.ts'

/** What this program speaks; both sides use the lower of their versions. */
const CATALOGUE_VERSION = 1
/** Of HMAC-SHA-256; 128 bits are what TLS and IPsec keep, too. */
const CODE_BYTES = 16

/** Why a peer is turned away. */
export type Refusal = 'wrong-key' | 'malformed' | 'forged' | 'version' | 'flooding' | 'silent' | 'too-many'

/** A peer that is not, or no longer, listened to. */
export class RefusedPeer extends Error {
  readonly reason: Refusal

  constructor(reason: Refusal, message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'RefusedPeer'
    this.reason = reason
  }
}

/** Who opened the connection. */
export type Side = 'initiator' | 'acceptor'

export interface SessionOptions {
  /** 32 bytes. */
  readonly secret: Uint8Array
  readonly side: Side
  readonly send: (frame: Uint8Array) => void
  /** 32 bytes that were never used before; random ones unless a test vector needs its own. */
  readonly nonce?: Uint8Array
}

type State = 'hello' | 'proof' | 'proved' | 'refused'

/** The conversation; `start` says hello. */
export class CatalogueSession {
  readonly #options: SessionOptions
  /** Made once: from bytes, each of a thousand messages would make it anew, which takes longer than its code. */
  readonly #key: KeyObject
  readonly #hello: Uint8Array
  #state: State = 'hello'
  #transcript: Uint8Array = new Uint8Array()
  #sent = 0n
  #received = 0n

  constructor(options: SessionOptions) {
    this.#options = options
    this.#key = createSecretKey(options.secret)
    this.#hello = encodeHello({ version: CATALOGUE_VERSION, nonce: options.nonce ?? randomBytes(32) })
  }

  get isProved(): boolean {
    return this.#state === 'proved'
  }

  start(): void {
    this.#options.send(this.#hello)
  }

  /**
   * Takes one frame; gives the message in it, or null when there is none for the owner.
   * @throws {RefusedPeer} the connection is of no more use
   */
  receive(frame: Uint8Array): CatalogueMessage | null {
    try {
      switch (this.#state) {
        case 'hello':
          this.#onHello(frame)
          return null
        case 'proof':
          this.#onProof(frame)
          return null
        case 'proved':
          return this.#open(frame)
        case 'refused':
          return null
      }
    } catch (error) {
      this.#state = 'refused'
      throw error instanceof MalformedMessage
        ? new RefusedPeer('malformed', error.message, { cause: error })
        : error
    }
  }

  /** Sends a message; the peer must have proved itself. */
  send(message: CatalogueMessage): void {
    if (this.#state !== 'proved') throw new Error('nothing is told to a peer that has not proved itself')
    const body = encodeMessage(message)
    this.#options.send(Buffer.concat([body, this.#code(this.#options.side, this.#sent++, body)]))
  }

  #onHello(frame: Uint8Array): void {
    const { version } = decodeHello(frame)
    if (Buffer.compare(frame, this.#hello) === 0) throw new RefusedPeer('forged', 'our own hello came back')
    if (version < CATALOGUE_VERSION) throw new RefusedPeer('version', `it speaks version ${version}`)
    const [first, second] = this.#options.side === 'initiator' ? [this.#hello, frame] : [frame, this.#hello]
    this.#transcript = Buffer.concat([first, second])
    this.#state = 'proof'
    this.#options.send(encodeProof(this.#proof(this.#options.side)))
  }

  #onProof(frame: Uint8Array): void {
    if (!timingSafeEqual(decodeProof(frame), this.#proof(otherSide(this.#options.side)))) {
      throw new RefusedPeer('wrong-key', 'it does not hold the key of this fleet')
    }
    this.#state = 'proved'
  }

  #open(frame: Uint8Array): CatalogueMessage | null {
    if (frame.length < CODE_BYTES) throw new RefusedPeer('malformed', 'a message without its code')
    const body = frame.subarray(0, -CODE_BYTES)
    const expected = this.#code(otherSide(this.#options.side), this.#received++, body)
    if (!timingSafeEqual(frame.subarray(-CODE_BYTES), expected)) {
      throw new RefusedPeer('forged', 'a message whose code is wrong')
    }
    return decodeMessage(body)
  }

  #proof(side: Side): Buffer {
    return this.#hmac(`gs_catalogue proof ${side}`, this.#transcript)
  }

  #code(side: Side, count: bigint, body: Uint8Array): Buffer {
    const number = Buffer.alloc(8)
    number.writeBigUInt64BE(count)
    return this.#hmac(`gs_catalogue message ${side}`, this.#transcript, number, body).subarray(0, CODE_BYTES)
  }

  #hmac(purpose: string, ...parts: readonly Uint8Array[]): Buffer {
    const hmac = createHmac('sha256', this.#key).update(`${purpose}\0`)
    for (const part of parts) hmac.update(part)
    return hmac.digest()
  }
}

const otherSide = (side: Side): Side => (side === 'initiator' ? 'acceptor' : 'initiator')
