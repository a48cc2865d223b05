/**
 * A peer with one connection: it dials one address, shakes hands for one infohash, sees which pieces that
 * very peer says it has, and fetches chosen ones from it. The engine takes each piece from whoever is
 * quickest; that a certain host has what it says is only shown by bytes that came from that host.
 */
import { createHash, randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import { connect, type Socket } from 'node:net'
import type Wire from 'bittorrent-protocol'
import { FailedError, systemCode } from '../../errors.ts'
import { HASH_LENGTH, type InfoHash, infoHashOfInfo } from '../../metainfo/info-hash.ts'
import { MAX_TORRENT_BYTES, type Metainfo, metainfoFromInfo } from '../../metainfo/metainfo.ts'
import { formatPeerAddress, type PeerAddress } from '../../metainfo/peer-address.ts'
import { BLOCK_BYTES } from '../seeding/frames.ts'
import { limitPieces } from '../wire/piece-claims.ts'
import { outgoingWire } from '../wire/wire-guard.ts'
import { collectMetadata, type MetadataPieces } from './metadata-pieces.ts'

/** TCP connects in one round trip; a dropped SYN is sent again after 1 and after 3 seconds. */
const CONNECT_TIMEOUT_MS = 5_000
/** Handshake and bitfield follow at once; a busy host may be hashing or flushing. */
const ANSWER_TIMEOUT_MS = 10_000
/** Without a single block, or while choked: rivals for an upload slot are exchanged every 10 s. */
const IDLE_TIMEOUT_MS = 20_000
/** Blocks of 16 KiB asked for at once, 1 MiB: enough for a fast link, well below anybody's `reqq`. */
const PIPELINE = 64
/** The first 8 of a peer id's 20 bytes (BEP 20). */
const PEER_ID_PREFIX: Buffer = Buffer.from('-GS0001-')
const REACH_ADVICE = 'is it running, and is its BitTorrent port (TCP) open?'
/** Client name that the probed host shows in its peer list. */
const CLIENT_NAME = 'gguf-swarm probe'

/** What a peer said it has. */
export interface SeenPieces {
  /** Every piece, by its own bitfield. */
  readonly whole: boolean
  readonly pieces: number
}

/** One piece as that peer sent it, against the hash in the metainfo. */
export interface SeenPiece {
  readonly index: number
  readonly length: number
  readonly sha1: string
  readonly isRight: boolean
}

/** One connection to one peer. Made by {@link PeerProbe.connect}. */
export class PeerProbe implements AsyncDisposable {
  readonly #name: string
  readonly #infoHash: InfoHash
  readonly #wire: Wire = outgoingWire()
  readonly #socket: Socket
  readonly #metadata: MetadataPieces = collectMetadata(this.#wire)
  /** Something was received, or the connection ended. */
  readonly #changes = new EventEmitter()
  #handshakeMs = 0
  #hasHandshake = false
  #hasSpoken = false
  #dhtPort: number | null = null
  #end: { readonly error: unknown } | undefined

  private constructor(address: PeerAddress, infoHash: InfoHash) {
    this.#name = formatPeerAddress(address)
    this.#infoHash = infoHash
    this.#socket = connect({ host: address.host, port: address.port, noDelay: true })
    this.#changes.setMaxListeners(0)
    this.#join()
    this.#listen()
  }

  /**
   * Connects and shakes hands; ends with `signal` at the latest.
   * @throws {FailedError} `nobody` (nothing listens), `unreachable` (no TCP connection), `silent` (connected, no
   *   handshake) or `not-served` (hung up on this infohash); the signal's reason
   */
  static async connect(address: PeerAddress, infoHash: InfoHash, signal: AbortSignal): Promise<PeerProbe> {
    signal.throwIfAborted()
    const probe = new PeerProbe(address, infoHash)
    const abort = (): void => probe.#finish(signal.reason)
    signal.addEventListener('abort', abort, { once: true })
    probe.#changes.once('end', () => signal.removeEventListener('abort', abort))
    try {
      await probe.#greet()
      return probe
    } catch (error) {
      probe.#finish(error)
      throw error
    }
  }

  /** From the first packet to the other side's handshake. */
  get handshakeMs(): number {
    return this.#handshakeMs
  }

  /** The port of its DHT node (BEP 5), once it was told: hosts do so right after their bitfield. */
  get dhtPort(): number | null {
    return this.#dhtPort
  }

  /** Which of `count` pieces this peer says it has; waits for the first time it says so. */
  async seenPieces(count: number): Promise<SeenPieces> {
    limitPieces(this.#wire, () => count)
    await this.#until(() => this.#hasSpoken, ANSWER_TIMEOUT_MS, 'does not say which pieces it has')
    let pieces = 0
    for (let index = 0; index < count; index++) if (this.#wire.peerPieces.get(index)) pieces++
    return { whole: pieces === count, pieces }
  }

  /** The metainfo as this peer has it, its hash checked (BEP 9). */
  async metainfo(): Promise<Metainfo> {
    const wire = this.#wire
    const size = await this.#until(
      () => wire.peerExtendedHandshake['metadata_size'],
      ANSWER_TIMEOUT_MS,
      'offers no metadata',
    )
    if (typeof size !== 'number' || !(size > 0 && size <= MAX_TORRENT_BYTES))
      throw this.#failure('malformed', `says its metadata has ${String(size)} bytes`)
    for (let piece = 0; !this.#metadata.holds(size); piece++) {
      this.#metadata.ask(piece)
      await this.#until(() => this.#metadata.has(piece), IDLE_TIMEOUT_MS, 'does not send its metadata')
    }
    const info = this.#metadata.joined(size)
    if (infoHashOfInfo(info) !== this.#infoHash)
      throw this.#failure('wrong-metadata', `sent metadata whose hash is not ${this.#infoHash}`)
    return metainfoFromInfo(info)
  }

  /** Fetches one piece from this peer and hashes it. */
  async piece(metainfo: Metainfo, index: number): Promise<SeenPiece> {
    const { length: total, pieceLength, pieces } = metainfo
    const length = Math.min(pieceLength, total - index * pieceLength)
    if (!(index >= 0 && length > 0)) throw new RangeError(`no piece ${index} in ${metainfo.name}`)
    this.#wire.interested()
    const bytes = new Uint8Array(length)
    let next = 0
    const fetchBlocks = async (): Promise<void> => {
      while (next < length) {
        const offset = next
        next += BLOCK_BYTES
        bytes.set(await this.#block(index, offset, Math.min(BLOCK_BYTES, length - offset)), offset)
      }
    }
    try {
      await Promise.all(Array.from({ length: PIPELINE }, fetchBlocks))
    } catch (error) {
      throw this.#hasHungUp() ? this.#failure('refused', `hangs up instead of sending piece ${index}`) : error
    }
    const digest = createHash('sha1').update(bytes).digest()
    const expected = pieces.subarray(index * HASH_LENGTH, (index + 1) * HASH_LENGTH)
    return { index, length, sha1: digest.toString('hex'), isRight: digest.equals(expected) }
  }

  close(): void {
    this.#finish(this.#failure('closed', 'was left'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close()
  }

  /** Connects the wire to the socket; both end together. */
  #join(): void {
    const [socket, wire] = [this.#socket, this.#wire]
    socket.on('data', (bytes) => wire.write(bytes))
    wire.on('data', (bytes: Uint8Array) => socket.write(bytes))
    socket.on('error', (error) => {
      const why = systemCode(error) || error.message
      this.#finish(
        this.#hasHandshake
          ? this.#failure('closed', `broke the connection (${why})`)
          : why === 'ECONNREFUSED'
            ? this.#failure('nobody', `refuses connections: nothing listens there; ${REACH_ADVICE}`)
            : this.#failure('unreachable', `cannot be reached (${why}); ${REACH_ADVICE}`),
      )
    })
    const closed = (): void =>
      this.#finish(
        this.#hasHandshake
          ? this.#failure('closed', 'closed the connection')
          : this.#failure('not-served', `answers, and hangs up when asked for ${this.#infoHash}`),
      )
    socket.on('close', closed)
    wire.on('error', closed)
    wire.on('close', closed)
  }

  #listen(): void {
    const wire = this.#wire
    const changed = (): void => void this.#changes.emit('change')
    const hasSpoken = (): void => {
      this.#hasSpoken = true
      changed()
    }
    for (const event of ['bitfield', 'have-all', 'have-none']) wire.on(event, hasSpoken)
    wire.on('port', (port: number) => {
      this.#dhtPort ??= port > 0 ? port : null
    })
    for (const event of ['unchoke', 'have', 'extended']) wire.on(event, changed)
    wire.setTimeout(IDLE_TIMEOUT_MS)
    Object.assign(wire.extendedHandshake, { v: CLIENT_NAME })
  }

  async #greet(): Promise<void> {
    const startedAt = performance.now()
    const [socket, wire] = [this.#socket, this.#wire]
    let isConnected = false
    socket.once('connect', () => {
      isConnected = true
      this.#changes.emit('change')
    })
    wire.once('handshake', (infoHash: string) => {
      if (infoHash !== this.#infoHash) return wire.destroy()
      this.#hasHandshake = true
      this.#handshakeMs = performance.now() - startedAt
      this.#changes.emit('change')
    })
    await this.#until(
      () => isConnected,
      CONNECT_TIMEOUT_MS,
      `cannot be reached; ${REACH_ADVICE}`,
      'unreachable',
    )
    wire.handshake(this.#infoHash, Buffer.concat([PEER_ID_PREFIX, randomBytes(12)]).toString('hex'), {
      fast: true,
    })
    const silent = 'accepts connections and does not answer; is its process stopped or overloaded?'
    await this.#until(() => this.#hasHandshake, ANSWER_TIMEOUT_MS, silent)
  }

  /** One block; a peer that chokes (it has many others) is waited for and asked again. */
  async #block(index: number, offset: number, length: number): Promise<Uint8Array> {
    for (;;) {
      await this.#until(() => !this.#wire.peerChoking, IDLE_TIMEOUT_MS, 'lets us wait for an upload slot')
      const { promise, resolve } = Promise.withResolvers<Uint8Array | Error>()
      this.#wire.request(index, offset, length, (error, block) =>
        resolve(block ?? error ?? new Error('no block')),
      )
      const answer = await promise
      if (!(answer instanceof Error)) return answer
      if (this.#end !== undefined) throw this.#end.error
      if (!this.#wire.peerChoking)
        throw this.#failure('refused', `does not send piece ${index} (${answer.message})`)
    }
  }

  /** Resolves with the first value of `check` that is true; rejects at the end, or after `timeoutMs`. */
  #until<T>(check: () => T, timeoutMs: number, otherwise: string, code = 'silent'): Promise<NonNullable<T>> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const value = check()
        if (!value && this.#end === undefined) return
        clearTimeout(timer)
        this.#changes.off('change', look)
        if (value) resolve(value)
        else reject(this.#end?.error)
      }
      const timer = setTimeout(() => {
        this.#changes.off('change', look)
        reject(this.#failure(code, `${otherwise} (waited ${timeoutMs / 1000} s)`))
      }, timeoutMs)
      this.#changes.on('change', look)
      look()
    })
  }

  /** Ends the connection; the first reason counts. */
  #finish(error: unknown): void {
    if (this.#end !== undefined) return
    this.#end = { error }
    this.#wire.destroy()
    this.#socket.destroy()
    this.#changes.emit('change')
    this.#changes.emit('end')
  }

  /** Did the other side end it? */
  #hasHungUp(): boolean {
    return this.#end?.error instanceof FailedError && this.#end.error.code === 'closed'
  }

  #failure(code: string, what: string): FailedError {
    return new FailedError(code, `${this.#name} ${what}`)
  }
}
