/**
 * What a person should look at, worked out anew from each snapshot; an alarm that stays is the same object, with
 * the time it began.
 */
import { formatBytes, printable } from '../../log.ts'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import type { OfferedShard } from '../../swarm/catalogue/catalogue-entry.ts'
import type { KnownHost, RosterListener } from '../membership/roster.ts'
import type { Alarm, ModelStatus, ShardStatus } from '../status.ts'
import type { EventLog } from './event-log.ts'

/** A host that has not come back by then has been moved or switched off by somebody who knows. */
const HOST_ALARM_MS = 60 * 60_000
/** Alarms of one snapshot; beyond it the page says nothing that a person could still read. */
const MAX_ALARMS = 500

/** Alarms told in the log of those that are raised, or over, at the same time. */
const MAX_TOLD = 20

/** Sets of different sizes may share a name: `count` tells them apart. */
type Raised = Omit<Alarm, 'since'> & { readonly count?: number }

export class AlarmBoard {
  readonly #wantedReplicas: number
  readonly #log: EventLog
  readonly #lost = new Map<string, { readonly alarm: Raised; readonly until: number }>()
  /** Hosts that found their own bytes changed. */
  readonly #rotten = new Map<string, Raised>()
  /** Shards of which hosts say different SHA-256. */
  readonly #disputed = new Map<InfoHash, Raised>()
  #told: { readonly shards: readonly ShardStatus[]; readonly models: readonly ModelStatus[] } | null = null
  #current = new Map<string, Alarm>()
  #alarms: readonly Alarm[] = []

  constructor(wantedReplicas: number, log: EventLog) {
    this.#wantedReplicas = wantedReplicas
    this.#log = log
  }

  hostChanged(
    { info, address }: KnownHost,
    change: Parameters<NonNullable<RosterListener['onHost']>>[1],
  ): void {
    const { hostId, name } = info
    const isRotNews = this.#noteRot(info, change)
    if (change === 'lost') {
      const message = `host ${name} (${address}) is lost; start it again, or see what happened to its machine`
      const alarm: Raised = { kind: 'host-lost', severity: 'warning', message, hostId }
      this.#lost.set(hostId, { alarm, until: performance.now() + HOST_ALARM_MS })
      const [oldest] = this.#lost.keys()
      if (this.#lost.size > MAX_ALARMS && oldest !== undefined) this.#lost.delete(oldest)
    } else if (change === 'online' || change === 'left') this.#lost.delete(hostId)
    else if (!isRotNews) return
    this.#told = null
  }

  /** True when that is news. */
  #noteRot(
    { hostId, name, integrity }: KnownHost['info'],
    change: Parameters<NonNullable<RosterListener['onHost']>>[1],
  ): boolean {
    const count = change === 'left' || change === 'forgotten' ? 0 : (integrity?.rottenShards ?? 0)
    if (count === 0) return this.#rotten.delete(hostId)
    const what = count === 1 ? 'a shard of' : `${count} shards of`
    const message =
      `the bytes of ${what} host ${name} are not what they were, and the file system saw no change; ` +
      'they are no longer seeded: check its disk, and copy the files again'
    if (this.#rotten.get(hostId)?.message === message) return false
    this.#rotten.set(hostId, { kind: 'rotten', severity: 'critical', message, hostId })
    return true
  }

  /** Of `offers` hosts that offer a shard, these say another SHA-256 than most; none, when all agree. */
  disagreed({ infoHash, name, sha256 }: OfferedShard, offers: number, hosts: readonly KnownHost[]): void {
    const [first] = hosts
    if (first === undefined) {
      if (this.#disputed.delete(infoHash)) this.#told = null
      return
    }
    const said = first.shards.get(infoHash)?.sha256 ?? 'another'
    const who = hosts.length === 1 ? first.info.name : `${first.info.name} and ${hosts.length - 1} more`
    const message =
      `${name} (${infoHash}): ${who} of ${offers} hosts: SHA-256 ${said}, the others: ${sha256}; ` +
      'fetch it to see who is wrong'
    // One against one: nobody can say which.
    const about = hosts.length === 1 && offers > 2 ? { hostId: first.info.hostId } : {}
    this.#disputed.set(infoHash, {
      kind: 'sha256-conflict',
      severity: 'critical',
      message,
      infoHash,
      ...about,
    })
    this.#told = null
  }

  /** Nobody offers it any more. */
  shardGone(infoHash: InfoHash): void {
    if (this.#disputed.delete(infoHash)) this.#told = null
  }

  /** The alarms of this moment, the critical ones first. */
  refresh(shards: readonly ShardStatus[], models: readonly ModelStatus[]): readonly Alarm[] {
    const now = performance.now()
    for (const [hostId, { until }] of this.#lost)
      if (until < now && this.#lost.delete(hostId)) this.#told = null
    if (this.#told?.shards === shards && this.#told.models === models) return this.#alarms
    this.#told = { shards, models }
    const next = new Map<string, Alarm>()
    for (const alarm of this.#raised(shards, models)) this.#keep(alarm, next)
    this.#tell(
      'alarm',
      '',
      [...next].filter(([key]) => !this.#current.has(key)),
    )
    this.#tell(
      'alarm-over',
      'over: ',
      [...this.#current].filter(([key]) => !next.has(key)),
    )
    const isSame =
      next.size === this.#current.size && [...next].every(([key, alarm]) => this.#current.get(key) === alarm)
    this.#current = next
    if (!isSame) this.#alarms = [...next.values()]
    return this.#alarms
  }

  #keep({ count, ...raised }: Raised, next: Map<string, Alarm>): void {
    const key = [raised.kind, raised.infoHash, raised.hostId, count, raised.model].join(' ')
    const known = this.#current.get(key)
    const message = printable(raised.message)
    const isSame = known?.message === message && known.severity === raised.severity
    next.set(key, isSame ? known : { ...raised, message, since: known?.since ?? new Date().toISOString() })
  }

  /** The rest of a host's thousand shards would push the host itself out of the log. */
  #tell(kind: 'alarm' | 'alarm-over', prefix: string, alarms: readonly (readonly [string, Alarm])[]): void {
    const news = alarms.flatMap(([, alarm]) => (isNews(alarm) ? [alarm] : []))
    for (const alarm of news.slice(0, MAX_TOLD)) this.#log.add(kind, prefix + alarm.message, aboutOf(alarm))
    const more = news.length - MAX_TOLD
    if (more > 0) this.#log.add(kind, `${prefix}${more} more alarms`)
  }

  /** The first so many, critical ones before warnings. Only what is shown is put into words. */
  #raised(shards: readonly ShardStatus[], models: readonly ModelStatus[]): readonly Raised[] {
    const critical = [
      ...this.#rotten.values(),
      ...this.#disputed.values(),
      ...models.filter(({ missing, ambiguous }) => ambiguous || missing.length > 0).flatMap(modelAlarms),
    ]
    const unseeded = shards.filter(({ wholeSeeds }) => wholeSeeds === 0)
    for (const shard of unseeded.slice(0, MAX_ALARMS)) critical.push(noSeeds(shard))
    const warnings = [...this.#lost.values()].map(({ alarm }) => alarm)
    const few = shards.filter(({ wholeSeeds }) => wholeSeeds > 0 && wholeSeeds < this.#wantedReplicas)
    for (const shard of few.slice(0, MAX_ALARMS)) warnings.push(fewSeeds(shard, this.#wantedReplicas))
    return [...critical, ...warnings].slice(0, MAX_ALARMS)
  }
}

const labelOf = ({ name, infoHash, length }: ShardStatus): string =>
  `${name} (${infoHash}, ${formatBytes(length)})`

function noSeeds(shard: ShardStatus): Raised {
  const message = `0 seeds: nobody online has all of ${labelOf(shard)}; start a host that has it`
  return { kind: 'no-seeds', severity: 'critical', message, infoHash: shard.infoHash }
}

function fewSeeds(shard: ShardStatus, wanted: number): Raised {
  const { wholeSeeds, infoHash } = shard
  const copies = wholeSeeds === 1 ? '1 whole copy' : `${wholeSeeds} whole copies`
  const message = `${copies} of ${labelOf(shard)}, ${wanted} are wanted; seed it on another host, or use seed --replicate`
  return { kind: 'few-seeds', severity: 'warning', message, infoHash }
}

function modelAlarms({ name, shards, count, ambiguous }: ModelStatus): Raised[] {
  const raised: Raised[] = []
  const unknown = shards.flatMap((known, index) => (known.length === 0 ? [index + 1] : []))
  if (unknown.length > 0) {
    const [first = 0] = unknown
    const which = unknown.length === 1 ? `shard ${first}` : `${unknown.length} shards, the first is ${first},`
    const message = `model ${name}: ${which} of ${count} is on no host; seed what is missing`
    raised.push({ kind: 'missing-shard', severity: 'critical', message, model: name, count })
  }
  if (ambiguous) {
    const message = `model ${name}: one name stands for different files; get them by infohash, and rename one of them`
    raised.push({ kind: 'name-conflict', severity: 'critical', message, model: name, count })
  }
  return raised
}

/** A fleet that is being filled has hundreds of shards with too few copies, and a line for each would hide the rest. */
const isNews = ({ kind }: Raised): boolean => kind !== 'few-seeds'

const aboutOf = ({ hostId, infoHash }: Raised): Pick<Raised, 'hostId' | 'infoHash'> => ({
  ...(hostId === undefined ? {} : { hostId }),
  ...(infoHash === undefined ? {} : { infoHash }),
})
