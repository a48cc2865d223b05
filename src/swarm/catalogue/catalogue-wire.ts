/**
 * The BEP 10 extension `gs_catalogue` on a BitTorrent connection: frames in, frames out. What they mean is the
 * session's business.
 */
import type Wire from 'bittorrent-protocol'
import type { PeerAddress } from '../../metainfo/peer-address.ts'
import { plainAddress } from '../address.ts'
import { unsentBytes } from '../wire/unsent.ts'

/** As it stands in the extended handshake. */
const CATALOGUE_EXTENSION = 'gs_catalogue'

/** The extended handshake is a peer's first message; who has not sent it by then is after something else. */
const SPEAK_DEADLINE_MS = 10_000

/** A connection whose peer speaks the extension. */
export interface CatalogueWire {
  readonly side: 'initiator' | 'acceptor'
  readonly remote: PeerAddress
  /** Bytes sent that the peer has not taken yet: it reads slowly, or not at all. */
  readonly unsentBytes: number
  send(frame: Uint8Array): void
  close(): void
}

/** What the owner of a connection does with what it hears. */
export interface CatalogueWireListener {
  onFrame(frame: Uint8Array): void
  onClosed(): void
}

/** How peers that have nothing to share meet. */
export interface Gathering {
  /** A peer that speaks the catalogue extension is connected. */
  readonly open: (wire: CatalogueWire) => CatalogueWireListener
  /** A peer did not say that it speaks it, and was left. */
  readonly onSilent: () => void
  /** Whether the peer at this address (`host:port`) is connected already. */
  readonly isMet: (address: string) => boolean
}

/** Speaks the extension on a wire; `open` is called once, when the peer has said that it speaks it too. */
export function speakCatalogue(wire: Wire, { open, onSilent }: Omit<Gathering, 'isMet'>): void {
  let listener: CatalogueWireListener | undefined
  const deadline = setTimeout(() => {
    onSilent()
    wire.destroy()
  }, SPEAK_DEADLINE_MS)
  class Extension {
    onExtendedHandshake(): void {
      if (wire.destroyed) return
      clearTimeout(deadline)
      listener ??= open({
        side: wire.type === 'tcpOutgoing' ? 'initiator' : 'acceptor',
        remote: { host: plainAddress(wire.remoteAddress ?? ''), port: wire.remotePort ?? 0 },
        get unsentBytes() {
          return unsentBytes(wire)
        },
        send: (frame) => {
          if (!wire.destroyed) wire.extended(CATALOGUE_EXTENSION, frame)
        },
        close: () => wire.destroy(),
      })
    }

    onMessage(frame: Uint8Array): void {
      listener?.onFrame(frame)
    }
  }
  // The library reads the name from the prototype.
  Object.defineProperty(Extension.prototype, 'name', { value: CATALOGUE_EXTENSION })
  wire.use(Extension)
  // One that came in one segment with the handshake was read before the engine told of the wire.
  setImmediate(() => {
    const extension = (wire as unknown as Record<string, Extension | undefined>)[CATALOGUE_EXTENSION]
    if (listener === undefined && wire.peerExtendedMapping[CATALOGUE_EXTENSION])
      extension?.onExtendedHandshake()
  })
  wire.once('close', () => {
    clearTimeout(deadline)
    listener?.onClosed()
  })
}
