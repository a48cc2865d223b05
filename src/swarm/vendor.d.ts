/**
 * The exact surface of the untyped BitTorrent packages that `swarm/` uses. Members that are private in
 * their package start with an underscore; each is checked at start by the one file that uses it.
 */

declare module 'bittorrent-protocol' {
  import { EventEmitter } from 'node:events'

  export interface ProtocolExtensions {
    extended?: boolean
    dht?: boolean
    fast?: boolean
  }

  /** What `use` takes: made for one wire, its name on the prototype. */
  export interface WireExtension {
    onMessage?(payload: Uint8Array): void
  }

  export default class Wire extends EventEmitter {
    /** `encryption` is 0 for none, 1 for MSE where the peer wants it. */
    constructor(type?: string, encryption?: number)
    readonly type: string
    readonly destroyed: boolean
    readonly peerId: string
    readonly peerExtensions: ProtocolExtensions
    readonly peerPieces: { get(index: number): boolean }
    readonly amChoking: boolean
    readonly peerChoking: boolean
    readonly peerInterested: boolean
    readonly hasFast: boolean
    readonly extendedHandshake: Record<string, unknown>
    readonly peerExtendedHandshake: Record<string, unknown>
    readonly remoteAddress?: string
    readonly remotePort?: number
    readonly requests: readonly unknown[]
    readonly peerRequests: readonly { readonly length: number }[]
    uploaded: number
    downloaded: number
    downloadSpeed: (bytes?: number) => number
    uploadSpeed: (bytes?: number) => number
    readonly peerExtendedMapping: Readonly<Record<string, number>>
    have(index: number): void
    reject(index: number, offset: number, length: number): void
    unchoke(): void
    interested(): void
    /** Throws without `hasFast` (BEP 6). */
    suggest(index: number): void
    /** Fails after `setTimeout`, when it is rejected (BEP 6), choked, or the wire closes. */
    request(
      index: number,
      offset: number,
      length: number,
      callback: (error: Error | null, block: Uint8Array | null) => void,
    ): void
    setTimeout(ms: number, unref?: boolean): void
    use(extension: { new (wire: Wire): WireExtension; readonly prototype: object }): void
    write(data: Uint8Array): boolean
    port(port: number): void
    destroy(): void
    push(bytes: Uint8Array | null): boolean
    resume(): void
    handshake(infoHash: string, peerId: string, extensions?: ProtocolExtensions): void
    _parse(size: number, parser: () => void): void
    _processBuffer(): void
    _onMessageLength(buffer: Uint8Array): void
    _onMessage(message: Uint8Array): void
    keepAlive(): void
    _onKeepAlive(): void
    _write(bytes: Uint8Array, done: (error: Error | null) => void): void
    _push(bytes: Uint8Array): void
    readonly _finished: boolean
    readonly _encryptor: {
      readonly _isEncrypted: boolean
      readonly dh?: unknown
      decrypt(bytes: Uint8Array): Uint8Array
    } | null
    _onRequest(index: number, offset: number, length: number): void
    _onHave(index: number): void
    _onBitField(bitfield: Uint8Array): void
    _onHaveAll(): void
    _onHaveNone(): void
    _onCancel(index: number, offset: number, length: number): void
    _onAllowedFast(index: number): void
    _pull(requests: readonly unknown[], index: number, offset: number, length: number): unknown
    _read(done: (error: Error | null) => void): void
    extended(extension: number | string, message: object): void
    setInfoHash(infoHash: string): void
    _onExtended(ext: number, payload: Uint8Array): void
    readonly extendedMapping: Readonly<Record<number, string>>
    _buffer: Uint8Array[]
    _bufferSize: number
    _readableState: { buffered: number }
  }
}

declare module 'webtorrent' {
  import { EventEmitter } from 'node:events'
  import type Wire from 'bittorrent-protocol'

  export type ChunkStoreCallback = (error: Error | null, data?: Uint8Array) => void

  /** The abstract-chunk-store interface as webtorrent calls it. */
  export interface ChunkStore {
    readonly chunkLength: number
    get(
      index: number,
      options: { offset?: number; length?: number } | null | ChunkStoreCallback,
      callback?: ChunkStoreCallback,
    ): void
    put(index: number, data: Uint8Array, callback?: (error: Error | null) => void): void
    close(callback?: (error: Error | null) => void): void
    destroy(callback?: (error: Error | null) => void): void
  }

  export interface TorrentPeer extends EventEmitter {
    readonly type: string
    readonly connected: boolean
    readonly source: string | null
    retries: number
    _handshakeDone?: boolean
  }

  export interface Torrent extends EventEmitter {
    readonly infoHash: string
    readonly name: string
    readonly length: number
    readonly pieceLength: number
    readonly torrentFile: Uint8Array
    readonly destroyed: boolean
    readonly done: boolean
    readonly ready: boolean
    readonly wires: readonly Wire[]
    readonly bitfield?: { get(index: number): boolean; readonly buffer: Uint8Array }
    readonly pieces: readonly unknown[]
    readonly uploaded: number
    readonly received: number
    readonly downloadSpeed: number
    readonly uploadSpeed: number
    readonly store: ChunkStore
    addPeer(address: string, source?: string): boolean
    destroy(options: { destroyStore: boolean }, callback: (error?: Error | null) => void): void
    infoHashHash?: string
    _updateInterest(): void
    _hashes: readonly string[]
    info?: object | undefined
    infoBuffer?: Uint8Array | undefined
    _markVerified(index: number): void
    _checkDone(): void
    _startupBitfield?: Uint8Array
    readonly _peers: Map<string, TorrentPeer> | null
    _addPeer(address: string, type: string, source?: string): TorrentPeer | null
    _drain(): void
  }

  /** A connection as the engine keeps it, with its wire. */
  export interface EnginePeer extends EventEmitter {
    readonly conn: import('node:net').Socket
    readonly wire: Wire
    readonly throttleGroups: Readonly<Record<'up' | 'down', { getEnabled(): boolean }>>
    setThrottlePipes(): void
  }

  /** The part of a torrent that connects. */
  export interface EngineTorrent {
    _drain(): void
    _update(): void
  }

  /** What parse-torrent makes of a `.torrent` of one file; the engine takes it as well as the bytes. */
  export interface ParsedTorrent {
    readonly infoHash: string
    readonly name: string
    readonly info: object
    readonly announce: readonly string[]
    readonly urlList: readonly string[]
    readonly files: readonly {
      readonly path: string
      readonly name: string
      readonly length: number
      readonly offset: number
    }[]
    readonly length: number
    readonly pieceLength: number
    readonly lastPieceLength: number
    readonly pieces: ArrayLike<unknown>
  }

  export interface TorrentOptions {
    announce: readonly string[]
    skipVerify?: boolean
    bitfield?: Uint8Array
    store: new (chunkLength: number, options: never) => ChunkStore
    storeOpts: object
    storeCacheSlots: number
    uploads: number
    deselect?: boolean
    private?: boolean
  }

  export default class WebTorrent extends EventEmitter {
    constructor(options: {
      dht: false
      tracker: false
      lsd: false
      utp: false
      natUpnp: false
      natPmp: false
      utPex: boolean
      webSeeds: false
      secure: number
      maxConns: number
      uploadLimit: number
      torrentPort: { port: number; host: string }
    })
    static readonly VERSION: string
    readonly peerId: string
    readonly torrentPort: number
    readonly destroyed: boolean
    secure: number
    /** Of each torrent. */
    maxConns: number
    add(torrentId: Uint8Array | string | ParsedTorrent, options: TorrentOptions): Torrent
    destroy(callback: (error?: Error | null) => void): void
    _connPool: {
      readonly tcpServer: import('node:net').Server | null
      _onTCPConnectionBound(socket: import('node:net').Socket): void
    }
  }
}

declare module 'webtorrent/lib/peer.js' {
  import type { EnginePeer } from 'webtorrent'

  const Peer: { readonly prototype: EnginePeer }
  export default Peer
}

declare module 'webtorrent/lib/torrent.js' {
  import type { EngineTorrent } from 'webtorrent'

  const Torrent: { readonly prototype: EngineTorrent }
  export default Torrent
}
