/**
 * The BitTorrent engine behind promises and our own types. The only file that meets webtorrent; its own
 * discovery (DHT, trackers, LSD, UPnP, NAT-PMP) stays off, peers come in through {@link SwarmTorrent.dial}.
 */
import WebTorrent, { type Torrent } from 'webtorrent'
import { FailedError, messageOf } from '../errors.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'
import type { PeerAddress } from '../metainfo/peer-address.ts'
import type { AllowedPeers } from './allowed-peers.ts'
import { type Gathering, speakCatalogue } from './catalogue/catalogue-wire.ts'
import { asError } from './chunk-store.ts'
import { removeTorrent, setEncryptedName } from './engine-torrent.ts'
import type { DownloadStoreSettings } from './lane/download-store.ts'
import { engineStore } from './lane/engine-store.ts'
import { PieceBuffers } from './lane/piece-buffers.ts'
import { startLaneWhenReady } from './lane/start-lane.ts'
import { listenError } from './listen-error.ts'
import { NoStore } from './no-store.ts'
import { RateMeter } from './rate-meter.ts'
import { InPlaceStore, inPlaceStoreOf, type ServedFile } from './seeding/in-place-store.ts'
import { seededTorrent } from './seeding/seeded-torrent.ts'
import { Suggestions } from './seeding/suggestions.ts'
import { type Served, serveFrames } from './seeding/upload-queue.ts'
import { WindowCache } from './seeding/window-cache.ts'
import { statsOf, type TorrentStats } from './torrent-stats.ts'
import type { WebSeedRequest } from './web-seed/web-seeds.ts'
import { dialUpTo } from './wire/dial-limit.ts'
import { acceptConnections, patchEngine } from './wire/engine-patches.ts'
import type { Incoming, IncomingCounters } from './wire/incoming.ts'
import { guardMetadata, installWireGuard } from './wire/wire-guard.ts'
import { WirePolicy } from './wire/wire-policy.ts'

/** The version whose private members this folder uses. */
const WEBTORRENT_VERSION = '3.0.21'
/** Upload slots of one torrent: a fleet fetching one shard at once should not wait for its turn. */
const UPLOAD_SLOTS = 50
/** Outgoing connections of one torrent; the limit of the whole process is `maxConns`. */
const MAX_DIALLED_PER_TORRENT = 100
/** The engine closes within milliseconds; what takes longer is a socket that hangs. */
const STOP_DEADLINE_MS = 3_000

export type { Gathering } from './catalogue/catalogue-wire.ts'
export type { TorrentStats } from './torrent-stats.ts'

/** Complete settings of the engine. */
export interface ClientOptions {
  /** TCP port; 0 picks a free one. */
  readonly port: number
  readonly bind: string
  /** Bytes per second over all peers; null is unlimited. */
  readonly uploadLimit: number | null
  /** Connections accepted at once by the process. */
  readonly maxConns: number
  /** UDP port of our DHT node, told to peers (BEP 5); null to keep it to ourselves. */
  readonly dhtPort: number | null
  /** A peer told its DHT port. */
  readonly onDhtNode: (node: PeerAddress) => void
  /** Who may connect and be dialled; everybody, when left out. */
  readonly allowed?: AllowedPeers | undefined
  /** The engine failed after it had started; nothing is served any more. */
  readonly onFailed: (error: FailedError) => void
}

/** A torrent to fetch: metadata known, with what a former run left, or still to be had from peers. */
export interface DownloadRequest {
  readonly infoHash: InfoHash
  readonly known?: { readonly torrentFile: Uint8Array; readonly bitfield: Uint8Array }
  readonly store: DownloadStoreSettings
  /** Web servers to fetch from besides peers. */
  readonly webSeeds?: WebSeedRequest
  /** Called with the info dictionary, its hash checked; what it throws refuses the torrent. */
  readonly onMetadata: (info: Uint8Array) => void
  readonly onDone: () => void
  readonly onFailed: (error: Error) => void
}

/** What differs from torrent to torrent while the engine has it. */
type Managed = Pick<DownloadRequest, 'onFailed' | 'onMetadata' | 'webSeeds'> & Pick<Served, 'source'>

/** One torrent in the engine. */
export interface SwarmTorrent {
  readonly infoHash: InfoHash
  dial(peer: PeerAddress): void
  stats(): TorrentStats
  /** Ends it; its store is closed and its notes are written when this resolves. */
  remove(): Promise<void>
}

/** The running engine. Made by {@link SwarmClient.start}. */
export class SwarmClient implements AsyncDisposable {
  readonly #client: WebTorrent
  readonly #options: ClientOptions
  readonly #uploaded = new RateMeter()
  readonly #downloaded = new RateMeter()
  readonly #buffers = new PieceBuffers()
  readonly #cache = new WindowCache()
  #incoming: Incoming | undefined
  #stopping: Promise<void> | undefined

  private constructor(options: ClientOptions) {
    if (WebTorrent.VERSION !== WEBTORRENT_VERSION) {
      throw new FailedError(
        'library-changed',
        `webtorrent is ${WebTorrent.VERSION}, this program was made for ${WEBTORRENT_VERSION}`,
      )
    }
    installWireGuard()
    patchEngine()
    this.#options = options
    this.#client = new WebTorrent({
      dht: false,
      tracker: false,
      lsd: false,
      utp: false, // native uTP is slow and libtorrent prefers it: 7 MB/s instead of 70
      natUpnp: false,
      natPmp: false,
      utPex: true,
      webSeeds: false,
      secure: 1,
      maxConns: Math.min(MAX_DIALLED_PER_TORRENT, options.maxConns),
      uploadLimit: options.uploadLimit ?? -1,
      torrentPort: { port: options.port, host: options.bind },
    })
  }

  /**
   * Listens for peers.
   * @throws {FailedError} `port-in-use`, `cannot-listen` or `library-changed`
   */
  static async start(options: ClientOptions): Promise<SwarmClient> {
    const self = new SwarmClient(options)
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    self.#client.once('listening', resolve)
    self.#client.once('error', (error) =>
      reject(listenError(error, { protocol: 'TCP', option: '--port', ...options })),
    )
    await promise
    self.#incoming = acceptConnections(self.#client, options)
    self.#client.on('error', (error) => {
      options.onFailed(
        new FailedError('engine-failed', `the BitTorrent engine failed: ${messageOf(error)}`, {
          cause: error,
        }),
      )
    })
    return self
  }

  /** The TCP port in use. */
  get port(): number {
    return this.#client.torrentPort
  }

  /** Connections refused so far, or given up for others. */
  get incoming(): IncomingCounters | undefined {
    return this.#incoming?.counters
  }

  /** Of all torrents, block data alone: the engine's own meters count every byte of the sockets. */
  get uploadBytesPerSecond(): number {
    return this.#uploaded.bytesPerSecond
  }

  get downloadBytesPerSecond(): number {
    return this.#downloaded.bytesPerSecond
  }

  /** Seeds a file in place; it is taken as whole, and each piece is checked when it is first read. */
  seed(
    torrentFile: Uint8Array,
    infoHash: InfoHash,
    file: ServedFile,
    onFailed: (error: Error) => void,
  ): SwarmTorrent {
    const torrent = this.#client.add(seededTorrent(torrentFile, file), {
      announce: [],
      skipVerify: true,
      store: InPlaceStore,
      storeOpts: { file, cache: this.#cache },
      storeCacheSlots: 0,
      uploads: UPLOAD_SLOTS,
    })
    torrent.once('ready', () => {
      // The store has its own hashes; as strings, and with the metadata three times, they take 300 KB a torrent.
      torrent._hashes = []
      torrent.infoBuffer = torrent.info = undefined
    })
    const source = () => inPlaceStoreOf(torrent)
    return this.#manage(torrent, infoHash, { onFailed, onMetadata: () => undefined, source })
  }

  /** Starts a download; pieces are written as they are verified. */
  download(request: DownloadRequest): SwarmTorrent {
    const { known, infoHash } = request
    const { Store, frames } = engineStore(request, this.#cache)
    const torrent = this.#client.add(known?.torrentFile ?? `magnet:?xt=urn:btih:${infoHash}`, {
      announce: [],
      store: Store,
      storeOpts: {},
      storeCacheSlots: 0,
      uploads: UPLOAD_SLOTS,
      deselect: true, // the engine asks for nothing itself: the lane does
    })
    torrent.once('done', request.onDone)
    return this.#manage(torrent, infoHash, { ...request, source: frames })
  }

  /**
   * Joins a swarm that has nothing to share: its peers meet to speak `gs_catalogue`. Metadata that somebody may
   * offer for its infohash is refused.
   */
  gather(infoHash: InfoHash, gathering: Gathering): SwarmTorrent {
    const torrent = this.#client.add(`magnet:?xt=urn:btih:${infoHash}`, {
      announce: [],
      store: NoStore,
      storeOpts: {},
      storeCacheSlots: 0,
      uploads: 0,
      deselect: true,
      private: true, // no PEX: anybody may connect here, and would tell us a thousand addresses to dial
    })
    torrent.on('wire', (wire) => speakCatalogue(wire, gathering))
    const onMetadata = (): never => {
      throw new FailedError('no-content', 'a rendezvous has no content')
    }
    const nothing = { onFailed: () => undefined, onMetadata, source: () => undefined }
    return this.#manage(torrent, infoHash, nothing, gathering)
  }

  /** Closes every connection and the port; idempotent, and bounded in time. */
  stop(): Promise<void> {
    this.#stopping ??= new Promise((resolve) => {
      if (this.#client.destroyed) return resolve() // an engine that failed has closed itself
      const deadline = setTimeout(resolve, STOP_DEADLINE_MS)
      this.#client.destroy(() => {
        clearTimeout(deadline)
        resolve()
      })
    })
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  #manage(
    torrent: Torrent,
    infoHash: InfoHash,
    { onFailed, onMetadata, webSeeds, source }: Managed,
    gathering?: Gathering,
  ): SwarmTorrent {
    setEncryptedName(torrent, infoHash)
    torrent.on('error', (error) => onFailed(asError(error)))
    const suggestions = new Suggestions(torrent, () => !policy.hasMetSeeds)
    torrent.on('wire', (wire) => {
      wire.on('upload', (bytes: number) => this.#uploaded.add(bytes))
      wire.on('download', (bytes: number) => this.#downloaded.add(bytes))
      serveFrames(wire, { source, suggestions, isGone: () => torrent.destroyed })
      guardMetadata(wire, {
        infoHash,
        isOurs: (bytes) => bytes === torrent.torrentFile,
        accept: onMetadata,
        onLie: () => policy.ban(wire),
      })
    })
    const { maxConns, allowed } = this.#options
    // A rendezvous has to meet all members; of a swarm, some are enough.
    dialUpTo(torrent, this.#client, gathering === undefined ? this.#client.maxConns : maxConns)
    const policy = new WirePolicy(torrent, {
      peerId: this.#client.peerId,
      allowed,
      port: () => this.port,
      dhtPort: this.#options.dhtPort,
      onDhtNode: this.#options.onDhtNode,
      ...(gathering === undefined ? {} : { isMet: gathering.isMet }),
      withoutEncryption: (dial) => {
        this.#client.secure = 0
        try {
          return dial()
        } finally {
          this.#client.secure = 1
        }
      },
    })
    startLaneWhenReady(torrent, {
      ...{ buffers: this.#buffers, webSeeds },
      ban: (wire) => policy.ban(wire),
      onBytes: (bytes) => this.#downloaded.add(bytes),
    })
    return {
      infoHash,
      dial: (peer) => policy.dial(peer),
      stats: () => statsOf(torrent, policy.banned),
      remove: () => removeTorrent(torrent),
    }
  }
}
