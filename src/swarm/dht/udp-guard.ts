/**
 * The UDP socket handed to the DHT library. That library trusts the types of what it decodes, and one
 * malformed datagram ends the process; so every datagram is checked here for size, rate and shape
 * before the library sees it, and what still throws is caught and counted.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { EventEmitter } from 'node:events'
import bencode from 'bencode'
import { dictionaryEnd } from '../../metainfo/bencode-scan.ts'
import type { AllowedPeers } from '../allowed-peers.ts'
import { DatagramLimit } from './datagram-limit.ts'

/** KRPC messages fit one unfragmented packet; libtorrent itself never reads more than 1,500 bytes. */
const MAX_DATAGRAM_BYTES = 2_048
const NODE_ID_BYTES = 20
const COMPACT_NODE_BYTES = 26 // BEP 5: id, IPv4 address, port
const MAX_TOKEN_BYTES = 255
const MAX_TRANSACTION_BYTES = 32

/** How every query ends whose keys are sorted, as BEP 3 wants them: known without decoding it. */
const QUERY_END = Buffer.from('1:y1:qe')

/** The query types answered: BEP 5 and nothing else, so arbitrary data (BEP 44) is not stored here. */
const QUERIES = new Set(['ping', 'find_node', 'get_peers', 'announce_peer'])

/** What the guard let through and what it kept out since the socket was made. */
export interface GuardCounters {
  readonly accepted: number
  readonly malformed: number
  readonly rateLimited: number
  readonly crashesCaught: number
}

type Dictionary = Readonly<Record<string, unknown>>

const isBytes = (value: unknown): value is Uint8Array => value instanceof Uint8Array
const isDictionary = (value: unknown): value is Dictionary =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isBytes(value)
const isBytesOf = (value: unknown, length: number): boolean => isBytes(value) && value.length === length
const isOptional = (value: unknown, check: (value: unknown) => boolean): boolean =>
  value === undefined || check(value)
const isToken = (value: unknown): boolean => isBytes(value) && value.length <= MAX_TOKEN_BYTES
const text = (value: unknown): string => (isBytes(value) ? Buffer.from(value).toString('latin1') : '')

function isQuery(message: Dictionary): boolean {
  const { a } = message
  if (!QUERIES.has(text(message['q'])) || !isDictionary(a)) return false
  return (
    isBytesOf(a['id'], NODE_ID_BYTES) &&
    isOptional(a['target'], (value) => isBytesOf(value, NODE_ID_BYTES)) &&
    isOptional(a['info_hash'], (value) => isBytesOf(value, NODE_ID_BYTES)) &&
    isOptional(a['token'], isToken)
  )
}

function isResponse(message: Dictionary): boolean {
  const { r } = message
  if (!isDictionary(r)) return false
  return (
    isBytesOf(r['id'], NODE_ID_BYTES) &&
    isOptional(r['nodes'], (value) => isBytes(value) && value.length % COMPACT_NODE_BYTES === 0) &&
    isOptional(r['values'], (value) => Array.isArray(value) && value.every(isBytes)) &&
    isOptional(r['token'], isToken)
  )
}

/** The kind of a well-formed KRPC message (BEP 5), or null for anything else. */
export function krpcKind(message: unknown): 'query' | 'response' | 'error' | null {
  if (!isDictionary(message)) return null
  const { t } = message
  if (!isBytes(t) || t.length === 0 || t.length > MAX_TRANSACTION_BYTES) return null
  switch (text(message['y'])) {
    case 'q':
      return isQuery(message) ? 'query' : null
    case 'r':
      return isResponse(message) ? 'response' : null
    case 'e':
      return Array.isArray(message['e']) ? 'error' : null
    default:
      return null
  }
}

/** What the guard needs to know; `readOnly` marks our own queries as those of a BEP 43 read-only node. */
export interface GuardOptions {
  readonly readOnly: boolean
  /** With whom datagrams are exchanged; everybody, when left out. */
  readonly allowed?: AllowedPeers | undefined
}

/** A UDP socket with the methods and events of `dgram.Socket` that the DHT library uses. */
export class GuardedUdpSocket extends EventEmitter {
  readonly #socket: Socket
  readonly #readOnly: boolean
  readonly #allowed: AllowedPeers | undefined
  readonly #limit = new DatagramLimit()
  #closed = false
  #counters = { accepted: 0, malformed: 0, rateLimited: 0, crashesCaught: 0 }

  constructor({ readOnly, allowed }: GuardOptions) {
    super()
    this.#readOnly = readOnly
    this.#allowed = allowed
    this.#socket = createSocket('udp4')
    this.#socket.on('message', (datagram, from) => this.#receive(datagram, from))
    this.#socket.on('error', (error) => this.emit('error', error))
    this.#socket.on('listening', () => this.emit('listening'))
    this.#socket.on('close', () => this.emit('close'))
  }

  get counters(): GuardCounters {
    return { ...this.#counters }
  }

  /** Something came from this address that no forged one can send. */
  prove(address: string): void {
    this.#limit.prove(address)
  }

  bind(port: number, address: string): void {
    this.#socket.bind(port, address)
  }

  address(): { address: string; port: number } {
    return this.#socket.address()
  }

  send(
    data: Uint8Array,
    offset: number,
    length: number,
    port: number,
    address: string,
    callback: (error: Error | null) => void,
  ): void {
    if (this.#closed) return
    if (this.#allowed?.admits(address, 'datagramsSent') === false) {
      callback(null) // as if it had been lost on its way
      return
    }
    let bytes = data.subarray(offset, offset + length)
    if (isQueryLike(bytes)) this.#limit.asked(address)
    if (this.#readOnly) bytes = markReadOnly(bytes)
    this.#socket.send(bytes, port, address, callback)
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#socket.close()
  }

  #receive(datagram: Buffer, from: RemoteInfo): void {
    if (this.#allowed?.admits(from.address, 'datagramsReceived') === false) return
    const looksLikeQuery = isQueryLike(datagram)
    if (!this.#limit.admits(from.address, looksLikeQuery ? 'query' : 'other')) {
      this.#counters.rateLimited++
      return
    }
    const decoded = datagram.length <= MAX_DATAGRAM_BYTES ? decode(datagram) : null
    const kind = krpcKind(decoded)
    if (kind === null) {
      this.#counters.malformed++
      return
    }
    if (kind === 'query' && !looksLikeQuery && !this.#limit.admits(from.address, 'query')) {
      this.#counters.rateLimited++
      return
    }
    this.#counters.accepted++
    try {
      this.emit('message', kind === 'query' ? withoutReadOnlySender(datagram, decoded) : datagram, from)
    } catch {
      // The handler runs to its end inside this call, so nothing but this one message is lost.
      this.#counters.crashesCaught++
    }
  }
}

const isQueryLike = (bytes: Uint8Array): boolean => QUERY_END.equals(bytes.subarray(-QUERY_END.length))

function decode(datagram: Uint8Array): unknown {
  try {
    // The decoder itself does not survive everything: a negative string length makes it loop for ever.
    return dictionaryEnd(datagram) === datagram.length ? bencode.decode(datagram) : null
  } catch {
    return null // not bencoded: the caller counts it as malformed
  }
}

/** Our own queries carry `ro: 1` (BEP 43), so that nobody keeps a node that is about to leave. */
function markReadOnly(bytes: Uint8Array): Uint8Array {
  const message = bencode.decode(bytes) as Record<string, unknown>
  return text(message['y']) === 'q' ? bencode.encode({ ...message, ro: 1 }) : bytes
}

/**
 * A read-only node (BEP 43) must be answered but not kept: without its id in the query, the library
 * answers it and does not add it to the routing table.
 */
function withoutReadOnlySender(datagram: Buffer, decoded: unknown): Buffer {
  const message = decoded as { ro?: unknown; a: Record<string, unknown> }
  if (message.ro !== 1) return datagram
  const { id: _id, ...rest } = message.a
  return Buffer.from(bencode.encode({ ...message, a: rest }))
}
