/**
 * The schedule of DHT announces and lookups (BEP 5), ours instead of the engine's: an announce that no
 * node stored is retried within seconds, a bootstrap that comes late or comes back is used at once.
 *
 * Events only mark infohashes as due; one loop works them off with bounded parallelism. Its clock is the
 * monotonic one: the time of day can be set back by hours.
 */
import { createHash } from 'node:crypto'
import { type InfoHash, parseInfoHash } from '../../metainfo/info-hash.ts'
import { isForgotten } from './bootstrap-memory.ts'
import type { DhtNode } from './dht.ts'

/** Random part of the intervals, so that many shards do not come due together. */
const JITTER = 0.1
/** A bootstrap may restart in the middle of being told, and once more: so often it is told again without a pause. */
const PROMPT_REMINDERS = 3
/** Lookups under way at once: each asks about 20 nodes. */
const PARALLEL = 8

/** How often what is done. */
export interface AnnounceTimes {
  readonly reannounceMs: number
  /** First retry after an announce that nobody stored; doubles up to the longest. */
  readonly retryMinMs: number
  readonly retryMaxMs: number
  /** How often a download without enough peers asks again; doubles up to the longest. */
  readonly searchMinMs: number
  readonly searchMaxMs: number
  /** A seeded shard is looked up at this rate, to dial peers that cannot reach us (uTP first, NAT). */
  readonly lookupMs: number
  /** Least time between background lookups of all seeded shards together. */
  readonly lookupSpacingMs: number
  /** Join attempts while the routing table is empty: a late bootstrap is found within this. */
  readonly joinMs: number
  /** How often each private bootstrap is asked whether it still remembers us. */
  readonly bootstrapCheckMs: number
  /** The loop's pace when nothing wakes it earlier. */
  readonly tickMs: number
}

/** The times of every host; only tests are in a hurry. */
const ANNOUNCE_TIMES: AnnounceTimes = {
  reannounceMs: 15 * 60_000, // well before stored peers expire: 45 min here, 30 min in libtorrent and Transmission
  retryMinMs: 2_000,
  retryMaxMs: 60_000,
  searchMinMs: 2_000,
  searchMaxMs: 30_000,
  lookupMs: 60_000,
  lookupSpacingMs: 1_000, // one a second, so 1,000 shards stay quiet
  joinMs: 2_000,
  bootstrapCheckMs: 10_000,
  tickMs: 250,
}

/** What the owner of a schedule hears from it. */
export interface AnnouncerListener {
  /** A round of announces begins for so many infohashes that no node has stored yet. */
  onRegistering?(count: number): void
  /** At least one node (`nodes` of them) acknowledged that it stored us as a peer. */
  onAnnounced?(infoHash: InfoHash, nodes: number): void
  /** No bootstrap node answers and the routing table is empty (true), or that is over (false). */
  onIsolated?(isolated: boolean): void
}

/** Complete settings of a schedule. */
export interface AnnouncerOptions {
  readonly dht: DhtNode
  /** The TCP port that peers shall connect to. */
  readonly port: number
  /** Text unique to this process, from which its beacon infohash is derived. */
  readonly identity: string
  /** Ask the bootstraps whether they remember us; for our own ones only, public routers store nothing. */
  readonly checkBootstraps: boolean
  /** Our IPv4 address as others reach it now, stored in our own node too; undefined when unknown. */
  readonly selfHost?: () => string | undefined
  readonly listener: AnnouncerListener
  readonly times?: Partial<AnnounceTimes>
}

/** `seed` looks up slowly; `search` fast, until it has enough peers; `gather` too, for what is no shard. */
export type AnnounceMode = 'seed' | 'search' | 'gather'

interface Entry {
  readonly infoHash: InfoHash
  mode: AnnounceMode
  announceAt: number
  lookupAt: number
  failures: number
  searches: number
  stored: boolean
  busy: boolean
}

/** A started schedule; `stop` ends it. */
export class Announcer {
  readonly #options: AnnouncerOptions
  readonly #times: AnnounceTimes
  readonly #entries = new Map<InfoHash, Entry>()
  /** An infohash only this process announces: a bootstrap without it has forgotten us. */
  readonly #beacon: InfoHash
  readonly #timer: NodeJS.Timeout
  #active = 0
  #joining = false
  #checking = false
  #joinAt = 0
  #checkAt = 0
  #nextLookupAt = 0
  #isolated = false
  #reminders = 0
  #remindAt = 0
  #stopped = false

  constructor(options: AnnouncerOptions) {
    this.#options = options
    this.#times = { ...ANNOUNCE_TIMES, ...options.times }
    this.#beacon = parseInfoHash(
      createHash('sha1').update(`gguf-swarm beacon ${options.identity}`).digest('hex'),
    )
    if (options.checkBootstraps) this.add(this.#beacon, 'seed')
    this.#timer = setInterval(() => this.#tick(), this.#times.tickMs)
    this.#tick()
  }

  /** True while no DHT node at all is known. */
  get isolated(): boolean {
    return this.#options.dht.nodeCount === 0
  }

  /** Starts announcing `infoHash`; adding it again changes its mode. */
  add(infoHash: InfoHash, mode: AnnounceMode): void {
    const known = this.#entries.get(infoHash)
    if (known !== undefined) {
      if (known.mode !== mode) Object.assign(known, { mode, searches: 0, lookupAt: 0 })
      return
    }
    const entry = {
      infoHash,
      mode,
      announceAt: 0,
      lookupAt: Number.POSITIVE_INFINITY,
      failures: 0,
      searches: 0,
    }
    this.#entries.set(infoHash, { ...entry, stored: false, busy: false })
  }

  /** Stops announcing `infoHash`. BEP 5 knows no withdrawal: nodes forget us when their entry expires. */
  remove(infoHash: InfoHash): void {
    this.#entries.delete(infoHash)
  }

  /** Announces everything (`but` one) again now: the first node, a bootstrap without memory, another address of ours. */
  kick(but?: InfoHash): void {
    for (const entry of this.#entries.values()) {
      if (entry.infoHash !== but) Object.assign(entry, { announceAt: 0, failures: 0 })
    }
  }

  stop(): void {
    this.#stopped = true
    clearInterval(this.#timer)
  }

  #tick(): void {
    if (this.#stopped) return
    const now = performance.now()
    const { dht, checkBootstraps, listener } = this.#options
    const isolated = dht.nodeCount === 0
    if (isolated && now >= this.#joinAt) void this.#join(now)
    if (checkBootstraps && now >= this.#checkAt) void this.#checkBootstraps(now)
    if (isolated) return
    if (this.#isolated) {
      this.#isolated = false
      listener.onIsolated?.(false)
      this.kick()
    }
    this.#startDue(now)
  }

  #startDue(now: number): void {
    // Whoever has waited longest comes first: what was added first would be due again before the last had its turn.
    const due = [...this.#entries.values()]
      .filter((entry) => !entry.busy && dueAt(entry) <= now)
      .sort((a, b) => dueAt(a) - dueAt(b))
    const fresh = due.filter((entry) => !entry.stored && entry.failures === 0 && this.#isShard(entry))
    if (fresh.length > 0 && this.#active === 0) this.#options.listener.onRegistering?.(fresh.length)
    for (const entry of due) {
      if (this.#active >= PARALLEL) return
      if (entry.announceAt <= now) void this.#run(entry, () => this.#announce(entry))
      else if (entry.mode !== 'seed') void this.#run(entry, () => this.#search(entry))
      else if (now >= this.#nextLookupAt) {
        this.#nextLookupAt = now + this.#times.lookupSpacingMs
        void this.#run(entry, () => this.#lookup(entry))
      }
    }
  }

  async #run(entry: Entry, work: () => Promise<void>): Promise<void> {
    entry.busy = true
    this.#active++
    try {
      await work()
    } finally {
      entry.busy = false
      this.#active--
      if (!this.#stopped) this.#startDue(performance.now())
    }
  }

  async #announce(entry: Entry): Promise<void> {
    const { dht, port, selfHost, listener } = this.#options
    const isBeacon = entry.infoHash === this.#beacon
    // A beacon that is stored anew would hide that a bootstrap has forgotten everything else as well.
    const isRetold = isBeacon && (entry.stored || entry.failures > 0)
    if (isRetold && (await this.#isForgotten())) this.kick(this.#beacon)
    entry.announceAt = Number.POSITIVE_INFINITY // a kick() while this runs must not be overwritten below
    const { stored } = await dht.announce(entry.infoHash, port)
    if (this.#stopped || !this.#entries.has(entry.infoHash)) return
    const host = selfHost?.()
    if (host !== undefined) dht.storeSelf(entry.infoHash, { host, port })
    entry.stored = stored > 0
    entry.failures = stored > 0 ? 0 : entry.failures + 1
    const next =
      performance.now() +
      (stored > 0
        ? jittered(this.#times.reannounceMs)
        : backoff(entry.failures, this.#times.retryMinMs, this.#times.retryMaxMs))
    entry.announceAt = Math.min(entry.announceAt, next)
    entry.lookupAt =
      performance.now() + (entry.mode === 'seed' ? jittered(this.#times.lookupMs) : this.#times.searchMinMs)
    if (stored > 0 && this.#isShard(entry)) listener.onAnnounced?.(entry.infoHash, stored)
  }

  async #search(entry: Entry): Promise<void> {
    entry.searches++
    await this.#options.dht.lookup(entry.infoHash)
    entry.lookupAt =
      performance.now() + backoff(entry.searches, this.#times.searchMinMs, this.#times.searchMaxMs)
  }

  async #lookup(entry: Entry): Promise<void> {
    if (entry.infoHash !== this.#beacon) await this.#options.dht.lookup(entry.infoHash)
    entry.lookupAt = performance.now() + jittered(this.#times.lookupMs)
  }

  async #join(now: number): Promise<void> {
    if (this.#joining) return
    this.#joining = true
    this.#joinAt = now + this.#times.joinMs
    const answered = await this.#options.dht.join()
    this.#joining = false
    if (this.#stopped || answered > 0 || this.#options.dht.nodeCount > 0 || this.#isolated) return
    this.#isolated = true
    this.#options.listener.onIsolated?.(true)
  }

  /**
   * A bootstrap that answers and does not know us has restarted with an empty memory, or came late:
   * everything is announced again at each check, and soon ever more rarely, as some nodes never store anything.
   */
  async #checkBootstraps(now: number): Promise<void> {
    if (this.#checking) return
    this.#checking = true
    this.#checkAt = now + this.#times.bootstrapCheckMs
    const isForgotten = await this.#isForgotten()
    this.#checking = false
    if (!isForgotten) this.#reminders = 0
    const beacon = this.#entries.get(this.#beacon)
    if (!isForgotten || !beacon?.stored || now < this.#remindAt) return
    const late = ++this.#reminders - PROMPT_REMINDERS
    if (late > 0) this.#remindAt = now + backoff(late, this.#times.bootstrapCheckMs, this.#times.reannounceMs)
    this.kick()
  }

  #isForgotten(): Promise<boolean> {
    const stored = [...this.#entries.values()].filter(
      (entry) => entry.stored && entry.infoHash !== this.#beacon,
    )
    const sample = stored[Math.floor(Math.random() * stored.length)]
    return isForgotten(this.#options.dht, this.#beacon, sample?.infoHash)
  }

  #isShard({ infoHash, mode }: Entry): boolean {
    return infoHash !== this.#beacon && mode !== 'gather'
  }
}

const dueAt = ({ announceAt, lookupAt }: Entry): number => Math.min(announceAt, lookupAt)

const jittered = (ms: number): number => ms * (1 - JITTER + 2 * JITTER * Math.random())

/** min, 2·min, 4·min … up to max, for attempts 1, 2, 3 …, with jitter. */
const backoff = (attempts: number, minMs: number, maxMs: number): number =>
  jittered(Math.min(maxMs, minMs * 2 ** Math.min(attempts - 1, 16)))
