/**
 * A host: every whole shard under its folders becomes a torrent, is seeded where it lies, and announced.
 * Library and swarm meet here and nowhere else.
 */
import { resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../errors.ts'
import { makeFolder, removeLeftovers } from '../library/atomic-file.ts'
import { HashPool } from '../library/hash-pool.ts'
import { type ShardFile, ShardLibrary } from '../library/shard-library.ts'
import { realPathOfRoot } from '../library/walk.ts'
import type { Log } from '../log.ts'
import { composeTorrentFile } from '../metainfo/create.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'
import { webSeedsFor } from '../metainfo/web-seed.ts'
import { duplicateEvent } from './events.ts'
import { type FolderLock, lockFolder } from './folder-lock.ts'
import { BackgroundSaves, type HostState, loadHostState, saveHostState } from './host-state.ts'
import { Integrity } from './integrity.ts'
import type { FleetKey } from './membership/fleet-key.ts'
import { HostMember } from './membership/host-member.ts'
import { Network } from './network.ts'
import type { ReplicateSettings } from './replication/replication-policy.ts'
import { Replicator } from './replication/replicator.ts'
import type { SeederListener, SeederOptions } from './seeder-options.ts'
import { serveFile } from './serve.ts'
import { ShardNews } from './shard-news.ts'

export type { SeederListener, SeederOptions } from './seeder-options.ts'

/** The routing table changes slowly; losing a minute of it in a crash costs nothing. */
const SAVE_STATE_MS = 60_000

/** A disk that hangs must not keep the ports: after so long of a stop they are given back all the same. */
const DISK_PATIENCE_MS = 1_500

/** A running host. Made by {@link Seeder.start}; `stop` is total and idempotent. */
export class Seeder implements AsyncDisposable {
  readonly #options: SeederOptions
  readonly #listener: SeederListener
  readonly #network: Network
  readonly #state: HostState
  readonly #lock: FolderLock
  readonly #log: Log
  readonly #pool = new HashPool()
  readonly #library: ShardLibrary
  #fleet: HostMember | null = null
  #replicator: Replicator | null = null
  #integrity: Integrity | null = null
  readonly #news: ShardNews
  /** Shards by infohash; two paths with the same name and content share one torrent, the first serves. */
  readonly #shards = new Map<InfoHash, ShardFile[]>()
  readonly #saveTimer: NodeJS.Timeout
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
    this.#log = parts.log
    this.#news = new ShardNews({
      torrentsDir: options.torrentsDir,
      advertise: options.advertise,
      webSeeds: options.webSeeds,
      torrentFileOf: (shard) => this.#torrentFileOf(shard),
      isServed: (infoHash, shard) => {
        const served = this.#shards.get(infoHash)
        return served !== undefined && (shard === undefined || served.includes(shard))
      },
      onEvent: listener.onEvent,
    })
    this.#library = new ShardLibrary(
      { roots: options.folders, stateDir: options.stateDir, hashPool: this.#pool, log: parts.log },
      {
        onHashing: (file, length) => listener.onEvent({ event: 'hashing', file, length }),
        onShard: (shard) => this.#seed(shard),
        onGone: (shard, reason) => this.#withdraw(shard, reason),
        onRejected: (file, code, reason) => listener.onEvent({ event: 'rejected', file, code, reason }),
        onAlias: (file, of) => listener.onEvent(duplicateEvent(file, of)),
        onWaiting: (file, reason) => listener.onEvent({ event: 'waiting', file, reason }),
        onScanned: (summary) => void this.#news.allTold().then(() => listener.onScanned?.(summary)),
      },
    )
    const saves = new BackgroundSaves(
      () => this.#save(),
      (error) => listener.onEvent({ event: 'error', code: 'state', message: messageOf(error) }),
    )
    this.#saveTimer = setInterval(() => {
      void saves.run()
      void this.#news.retry()
    }, SAVE_STATE_MS)
  }

  /**
   * Starts a host: identity, ports, DHT, then the folder.
   * @throws {FailedError} `port-in-use` or `locked`; {@link UsageError} for a folder that is not there
   */
  static async start(options: SeederOptions, listener: SeederListener, log: Log): Promise<Seeder> {
    await Promise.all(options.folders.map(realPathOfRoot)) // before anything is written for a mistyped name
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
          allowed: options.allowed,
        },
        {
          onNode: (nodeId) => listener.onRouting?.(nodeId),
          onRegistering: (count) => listener.onRegistering?.(count),
          onAnnounced: (infoHash, nodes) => {
            if (seeder !== undefined) seeder.#news.announced(infoHash, nodes)
          },
          onIsolated: (isolated) => listener.onIsolated?.(isolated),
          onFailed: listener.onFailed,
        },
      )
      await makeFolder(options.torrentsDir)
      await removeLeftovers(options.torrentsDir)
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
      const written = this.#stopWriting()
      await Promise.race([written, delay(DISK_PATIENCE_MS, undefined, { ref: false })])
      await this.#fleet?.stop()
      await this.#network.stop()
      await written
      await this.#fleet?.described
      await this.#lock.release()
    })()
    return this.#stopping
  }

  async #stopWriting(): Promise<void> {
    await this.#replicator?.stop()
    await this.#integrity?.stop()
    await this.#library.stop()
    await this.#pool.stop()
    await this.#news.allTold()
    await this.#save().catch(() => undefined) // a full disk must not keep a host from stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #begin(): Promise<void> {
    const { port } = this.#network.client
    const dhtPort = this.#network.dht.port
    await this.#save()
    this.#listener.onEvent({ event: 'listening', port, dhtPort, hostId: this.#state.hostId })
    // Before the library starts, so that the rendezvous is the first infohash that is announced.
    const { fleet, replicate } = this.#options
    if (replicate !== null) this.#replicator = await this.#startReplicator(replicate)
    if (fleet !== null) this.#fleet = this.#join(fleet)
    await this.#library.start()
    const { stateDir, recheckRate: bytesPerSecond } = this.#options
    const { onEvent } = this.#listener
    this.#integrity = await Integrity.start({ library: this.#library, stateDir, bytesPerSecond, onEvent })
  }

  #join(key: FleetKey): HostMember {
    const { folders, name } = this.#options
    const replica = this.#replicator?.fleetListener
    return new HostMember({
      network: this.#network,
      key,
      hostId: this.#state.hostId,
      name,
      folder: resolve(folders[0]),
      strangersRefused: () => this.#options.allowed?.refusedTotal,
      integrity: () => this.#integrity?.info,
      replicating: replica !== undefined,
      wantsCatalogues: replica !== undefined,
      listener: {
        onHost: (host, change) => {
          this.#listener.onFleetHost?.(host, change)
          replica?.onHost?.(host, change)
        },
        onShard: (host, infoHash, shard) => replica?.onShard?.(host, infoHash, shard),
      },
    })
  }

  #startReplicator(settings: ReplicateSettings): Promise<Replicator> {
    const { folders, stateDir } = this.#options
    return Replicator.start({
      settings,
      folder: resolve(folders[0]),
      stateDir,
      hostId: this.#state.hostId,
      network: this.#network,
      pool: this.#pool,
      library: this.#library,
      log: this.#log,
      offer: (shard) => this.#fleet?.member.offer(shard),
      withdraw: (infoHash) => this.#fleet?.member.withdraw(infoHash),
      onEvent: this.#listener.onEvent,
    })
  }

  #seed(shard: ShardFile): void {
    const known = this.#shards.get(shard.infoHash)
    this.#shards.set(shard.infoHash, [...(known ?? []), shard])
    this.#replicator?.noteShard(shard)
    if (known === undefined) {
      const ceded = this.#replicator?.cede(shard.infoHash)
      if (ceded === undefined) this.#serve(shard)
      else void ceded.then(() => this.#serveHeir(shard.infoHash))
      this.#fleet?.offer(shard)
    }
    this.#news.seeding(shard)
  }

  #serve(shard: ShardFile): void {
    const torrentFile = this.#torrentFileOf(shard)
    const lost = (reason: string): void => {
      this.#library.recheck(shard.path, reason)
    }
    serveFile(this.#network, torrentFile, shard, lost)
  }

  #torrentFileOf(shard: ShardFile): Uint8Array {
    const { dht, webSeeds } = this.#options
    // A public torrent carries no bootstrap of ours: its clients have their own.
    const nodes = dht.kind === 'private' ? this.#network.dht.bootstrap : []
    return composeTorrentFile({ info: shard.info, nodes, webSeeds: webSeedsFor(webSeeds, shard.name) })
  }

  #withdraw(shard: ShardFile, reason: string): void {
    const { infoHash, relativePath: file } = shard
    const others = (this.#shards.get(infoHash) ?? []).filter((other) => other.path !== shard.path)
    this.#listener.onEvent({ event: 'withdrawn', file, infoHash, reason })
    const [next] = others
    if (next === undefined) {
      this.#shards.delete(infoHash)
      this.#news.forget(infoHash)
      this.#fleet?.withdraw(infoHash)
      this.#replicator?.noteGone(shard)
    } else this.#shards.set(infoHash, others)
    void this.#network.remove(infoHash).then(() => this.#serveHeir(infoHash))
  }

  /** Serves the first that is left, once what was in its place in the engine is gone. */
  #serveHeir(infoHash: InfoHash): void {
    const heir = this.#shards.get(infoHash)?.[0]
    const isFree = this.#network.torrent(infoHash) === undefined && this.#stopping === undefined
    if (heir !== undefined && isFree) this.#serve(heir)
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
}
