/**
 * `seed --replicate`: fetches into a host's own folder what its fleet has and it lacks, as the policy decides, and
 * hands it to the library to be seeded. What others offer marks the picture dirty; one round a second works it off.
 *
 *   offered -> fetching -> named -> adopted by the library: seeding
 */
import { messageOf } from '../../errors.ts'
import type { HashPool } from '../../library/hash-pool.ts'
import type { ShardFile, ShardLibrary } from '../../library/shard-library.ts'
import type { Log } from '../../log.ts'
import { buildInfo } from '../../metainfo/create.ts'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { parsePeerAddress } from '../../metainfo/peer-address.ts'
import type { OfferedShard } from '../../swarm/catalogue/catalogue-entry.ts'
import type { ReplicationEvent } from '../events.ts'
import type { RosterListener } from '../membership/roster.ts'
import type { Network } from '../network.ts'
import { FetchMemory } from './fetch-memory.ts'
import { FleetView } from './fleet-view.ts'
import { type Ending, endingOf } from './replica-ending.ts'
import { ReplicaFetch } from './replica-fetch.ts'
import { ReplicaRoom } from './replica-room.ts'
import { ReplicaStock } from './replica-stock.ts'
import {
  CLAIM_MS,
  type Decision,
  decide,
  type Lacking,
  type ReplicateSettings,
} from './replication-policy.ts'
import type { Supplied } from './supply.ts'

/** Decisions, and what is told of progress. */
const ROUND_MS = 1_000
/** Room on the disk changes without an event: looked at so often, and more often while something is fetched. */
const LOOK_MS = 10_000
const LOOK_BUSY_MS = 2_000
/** Until a file that stands in the way, and is not judged yet, is looked at again. */
const UNDECIDED_MS = 5_000
/** That there is no room is told again no sooner than this. */
const ROOM_TOLD_MS = 600_000
/** Half-fetched files that nobody needs are removed within this. */
const TIDY_MS = 60_000

/** Complete settings. */
export interface ReplicatorOptions {
  readonly settings: ReplicateSettings
  /** Where the library's shards are; absolute. */
  readonly folder: string
  readonly stateDir: string
  readonly hostId: string
  readonly network: Network
  /** Only used, not stopped. */
  readonly pool: HashPool
  readonly library: Pick<ShardLibrary, 'adopt' | 'entries'>
  readonly log: Log
  /** Tells the fleet of a shard that is being fetched. */
  readonly offer: (shard: OfferedShard) => void
  readonly withdraw: (infoHash: InfoHash) => void
  readonly onEvent: (event: ReplicationEvent) => void
}

interface Running {
  readonly fetch: ReplicaFetch
  /** Resolves when it is over and cleaned up. */
  ended: Promise<void>
}

export class Replicator implements AsyncDisposable {
  readonly #options: ReplicatorOptions
  readonly #view: FleetView
  readonly #room: ReplicaRoom
  readonly #stock: ReplicaStock
  readonly #memory = new FetchMemory()
  readonly #running = new Map<InfoHash, Running>()
  readonly #timer: NodeJS.Timeout
  #round: Promise<void> | undefined
  #againAtMs = 0
  #tidyAtMs = 0
  #stopping: Promise<void> | undefined

  private constructor(options: ReplicatorOptions, parts: { room: ReplicaRoom; stock: ReplicaStock }) {
    const { settings, hostId, log } = options
    this.#options = options
    this.#room = parts.room
    this.#stock = parts.stock
    this.#view = new FleetView({
      hostId,
      isWanted: (shard) => this.#isWanted(shard),
      needsAll: settings.replicas !== null,
      onCopy: (host, shard) => {
        if (shard.state === 'seeding') this.#memory.forgive(shard.infoHash)
        const peer = parsePeerAddress(host.address)
        if (peer !== undefined) this.#running.get(shard.infoHash)?.fetch.dial(peer)
      },
    })
    this.#timer = setInterval(() => {
      this.#round ??= this.#tick()
        .catch((error: unknown) => log.warn(`[FLEET] replication: ${messageOf(error)}`))
        .finally(() => {
          this.#round = undefined
        })
    }, ROUND_MS)
  }

  /** Reads what earlier runs left, and begins; the folder must be there. */
  static async start(options: ReplicatorOptions): Promise<Replicator> {
    const { folder, stateDir, log, settings } = options
    const stock = await ReplicaStock.open({ folder, stateDir, log })
    return new Replicator(options, { stock, room: await ReplicaRoom.open(folder, settings.minFreeBytes) })
  }

  /** To be told of the hosts of the fleet and their shards. */
  get fleetListener(): RosterListener {
    return this.#view
  }

  /** The library seeds a shard. */
  noteShard({ infoHash }: ShardFile): void {
    this.#stock.came(infoHash)
    this.#memory.forgive(infoHash)
  }

  /** The library seeds it no longer, from no path. */
  noteGone({ infoHash, name }: ShardFile): void {
    this.#stock.went(infoHash)
    this.#memory.freed(name)
    if (this.#stopping !== undefined || this.#view.supply.get(infoHash) === undefined) return
    this.#tell(
      { infoHash, name },
      'removed',
      'it was here and was removed or changed; it is fetched again after a restart',
    )
  }

  /**
   * Makes way for a copy that came another way while this one was being fetched; undefined when it is not. The engine
   * has no torrent of that infohash when it resolves.
   */
  cede(infoHash: InfoHash): Promise<void> | undefined {
    const running = this.#running.get(infoHash)
    return running?.fetch.isUnderWay ? running.fetch.stop('present') : undefined
  }

  /** Ends all fetches; what they have is kept for the next start. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      clearInterval(this.#timer)
      await this.#round
      const running = [...this.#running.values()]
      await Promise.all(running.map(({ fetch, ended }) => fetch.stop('stopping').then(() => ended)))
      await this.#stock.saved()
    })()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #tick(): Promise<void> {
    for (const [infoHash, { fetch }] of this.#running) {
      const verifiedBytes = this.#stock.isSeeded(infoHash) ? null : fetch.takeProgress()
      if (verifiedBytes !== null) this.#options.offer({ ...fetch.shard, state: 'fetching', verifiedBytes })
    }
    const nowMs = performance.now()
    if (this.#view.takeDirty()) this.#againAtMs = nowMs
    if (nowMs < this.#againAtMs || !this.#view.isReady()) return
    const decision = await this.#decide()
    this.#againAtMs = Math.min(decision.againAtMs, nowMs + (this.#running.size > 0 ? LOOK_BUSY_MS : LOOK_MS))
    for (const { infoHash, code } of decision.stop) void this.#running.get(infoHash)?.fetch.stop(code)
    for (const { shard, problem } of decision.problems) {
      const about = problem.code === 'name-conflict' ? shard.shard.name : shard.shard.infoHash
      if (this.#memory.mayTell(`${problem.code} ${about}`, nowMs))
        this.#tell(shard.shard, problem.code, problem.reason)
    }
    if (decision.lacking !== null) this.#tellLacking(decision.lacking)
    for (const shard of decision.start) await this.#begin(shard)
    if (nowMs >= this.#tidyAtMs) await this.#tidy(nowMs)
  }

  async #decide(): Promise<Decision> {
    const { settings, hostId } = this.#options
    const { supply } = this.#view
    const freeBytes = await this.#room.freeBytes()
    const memory = this.#memory
    return decide(
      { replicas: settings.replicas, maxBytes: settings.maxBytes, minFreeBytes: this.#room.minFreeBytes },
      {
        nowMs: performance.now(),
        hostId,
        hosts: this.#view.hosts(),
        shards: supply.shards(),
        shardOf: (infoHash) => supply.get(infoHash),
        problemOf: (shard) => supply.problemOf(shard),
        openAtMs: (shard) =>
          this.#stock.isClosed(shard.infoHash) || memory.isRefused(shard)
            ? Number.POSITIVE_INFINITY
            : memory.retryAtMs(shard.infoHash),
        running: new Map([...this.#running].map(([infoHash, { fetch }]) => [infoHash, fetch.verifiedBytes])),
        lengthOf: (infoHash) => this.#running.get(infoHash)?.fetch.shard.length ?? 0,
        keptBytes: this.#stock.keptBytes(),
        heldBytes: (infoHash) => this.#stock.heldBytes(infoHash),
        freeBytes,
        strikesOf: (other) => memory.strikesOf(other),
      },
    )
  }

  async #begin(supplied: Supplied): Promise<void> {
    const { shard } = supplied
    const { infoHash, name, length } = shard
    const { network, pool, folder, settings, library, offer, onEvent } = this.#options
    const standing = await this.#room.standing(name, library.entries())
    if (this.#stopping !== undefined || this.#stock.isClosed(infoHash)) return
    if (standing === 'undecided') {
      this.#memory.postpone(infoHash, performance.now() + UNDECIDED_MS)
      return
    }
    if (standing === 'occupied') {
      this.#memory.refuse(shard)
      const reason = 'another file has this name here; rename one of them, and restart this host'
      this.#tell(shard, 'occupied', reason)
      return
    }
    const claimMs = settings.replicas === null ? 0 : CLAIM_MS
    const peers = this.#view.peersOf(supplied)
    const fetch = new ReplicaFetch({ network, pool, folder, shard, peers, claimMs })
    const running: Running = { fetch, ended: Promise.resolve() }
    this.#running.set(infoHash, running)
    this.#stock.begun(shard)
    offer({ ...shard, state: 'fetching', verifiedBytes: 0 })
    onEvent({ event: 'replicating', infoHash, name, length, copies: supplied.whole.size })
    running.ended = this.#follow(fetch, supplied).finally(() => {
      this.#running.delete(infoHash)
      if (!this.#stock.isSeeded(infoHash)) this.#options.withdraw(infoHash)
      this.#againAtMs = 0
    })
  }

  /** To the end of a fetch, whatever that is. Never throws. */
  async #follow(fetch: ReplicaFetch, supplied: Supplied): Promise<void> {
    const { shard } = fetch
    const { infoHash, name, length, pieceLength } = shard
    try {
      const { path, hashed } = await fetch.run()
      const { sha256, pieces, identity } = hashed
      this.#stock.kept(shard)
      const info = buildInfo({ name, length, pieceLength, pieces })
      const record = { ...info, infoHash, path, identity, sha256 }
      if (!(await this.#options.library.adopt(record))) return // it changed since; the library will see what it is
      const [only, another] = supplied.whole
      if (only !== undefined && another === undefined) this.#memory.absolve(only)
      this.#options.onEvent({ event: 'replicated', infoHash, file: name, length, sha256 })
    } catch (error) {
      await this.#ended(shard, endingOf(error))
    }
  }

  async #ended(shard: OfferedShard, { code, reason, keeps, next, blames }: Ending): Promise<void> {
    const { infoHash } = shard
    const nowMs = performance.now()
    if (keeps) await this.#stock.paused(infoHash)
    else await this.#stock.discard(infoHash)
    if (next === 'refuse') this.#memory.refuse(shard)
    else if (next === 'retry') this.#memory.failed(infoHash, nowMs)
    else this.#memory.postpone(infoHash, nowMs + next)
    if (blames) for (const hostId of this.#view.supply.get(infoHash)?.whole ?? []) this.#memory.strike(hostId)
    if (code === 'no-room') this.#memory.mayTell('min-free', nowMs, ROOM_TOLD_MS) // it is told herewith
    if (reason !== null) this.#tell(shard, code, reason)
  }

  #tellLacking({ shard, limit, missingBytes }: Lacking): void {
    if (!this.#memory.mayTell(limit, performance.now(), ROOM_TOLD_MS)) return
    this.#tell(
      shard.shard,
      limit === 'max-bytes' ? limit : 'no-room',
      this.#room.lacking(limit, missingBytes),
    )
  }

  #tell({ infoHash, name }: Pick<OfferedShard, 'infoHash' | 'name'>, code: string, reason: string): void {
    this.#options.onEvent({ event: 'not-replicated', infoHash, name, code, reason })
  }

  async #tidy(nowMs: number): Promise<void> {
    this.#tidyAtMs = nowMs + TIDY_MS
    const { replicas } = this.#options.settings
    await this.#stock.tidy(({ infoHash, name, model }) => {
      const copies = this.#view.supply.get(infoHash)?.whole.size ?? 0
      return this.#isWanted({ name, model }) && (replicas === null || copies < replicas)
    })
  }

  #isWanted({ name, model }: Pick<OfferedShard, 'name' | 'model'>): boolean {
    const { isWanted } = this.#options.settings
    return isWanted(name) || isWanted(model)
  }
}
