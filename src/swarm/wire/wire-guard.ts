/**
 * Everything this program changes in the wire protocol library (bittorrent-protocol 5.0.9) from outside,
 * in one place. The library trusts what peers send: a malformed message throws out of the socket's data
 * handler and ends the process, and a length field of 2 GiB makes it wait with that much memory.
 */
import Wire from 'bittorrent-protocol'
import { FailedError } from '../../errors.ts'
import { dictionaryEnd, scanDictionary } from '../../metainfo/bencode-scan.ts'
import { type InfoHash, infoHashOfInfo } from '../../metainfo/info-hash.ts'
import { queueUploads } from '../seeding/upload-queue.ts'
import { replaceKeyExchange } from './key-exchange.ts'
import { checkPieceClaims } from './piece-claims.ts'
import { unsentBytes } from './unsent.ts'
import { installReaders, readerOf } from './wire-reader.ts'

/** Extended handshakes are under 1 KiB; larger ones only cost memory, as each wire keeps its last. */
const MAX_EXTENDED_HANDSHAKE_BYTES = 16 * 1024
/** libtorrent sends a new one when something changes; a hundred are a flood, each asks for all metadata. */
const MAX_EXTENDED_HANDSHAKES = 20
/** BEP 11 allows 50 added and 50 dropped peers; some clients send twice that. Each becomes a dial. */
const MAX_PEX_BYTES = 8 * 1024
/** BEP 11: one message a minute. One that comes in between is passed over, as each may name a thousand peers to dial. */
const MIN_PEX_INTERVAL_MS = 30_000
/** Answers not yet taken by the socket besides metadata: more than the upload queue ever lets wait. */
const MAX_UNSENT_BYTES = 4 * 1024 * 1024

const counters = { crashesCaught: 0, oversized: 0, flooding: 0, malformed: 0 }

export type WireGuardCounters = Readonly<typeof counters>

/** Wires closed by the guard since start, by cause. */
export function wireGuardCounters(): WireGuardCounters {
  return { ...counters }
}

/** Private members of the library that are wrapped here and in the upload queue. */
const PARTS = [
  '_processBuffer',
  '_onMessageLength',
  '_onMessage',
  '_onKeepAlive',
  '_write',
  '_push',
  '_onHave',
  '_onBitField',
  '_onHaveAll',
  '_onHaveNone',
  '_onRequest',
  '_onCancel',
  '_onAllowedFast',
  '_onExtended',
  '_pull',
  '_read',
  'extended',
  'handshake',
  'setInfoHash',
] as const

const refused = new WeakSet<Wire>()

/** Was it closed for what the peer sent? */
export const wasRefused = (wire: Wire): boolean => refused.has(wire)

let installed = false

/**
 * Installs the guard once for the process.
 * @throws {FailedError} `library-changed` when the installed library is not the one this is made for.
 */
export function installWireGuard(): void {
  if (installed) return
  const { prototype } = Wire
  const encryptor = new Wire('tcpOutgoing', 1)._encryptor
  if (
    !PARTS.every((part) => typeof prototype[part] === 'function') ||
    encryptor === null ||
    !('dh' in encryptor)
  ) {
    throw new FailedError(
      'library-changed',
      'bittorrent-protocol is not the version (5.0.9) this program was made for',
    )
  }
  installed = true
  replaceKeyExchange(encryptor)
  guardParser(prototype)
  installReaders(prototype, refuse)
  queueUploads(prototype, refuse)
  checkPieceClaims(prototype, refuse)
  ignoreAllowedFast(prototype)
  checkExtensionMessages(prototype)
  announceDht(prototype)
}

/** A wire that is no torrent's, for whoever speaks the protocol without the engine; guarded like all others. */
export function outgoingWire(): Wire {
  installWireGuard()
  return new Wire('tcpOutgoing')
}

/** Drops a wire at once and counts why: nothing it sent is parsed any more. */
function refuse(wire: Wire, why: keyof typeof counters): void {
  counters[why]++
  refused.add(wire)
  wire._buffer = []
  wire._bufferSize = 0
  readerOf(wire).stop()
  wire._parse(Number.MAX_SAFE_INTEGER, () => undefined)
  wire.destroy()
}

/**
 * All parsing runs under `_processBuffer`, the encryption handshake and the extensions included. The other
 * two are also called later, out of promises, where an exception would end the process all the same.
 */
function guardParser(prototype: Wire): void {
  const { _processBuffer, extended, setInfoHash } = prototype
  const guarded = (wire: Wire, work: () => void): void => {
    try {
      work()
    } catch {
      refuse(wire, 'crashesCaught')
    }
  }
  prototype._processBuffer = function (this: Wire) {
    guarded(this, () => _processBuffer.call(this))
  }
  // Throws when the peer has taken back the extension that is to be used, as metadata is asked for again.
  prototype.extended = function (this: Wire, extension, message) {
    guarded(this, () => extended.call(this, extension, message))
  }
  prototype.setInfoHash = function (this: Wire, infoHash) {
    guarded(this, () => setInfoHash.call(this, infoHash))
  }
}

/**
 * Allowed-fast pieces (BEP 6) are an offer that need not be taken. The engine takes it without a look at the
 * number, and one past the last piece makes it throw, at a time when nobody catches.
 */
function ignoreAllowedFast(prototype: Wire): void {
  prototype._onAllowedFast = () => undefined
}

/** Extension messages that the engine's handlers bencode-decode (BEP 9, BEP 11). */
const METADATA_EXTENSION = 'ut_metadata'
const PEX_EXTENSION = 'ut_pex'
/** Stands for number 0, which is not among the named ones. */
const EXTENDED_HANDSHAKE = ''

/**
 * The bencode decoder behind the extensions loops for ever on some malformed input, so what is to be
 * decoded is walked first.
 */
function checkExtensionMessages(prototype: Wire): void {
  const onExtended = prototype._onExtended
  const handshakes = new WeakMap<Wire, number>()
  const pexAt = new WeakMap<Wire, number>()
  prototype._onExtended = function (this: Wire, ext: number, payload: Uint8Array) {
    const name = ext === 0 ? EXTENDED_HANDSHAKE : this.extendedMapping[ext]
    if (!isWellFormed(name, payload)) {
      refuse(this, 'malformed')
      return
    }
    const seen = (handshakes.get(this) ?? 0) + (ext === 0 ? 1 : 0)
    handshakes.set(this, seen)
    if (seen > MAX_EXTENDED_HANDSHAKES || unsentBytes(this) > maxUnsentBytes(this)) {
      refuse(this, 'flooding')
      return
    }
    if (name === PEX_EXTENSION) {
      const now = performance.now()
      if (now - (pexAt.get(this) ?? Number.NEGATIVE_INFINITY) < MIN_PEX_INTERVAL_MS) return
      pexAt.set(this, now)
    }
    onExtended.call(this, ext, payload)
  }
}

function isWellFormed(name: string | undefined, payload: Uint8Array): boolean {
  try {
    switch (name) {
      case EXTENDED_HANDSHAKE:
        return payload.length <= MAX_EXTENDED_HANDSHAKE_BYTES && dictionaryEnd(payload) === payload.length
      case PEX_EXTENSION:
        return payload.length <= MAX_PEX_BYTES && holdsAddresses(payload)
      case METADATA_EXTENSION: {
        // Data follows the dictionary (BEP 9). The handler takes the first `ee` for its end, so it must be, and
        // decodes it as text, where every byte that is not ASCII would become three.
        const end = dictionaryEnd(payload)
        return end === Buffer.from(payload).indexOf('ee') + 2 && payload.subarray(0, end).every(isAscii)
      }
      default:
        return true
    }
  } catch {
    return false // not bencoded
  }
}

const isAscii = (byte: number): boolean => byte < 0x80

/** BEP 11's lists are strings; of anything else the handler would make a buffer, as long as it claims to be. */
function holdsAddresses(payload: Uint8Array): boolean {
  const values = scanDictionary(payload)
  const lists = ['added', 'added6', 'dropped', 'dropped6'].map((key) => values.get(key))
  return lists.every(
    (list) => list === undefined || /[0-9]/.test(String.fromCharCode(payload[list.start] ?? 0)),
  )
}

/** A peer may ask for all of the metadata, and for it again; not more while it takes none of it. */
function maxUnsentBytes(wire: Wire): number {
  return MAX_UNSENT_BYTES + 2 * (metadataExtension(wire)?.metadata?.length ?? 0)
}

/** The part of the ut_metadata extension (BEP 9) that is wrapped. */
interface MetadataExtension {
  readonly metadata?: Uint8Array
  setMetadata(metadata: Uint8Array): Promise<boolean>
}

const metadataExtension = (wire: Wire): MetadataExtension | undefined =>
  (wire as unknown as Record<string, MetadataExtension | undefined>)[METADATA_EXTENSION]

/** Whose metadata may reach the extension. */
export interface MetadataGate {
  readonly infoHash: InfoHash
  /** True for the bytes of the torrent itself, which the engine hands to each wire. */
  readonly isOurs: (metadata: Uint8Array) => boolean
  /** Decides over a peer's metadata whose hash is right; its errors refuse it. */
  readonly accept: (info: Uint8Array) => void
  /** The peer sent metadata of which not even the hash is right. */
  readonly onLie: () => void
}

/** Metadata from a peer is decoded by the extension before its hash is checked; here the hash comes first. */
export function guardMetadata(wire: Wire, { infoHash, isOurs, accept, onLie }: MetadataGate): void {
  const extension = metadataExtension(wire)
  if (extension === undefined) return
  const setMetadata = extension.setMetadata.bind(extension)
  extension.setMetadata = async (metadata) => {
    if (isOurs(metadata)) return setMetadata(metadata)
    if (infoHashOfInfo(metadata) !== infoHash) {
      onLie()
      return false
    }
    try {
      accept(metadata)
    } catch {
      return false // the owner of the download was told by accept() itself
    }
    return setMetadata(metadata)
  }
}

/**
 * The engine runs without its own DHT, so it would not set the DHT bit (BEP 5) in the handshake, and
 * peers would not tell us their DHT port.
 */
function announceDht(prototype: Wire): void {
  const handshake = prototype.handshake
  prototype.handshake = function (this: Wire, infoHash, peerId, extensions) {
    handshake.call(this, infoHash, peerId, { ...extensions, dht: true })
  }
}
