/**
 * A host: every whole shard under one folder becomes a torrent, is seeded where it lies, and announced.
 * Library and swarm meet here and nowhere else.
 */
import { resolve } from 'node:path'
import { messageOf, type SwarmError } from '../errors.ts'
import { makeFolder } from '../library/atomic-file.ts'
import { HashPool } from '../library/hash-pool.ts'
import { type ScanSummary, type ShardFile, ShardLibrary } from '../library/shard-library.ts'
import { realPathOfRoot } from '../library/walk.ts'
import type { Log } from '../log.ts'
import { buildInfo, composeTorrentFile } from '../metainfo/create.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'
import { magnetFor } from '../metainfo/magnet.ts'
import type { PeerAddress } from '../metainfo/peer-address.ts'
import { WindowCache } from '../swarm/window-cache.ts'
import type { SeedEvent } from './events.ts'
import { type FolderLock, lockFolder } from './folder-lock.ts'
import { type HostState, loadHostState, saveHostState } from './host-state.ts'
import { type DhtChoice, Network } from './network.ts'
import { serveFile } from './serve.ts'
import { TorrentFiles } from './torrent-files.ts'

/** The routing table changes slowly; losing a minute of it in a crash costs nothing. */
const SAVE_STATE_MS = 60_000
/** Enough to keep a disk busy; a restart with a thousand shards looks at a thousand `.torrent` files. */
const PARALLEL_WRITES = 8

/** Complete settings of a host; null ports mean "as last time, else a free one". */
export interface SeederOptions {
  readonly folder: string
  readonly stateDir: string
  readonly torrentsDir: string
  readonly bind: string
  readonly port: number | null
  readonly dhtPort: number | null
  readonly dht: DhtChoice
  readonly advertise: readonly PeerAddress[]
  readonly uploadLimit: number | null
  readonly maxConns: number
}

/** What the owner of a host hears besides its events. */
export interface SeederListener {
  readonly onEvent: (event: SeedEvent) => void
  /** A node entered the routing table. */
  readonly onRouting?: (nodeId: string) => void
  /** A round of announces begins. */
  readonly onRegistering?: (count: number) => void
  /** No DHT node answers, or that is over. */
  readonly onIsolated?: (isolated: boolean) => void
  /** Everything found at start is decided. */
  readonly onScanned?: (summary: ScanSummary) => void
  /** The host cannot go on. */
  readonly onFailed: (error: SwarmError) => void
}

/** A running host. Made by {@link Seeder.start}; `stop` is total and idempotent. */
export class Seeder implements AsyncDisposable {
  readonly #options: SeederOptions
  readonly #listener: SeederListener
  readonly #network: Network
  readonly #state: HostState
  readonly #lock: FolderLock
  readonly #pool = new HashPool()
  readonly #cache = new WindowCache()
  readonly #library: ShardLibrary
  readonly #torrentFiles: TorrentFiles
  /** Shards by infohash; two paths with the same name and content share one torrent, the first serves. */
  readonly #shards = new Map<InfoHash, ShardFile[]>()
  readonly #saveTimer: NodeJS.Timeout
  /** The `.torrent` files being written, some at a time; `seeding` is told when its file is there. */
  readonly #telling: Promise<void>[] = Array.from({ length: PARALLEL_WRITES }, () => Promise.resolve())
  #told = 0
  #stopping: Promise<void> | undefined

  private constructor(
    options: SeederOptions,
    listener: SeederListener,
    parts: { network: Network; state: HostState; lock: FolderLock; log: Log },
  ) {
    this.#options = options
    this.#listener = listener
    this.#network = parts.network
    this.#state = parts.state
    this.#lock = parts.lock
    this.#torrentFiles = new TorrentFiles(options.torrentsDir)
    const file = (path: string, length: number): void =>
      listener.onEvent({ event: 'hashing', file: path, length })
    this.#library = new ShardLibrary(
      { root: resolve(options.folder), stateDir: options.stateDir, hashPool: this.#pool, log: parts.log },
      {
        onHashing: file,
        onShard: (shard) => this.#seed(shard),
        onGone: (shard, reason) => this.#withdraw(shard, reason),
        onRejected: (file, code, reason) => listener.onEvent({ event: 'rejected', file, code, reason }),
        onWaiting: (file, reason) => listener.onEvent({ event: 'waiting', file, reason }),
        onScanned: (summary) => void this.#allTold().then(() => listener.onScanned?.(summary)),
      },
    )
    this.#saveTimer = setInterval(() => this.#saveInBackground(), SAVE_STATE_MS)
  }

  /**
   * Starts a host: identity, ports, DHT, then the folder.
   * @throws {FailedError} `port-in-use` or `locked`; {@link UsageError} for a folder that is not there
   */
  static async start(options: SeederOptions, listener: SeederListener, log: Log): Promise<Seeder> {
    await realPathOfRoot(options.folder) // before anything is written or opened for a mistyped name
    const lock = await lockFolder(
      options.stateDir,
      (pid) =>
        `${options.stateDir} is in use by process ${pid}; stop that host, or give this one its own --state-dir`,
    )
    let network: Network | undefined
    let seeder: Seeder | undefined
    try {
      const state = await loadHostState(options.stateDir)
      network = await Network.start(
        {
          bind: options.bind,
          port: { port: options.port ?? state.port, required: options.port !== null },
          dhtPort: { port: options.dhtPort ?? state.dhtPort, required: options.dhtPort !== null },
          dht: options.dht,
          uploadLimit: options.uploadLimit,
          maxConns: options.maxConns,
          advertise: options.advertise,
          nodeId: state.nodeId,
          savedNodes: state.nodes,
          readOnly: false,
          identity: state.hostId,
        },
        {
          onNode: (nodeId) => listener.onRouting?.(nodeId),
          onRegistering: (count) => listener.onRegistering?.(count),
          onAnnounced: (infoHash, nodes) => {
            if (seeder !== undefined) seeder.#tellAnnounced(infoHash, nodes)
          },
          onIsolated: (isolated) => listener.onIsolated?.(isolated),
          onFailed: listener.onFailed,
        },
      )
      await makeFolder(options.torrentsDir)
      seeder = new Seeder(options, listener, { network, state, lock, log })
      try {
        await seeder.#begin()
        return seeder
      } catch (error) {
        await seeder.stop()
        throw error
      }
    } catch (error) {
      await network?.stop()
      await lock.release()
      throw error
    }
  }

  /** Stops serving, writes what is to be remembered, frees ports and folder. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      clearInterval(this.#saveTimer)
      await this.#library.stop()
      await this.#pool.stop()
      await this.#allTold()
      await this.#save().catch(() => undefined) // a full disk must not keep a host from stopping
      await this.#network.stop()
      await this.#lock.release()
    })()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #begin(): Promise<void> {
    const { port } = this.#network.client
    const dhtPort = this.#network.dht.port
    await this.#save()
    this.#listener.onEvent({ event: 'listening', port, dhtPort, hostId: this.#state.hostId })
    await this.#library.start()
  }

  #seed(shard: ShardFile): void {
    const known = this.#shards.get(shard.infoHash)
    this.#shards.set(shard.infoHash, [...(known ?? []), shard])
    if (known === undefined) this.#serve(shard)
    const lane = this.#told++ % PARALLEL_WRITES
    this.#telling[lane] = this.#telling[lane]!.then(() => this.#tell(shard))
  }

  #allTold(): Promise<unknown> {
    return Promise.all(this.#telling)
  }

  #serve(shard: ShardFile): void {
    const torrentFile = this.#torrentFileOf(shard)
    const lost = (reason: string): void => {
      this.#library.recheck(shard.path, reason)
    }
    serveFile(this.#network, torrentFile, shard, this.#cache, lost)
  }

  #torrentFileOf(shard: ShardFile): Uint8Array {
    const { dht } = this.#options
    // A public torrent carries no bootstrap of ours: its clients have their own.
    const nodes = dht.kind === 'private' ? this.#network.dht.bootstrap : []
    return composeTorrentFile({ info: buildInfo(shard).info, nodes })
  }

  async #tell(shard: ShardFile): Promise<void> {
    const { infoHash, name, length, pieceLength, sha256 } = shard
    try {
      const torrentFile = await this.#torrentFiles.write(name, infoHash, this.#torrentFileOf(shard))
      if (!this.#shards.get(infoHash)?.includes(shard)) return
      const magnet = magnetFor({ infoHash, name, length, peers: this.#options.advertise })
      const file = shard.relativePath
      this.#listener.onEvent({
        event: 'seeding',
        file,
        infoHash,
        magnet,
        length,
        pieceLength,
        sha256,
        torrentFile,
      })
    } catch (error) {
      this.#listener.onEvent({ event: 'error', code: 'torrent-file', message: messageOf(error) })
    }
  }

  /** After `seeding`, which waits for its `.torrent` file to be written; not at all for what was withdrawn. */
  #tellAnnounced(infoHash: InfoHash, nodes: number): void {
    void this.#allTold().then(() => {
      if (this.#shards.has(infoHash)) this.#listener.onEvent({ event: 'announced', infoHash, nodes })
    })
  }

  #withdraw(shard: ShardFile, reason: string): void {
    const { infoHash, relativePath: file } = shard
    const others = (this.#shards.get(infoHash) ?? []).filter((other) => other.path !== shard.path)
    this.#listener.onEvent({ event: 'withdrawn', file, infoHash, reason })
    const [next] = others
    if (next === undefined) {
      this.#shards.delete(infoHash)
      this.#torrentFiles.forget(infoHash)
    } else this.#shards.set(infoHash, others)
    void this.#network.remove(infoHash).then(() => {
      const heir = this.#shards.get(infoHash)?.[0]
      if (
        heir !== undefined &&
        this.#network.torrent(infoHash) === undefined &&
        this.#stopping === undefined
      ) {
        this.#serve(heir)
      }
    })
  }

  async #save(): Promise<void> {
    const { client, dht } = this.#network
    const nodes = dht.nodes()
    await saveHostState(this.#options.stateDir, {
      ...this.#state,
      port: client.port,
      dhtPort: dht.port,
      nodes: nodes.length > 0 ? nodes : this.#state.nodes,
    })
  }

  #saveInBackground(): void {
    this.#save().catch((error: unknown) => {
      this.#listener.onEvent({ event: 'error', code: 'state', message: messageOf(error) })
    })
  }
}
