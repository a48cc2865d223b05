/**
 * The live feed as JSON text frames, from server to client only; a client that sends data is disconnected.
 *
 *   {"type":"snapshot","seq":7,"status":CompactStatus,"events":[FleetEvent, …]}   first, always
 *   {"type":"patch","seq":8,"time":…, and what changed since seq 7}               seq grows by 1
 *   {"type":"tick","seq":8,"time":…}                                              every 5 s, so that silence means trouble
 *
 * In a patch `hosts`, `models` and `shards` hold `put` (new and changed rows, whole) and `drop` (keys of those that are
 * gone: host id, model name, infohash). Sets of different sizes may share a name: what is put of a key replaces all that
 * had it. `totals`, `coordinator` and `alarms` replace what was; `events` are to be appended.
 * What did not change is left out. Rows come in no order: clients sort (hosts and models by name, shards by model and
 * number). Who connects again gets a new snapshot, and its seq may be any.
 *
 * The status is compact: 200 hosts that each have 1,000 shards would take 20 MB with their ids and 1 MB with numbers.
 * Each host row has such a number `n`, the host's own for the life of the server; shard rows name their copies by it:
 * `whole` those that are seeded, `fetching` pairs of number and verified bytes. A `time` is ISO 8601.
 */
import type {
  Alarm,
  CoordinatorStatus,
  FleetEvent,
  FleetStatus,
  FleetTotals,
  HostStatus,
  ModelStatus,
  ShardStatus,
} from '../fleet/status.ts'

/** A host, and the number that shard rows call it by. */
export interface HostRow extends HostStatus {
  readonly n: number
}

/** A shard with its copies by host number. */
export interface ShardRow extends Omit<ShardStatus, 'copies'> {
  /** Numbers of the hosts that seed it. */
  readonly whole: readonly number[]
  /** Number of each host that is fetching it, and the bytes that host has verified. */
  readonly fetching: readonly (readonly [n: number, verifiedBytes: number])[]
}

export interface CompactStatus extends Omit<FleetStatus, 'hosts' | 'shards'> {
  readonly hosts: readonly HostRow[]
  readonly shards: readonly ShardRow[]
}

/** Rows of one kind that changed, and keys of those that are gone; either may be empty. */
export interface Changes<Row> {
  readonly put: readonly Row[]
  readonly drop: readonly string[]
}

export interface SnapshotMessage {
  readonly type: 'snapshot'
  readonly seq: number
  readonly status: CompactStatus
  readonly events: readonly FleetEvent[]
}

export interface PatchMessage {
  readonly type: 'patch'
  readonly seq: number
  readonly time: string
  readonly totals?: FleetTotals
  readonly coordinator?: CoordinatorStatus
  readonly alarms?: readonly Alarm[]
  readonly hosts?: Changes<HostRow>
  readonly models?: Changes<ModelStatus>
  readonly shards?: Changes<ShardRow>
  readonly events?: readonly FleetEvent[]
}

export interface TickMessage {
  readonly type: 'tick'
  readonly seq: number
  readonly time: string
}

export type FeedMessage = SnapshotMessage | PatchMessage | TickMessage

/**
 * Beyond this many, numbers of hosts that are gone are forgotten: in an open fleet anybody can come under ever new ids.
 * A forgotten host that returns gets a new number.
 */
const MAX_HOST_NUMBERS = 20_000

/** What clients were told last, and what to tell them next: each message is put together once for all of them. */
export class FeedBook {
  readonly #numbers = new Map<string, number>()
  #nextNumber = 1
  #seq = 0
  #status: FleetStatus
  #events: readonly FleetEvent[] = []
  #lastEventId = 0
  #snapshot: Buffer | undefined

  constructor(status: FleetStatus, events: readonly FleetEvent[]) {
    this.#status = status
    this.#addEvents(events)
  }

  /** The last message's number. */
  get seq(): number {
    return this.#seq
  }

  /** The whole state as of the last patch. */
  snapshot(): Buffer {
    this.#snapshot ??= encode({
      type: 'snapshot',
      seq: this.#seq,
      status: this.#compact(this.#status),
      events: this.#events,
    })
    return this.#snapshot
  }

  /** Moves on to a newer state and gives the patch that leads there; null when nothing changed. */
  advance(status: FleetStatus, events: readonly FleetEvent[]): Buffer | null {
    const before = this.#status
    const hosts = changes(before.hosts, status.hosts, ({ hostId }) => hostId)
    const models = changes(before.models, status.models, ({ name }) => name)
    const shards = changes(before.shards, status.shards, ({ infoHash }) => infoHash)
    const news = this.#addEvents(events)
    const parts: Omit<PatchMessage, 'type' | 'seq' | 'time'> = {
      ...(isSame(before.totals, status.totals) ? {} : { totals: status.totals }),
      ...(isSame(before.coordinator, status.coordinator) ? {} : { coordinator: status.coordinator }),
      ...(isSame(before.alarms, status.alarms) ? {} : { alarms: status.alarms }),
      ...(hosts && { hosts: { ...hosts, put: hosts.put.map(this.#hostRow) } }),
      ...(models && { models }),
      ...(shards && { shards: { ...shards, put: shards.put.map(this.#shardRow) } }),
      ...(news.length > 0 && { events: news }),
    }
    this.#status = status
    if (Object.keys(parts).length === 0) return null
    this.#snapshot = undefined
    this.#seq++
    this.#forgetNumbers()
    return encode({ type: 'patch', seq: this.#seq, time: status.time, ...parts })
  }

  tick(): Buffer {
    return encode({ type: 'tick', seq: this.#seq, time: new Date().toISOString() })
  }

  /** Gives those that are new. The list is copied: its owner may go on filling it. */
  #addEvents(events: readonly FleetEvent[]): readonly FleetEvent[] {
    const news = events.filter(({ id }) => id > this.#lastEventId)
    if (news.length === 0) return news
    this.#lastEventId = news.at(-1)?.id ?? 0
    this.#events = [...events]
    return news
  }

  #compact({ hosts, shards, ...rest }: FleetStatus): CompactStatus {
    return { ...rest, hosts: hosts.map(this.#hostRow), shards: shards.map(this.#shardRow) }
  }

  readonly #hostRow = (host: HostStatus): HostRow => ({ ...host, n: this.#numberOf(host.hostId) })

  readonly #shardRow = ({ copies, ...rest }: ShardStatus): ShardRow => {
    const whole: number[] = []
    const fetching: [number, number][] = []
    for (const { hostId, state, verifiedBytes } of copies) {
      if (state === 'seeding') whole.push(this.#numberOf(hostId))
      else fetching.push([this.#numberOf(hostId), verifiedBytes])
    }
    return { ...rest, whole, fetching }
  }

  #numberOf(hostId: string): number {
    const known = this.#numbers.get(hostId)
    if (known !== undefined) return known
    const number = this.#nextNumber++
    this.#numbers.set(hostId, number)
    return number
  }

  #forgetNumbers(): void {
    if (this.#numbers.size <= MAX_HOST_NUMBERS) return
    const present = new Set(this.#status.hosts.map(({ hostId }) => hostId))
    for (const { copies } of this.#status.shards) for (const { hostId } of copies) present.add(hostId)
    for (const hostId of this.#numbers.keys()) if (!present.has(hostId)) this.#numbers.delete(hostId)
  }
}

const encode = (message: FeedMessage): Buffer => Buffer.from(JSON.stringify(message))

/** Compared by content where the reference changed: these parts are small, and a client is told nothing for nothing. */
const isSame = (before: unknown, after: unknown): boolean =>
  before === after || JSON.stringify(before) === JSON.stringify(after)

/** What is new, changed or gone, by reference; null when nothing is. Rows of one key are told together. */
function changes<Row>(
  before: readonly Row[],
  after: readonly Row[],
  keyOf: (row: Row) => string,
): Changes<Row> | null {
  if (before === after) return null
  const [then, now] = [new Set(before), new Set(after)]
  const touched = new Set<string>()
  for (const row of before) if (!now.has(row)) touched.add(keyOf(row))
  for (const row of after) if (!then.has(row)) touched.add(keyOf(row))
  const put = after.filter((row) => touched.has(keyOf(row)))
  for (const row of put) touched.delete(keyOf(row))
  return put.length > 0 || touched.size > 0 ? { put, drop: [...touched] } : null
}
