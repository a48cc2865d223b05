/**
 * Everything this program changes in the wire protocol library (bittorrent-protocol 5.0.9) from outside,
 * in one place. The library trusts what peers send: a malformed message throws out of the socket's data
 * handler and ends the process, and a length field of 2 GiB makes it wait with that much memory.
 */
import Wire from 'bittorrent-protocol'
import { FailedError } from '../errors.ts'
import { dictionaryEnd } from '../metainfo/bencode-scan.ts'
import { type InfoHash, infoHashOfInfo } from '../metainfo/info-hash.ts'

/** Longer than any message in use: blocks are at most 128 KiB, metadata pieces 16 KiB (BEP 9). */
const MAX_MESSAGE_BYTES = 256 * 1024
/** What we tell peers (`reqq`, BEP 10): requests they may have outstanding. libtorrent's own default. */
export const REQUEST_QUEUE_LENGTH = 500
/** Requests answered but not yet taken by the socket: twice the queue we allow, then the peer is a flood. */
const MAX_UNSENT_BYTES = 2 * REQUEST_QUEUE_LENGTH * 16 * 1024
/** More outstanding requests than this cannot be an honest peer that read our `reqq`. */
const MAX_OUTSTANDING_REQUESTS = 4 * REQUEST_QUEUE_LENGTH

const counters = { crashesCaught: 0, oversized: 0, flooding: 0, malformed: 0 }

/** Wires closed by the guard since start, by cause. */
export function wireGuardCounters(): Readonly<typeof counters> {
  return { ...counters }
}

let installed = false

/**
 * Installs the guard once for the process.
 * @throws {FailedError} `library-changed` when the installed library is not the one this is made for.
 */
export function installWireGuard(): void {
  if (installed) return
  const { prototype } = Wire
  const { _processBuffer, _onMessageLength, _onRequest, _onExtended, handshake } = prototype
  const parts = [_processBuffer, _onMessageLength, _onRequest, _onExtended, handshake]
  if (!parts.every((part) => typeof part === 'function')) {
    throw new FailedError(
      'library-changed',
      'bittorrent-protocol is not the version (5.0.9) this program was made for',
    )
  }
  installed = true
  guardParser(prototype)
  limitMessages(prototype)
  limitRequests(prototype)
  checkExtensionMessages(prototype)
  announceDht(prototype)
}

/** Drops a wire at once: nothing it sent is parsed any more. */
function drop(wire: Wire): void {
  wire._buffer = []
  wire._bufferSize = 0
  wire._parse(Number.MAX_SAFE_INTEGER, () => undefined)
  wire.destroy()
}

/** All parsing runs under `_processBuffer`, the encryption handshake and the extensions included. */
function guardParser(prototype: Wire): void {
  const processBuffer = prototype._processBuffer
  prototype._processBuffer = function (this: Wire) {
    try {
      processBuffer.call(this)
    } catch {
      counters.crashesCaught++
      drop(this)
    }
  }
}

function limitMessages(prototype: Wire): void {
  const onMessageLength = prototype._onMessageLength
  prototype._onMessageLength = function (this: Wire, buffer: Uint8Array) {
    const length = new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength).getUint32(0)
    if (length > MAX_MESSAGE_BYTES) {
      counters.oversized++
      drop(this)
      return
    }
    onMessageLength.call(this, buffer)
  }
}

function limitRequests(prototype: Wire): void {
  const onRequest = prototype._onRequest
  prototype._onRequest = function (this: Wire, index: number, offset: number, length: number) {
    const unsent = this._readableState?.buffered ?? 0
    if (unsent > MAX_UNSENT_BYTES || this.peerRequests.length > MAX_OUTSTANDING_REQUESTS) {
      counters.flooding++
      drop(this)
      return
    }
    onRequest.call(this, index, offset, length)
  }
}

/** Extension messages that the engine's handlers bencode-decode (BEP 9, BEP 11). */
const METADATA_EXTENSION = 'ut_metadata'
const PEX_EXTENSION = 'ut_pex'

/**
 * The bencode decoder behind the extensions loops for ever on some malformed input, so what is to be
 * decoded is walked first. BEP 9 messages carry data after their dictionary, and the handler takes the
 * first `ee` for its end: a message where that is not so is refused.
 */
function checkExtensionMessages(prototype: Wire): void {
  const onExtended = prototype._onExtended
  prototype._onExtended = function (this: Wire, ext: number, payload: Uint8Array) {
    const name = ext === 0 ? '' : this.extendedMapping[ext]
    const whole = name === '' || name === PEX_EXTENSION
    if (whole || name === METADATA_EXTENSION) {
      let end = -1
      try {
        end = dictionaryEnd(payload)
      } catch {
        // not bencoded: `end` says so
      }
      const expected = whole ? payload.length : Buffer.from(payload).indexOf('ee') + 2
      if (end !== expected) {
        counters.malformed++
        drop(this)
        return
      }
    }
    onExtended.call(this, ext, payload)
  }
}

/** The part of the ut_metadata extension (BEP 9) that is wrapped. */
interface MetadataExtension {
  setMetadata(metadata: Uint8Array): Promise<boolean>
}

/** Whose metadata may reach the extension. */
export interface MetadataGate {
  readonly infoHash: InfoHash
  /** True for the bytes of the torrent itself, which the engine hands to each wire. */
  readonly isOurs: (metadata: Uint8Array) => boolean
  /** Decides over a peer's metadata whose hash is right; its errors refuse it. */
  readonly accept: (info: Uint8Array) => void
}

/** Metadata from a peer is decoded by the extension before its hash is checked; here the hash comes first. */
export function guardMetadata(wire: Wire, { infoHash, isOurs, accept }: MetadataGate): void {
  const extension = (wire as unknown as Record<string, MetadataExtension | undefined>)[METADATA_EXTENSION]
  if (extension === undefined) return
  const setMetadata = extension.setMetadata.bind(extension)
  extension.setMetadata = async (metadata) => {
    if (isOurs(metadata)) return setMetadata(metadata)
    if (infoHashOfInfo(metadata) !== infoHash) return false
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
