/**
 * The BEP 10 extension `gs_catalogue` on a BitTorrent connection: frames in, frames out. What they mean is the
 * session's business.
 */
import type Wire from 'bittorrent-protocol'
import type { PeerAddress } from '../metainfo/peer-address.ts'
import { plainAddress } from './address.ts'

/** As it stands in the extended handshake. */
export const CATALOGUE_EXTENSION = 'gs_catalogue'

/** A connection whose peer speaks the extension. */
export interface CatalogueWire {
  readonly side: 'initiator' | 'acceptor'
  readonly remote: PeerAddress
  send(frame: Uint8Array): void
  close(): void
}

/** What the owner of a connection does with what it hears. */
export interface CatalogueWireListener {
  onFrame(frame: Uint8Array): void
  onClosed(): void
}

/** Speaks the extension on a wire; `open` is called once, when the peer has said that it speaks it too. */
export function speakCatalogue(wire: Wire, open: (wire: CatalogueWire) => CatalogueWireListener): void {
  let listener: CatalogueWireListener | undefined
  class Extension {
    onExtendedHandshake(): void {
      listener ??= open({
        side: wire.type === 'tcpOutgoing' ? 'initiator' : 'acceptor',
        remote: { host: plainAddress(wire.remoteAddress ?? ''), port: wire.remotePort ?? 0 },
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
  wire.once('close', () => listener?.onClosed())
}
