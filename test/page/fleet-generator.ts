/**
 * A fleet of any size that fills itself from one seed, as a coordinator would show it: what did not change keeps its
 * reference, time moves only when told to.
 */
import { createHash } from 'node:crypto'
import type {
  Alarm,
  Copy,
  FleetEvent,
  FleetStatus,
  HostStatus,
  ModelStatus,
  ShardStatus,
} from '../../src/fleet/status.ts'
import { type InfoHash, infoHashOfInfo } from '../../src/metainfo/info-hash.ts'
import { magnetFor } from '../../src/metainfo/magnet.ts'
import { pieceLengthFor } from '../../src/metainfo/piece-length.ts'
import type { StatusSource } from '../../src/web/status-source.ts'
import { SeededBytes } from '../helpers/seeded-bytes.ts'

export interface ModelPlan {
  readonly name: string
  /** Shards that make it whole; 1 is a single file. */
  readonly count: number
  readonly shardLength?: number
  readonly architecture?: string | null
  readonly sizeLabel?: string | null
  /** Numbers of shards that no host has. */
  readonly missing?: readonly number[]
}

export interface FleetPlan {
  readonly seed?: number
  readonly hostNames: readonly string[]
  readonly models: readonly ModelPlan[]
  /** How many whole copies each shard begins with; 1 if not given. */
  readonly copies?: number
  readonly wantedReplicas?: number
  /** How many shards a host fetches at once. */
  readonly parallel?: number
  readonly bytesPerSecond?: number
  readonly startedAt?: number
  readonly name?: string | null
}

interface MutableShard {
  readonly base: Omit<ShardStatus, 'copies' | 'wholeSeeds' | 'seen' | 'dhtPeersEstimate'>
  /** Bytes by host id; all of them is a whole copy. */
  readonly bytes: Map<string, number>
  row: ShardStatus | null
}

/** `shard-0` … */
export const namesFrom = (prefix: string, count: number): readonly string[] =>
  Array.from({ length: count }, (_, index) => `${prefix}-${index}`)

export class GeneratedFleet implements StatusSource {
  status: FleetStatus
  events: readonly FleetEvent[] = []
  now: number
  readonly #plan: FleetPlan
  readonly #bytes: SeededBytes
  readonly #listeners = new Set<() => void>()
  readonly #shards: MutableShard[] = []
  #hosts: HostStatus[] = []
  #alarms: readonly Alarm[] = []
  readonly #since = new Map<string, string>()

  constructor(plan: FleetPlan) {
    this.#plan = plan
    this.#bytes = new SeededBytes(plan.seed ?? 1)
    this.now = plan.startedAt ?? Date.now()
    for (const name of plan.hostNames) this.#hosts.push(this.#newHost(name))
    for (const model of plan.models) this.#addModel(model)
    this.status = this.#snapshot()
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Time passes: hosts fetch what they lack. */
  step(ms: number): void {
    this.now += ms
    const { parallel = 1, bytesPerSecond = 50e6 } = this.#plan
    const seconds = ms / 1000
    const sent = new Map<string, number>()
    const received = new Map<string, number>()
    for (const host of this.#hosts.filter(({ state }) => state === 'online')) {
      for (const shard of this.#fetchesOf(host, parallel)) {
        const { length } = shard.base
        const before = shard.bytes.get(host.hostId) ?? 0
        const share = (bytesPerSecond / parallel) * seconds * (0.6 + this.random() * 0.8)
        const after = Math.min(length, Math.floor(before + share))
        this.#setBytes(shard, host, after)
        received.set(host.hostId, (received.get(host.hostId) ?? 0) + after - before)
        const sources = this.#wholeOnline(shard).filter((source) => source !== host.hostId)
        for (const source of sources)
          sent.set(source, (sent.get(source) ?? 0) + (after - before) / sources.length)
      }
    }
    this.#hosts = this.#hosts.map((host) => {
      const up = Math.round((sent.get(host.hostId) ?? 0) / seconds)
      const down = Math.round((received.get(host.hostId) ?? 0) / seconds)
      const isSame = host.uploadBytesPerSecond === up && host.downloadBytesPerSecond === down
      return isSame ? host : { ...host, uploadBytesPerSecond: up, downloadBytesPerSecond: down }
    })
    this.publish()
  }

  /** Everything that is being fetched or lacking arrives. */
  fill(): void {
    for (const host of this.#hosts.filter(({ state }) => state === 'online')) {
      for (const shard of this.#shards) this.#setBytes(shard, host, shard.base.length)
    }
    this.publish()
  }

  setProgress(shardName: string, hostName: string, share: number): void {
    const shard = this.#shards.find(({ base }) => base.name === shardName)
    const host = this.#hosts.find(({ name }) => name === hostName)
    if (shard === undefined || host === undefined) throw new Error(`no ${shardName} or ${hostName}`)
    this.#setBytes(shard, host, Math.floor(shard.base.length * share))
    this.publish()
  }

  join(name: string): void {
    const host = this.#newHost(name)
    this.#hosts = [...this.#hosts, host]
    this.#say('host-online', `host ${name} (${host.address}) is online`, { hostId: host.hostId })
    this.publish()
  }

  addModel(model: ModelPlan): void {
    this.#addModel(model)
    this.publish()
  }

  /** It does not answer any more. */
  lose(name: string): void {
    this.#hosts = this.#hosts.map((host) => {
      if (host.name !== name) return host
      this.#say('host-lost', `host ${name} (${host.address}) is lost`, { hostId: host.hostId })
      for (const shard of this.#shards) if (shard.bytes.has(host.hostId)) shard.row = null
      return { ...host, state: 'lost', uploadBytesPerSecond: 0, downloadBytesPerSecond: 0 }
    })
    this.publish()
  }

  /** It is not spoken of any more. */
  forget(name: string): void {
    const gone = this.#hosts.filter((host) => host.name === name)
    this.#hosts = this.#hosts.filter((host) => host.name !== name)
    for (const { hostId } of gone) {
      for (const shard of this.#shards) if (shard.bytes.delete(hostId)) shard.row = null
    }
    this.publish()
  }

  /** A line in the log, as it is. */
  say(kind: FleetEvent['kind'], message: string): void {
    this.#say(kind, message, {})
    this.publish()
  }

  publish(): void {
    this.status = this.#snapshot()
    for (const listener of this.#listeners) listener()
  }

  random(): number {
    return this.#bytes.nextUint32() / 2 ** 32
  }

  #newHost(name: string): HostStatus {
    const index = this.#hosts.length
    return {
      hostId: createHash('sha1').update(`${name} ${index}`).digest('hex'),
      name,
      address: `10.0.${Math.floor(index / 250)}.${(index % 250) + 2}:6881`,
      version: '0.1.0',
      state: 'online',
      onlineSince: this.#iso(),
      seenAt: this.#iso(),
      uploadBytesPerSecond: 0,
      downloadBytesPerSecond: 0,
      freeDiskBytes: Math.floor(4e11 + this.random() * 9e11),
      replicating: true,
      seeding: 0,
      fetching: 0,
    }
  }

  #addModel(plan: ModelPlan): void {
    const { name, count, shardLength = 420e6, missing = [] } = plan
    for (let number = 1; number <= count; number++) {
      if (missing.includes(number)) continue
      const tail = `-${String(number).padStart(5, '0')}-of-${String(count).padStart(5, '0')}.gguf`
      const file = count === 1 ? `${name}.gguf` : name + tail
      const infoHash = infoHashOfInfo(Buffer.from(file))
      const length = Math.floor(shardLength * (0.95 + this.random() / 10))
      const shard: MutableShard = {
        base: {
          infoHash,
          name: file,
          length,
          pieceLength: pieceLengthFor(length),
          sha256: createHash('sha256').update(file).digest('hex'),
          magnet: magnetFor({ infoHash, name: file, length }),
          model: name,
          number,
          count,
          architecture: plan.architecture === undefined ? 'llama' : plan.architecture,
          sizeLabel: plan.sizeLabel ?? null,
        },
        bytes: new Map(),
        row: null,
      }
      const first = this.#shards.length
      for (let copy = 0; copy < (this.#plan.copies ?? 1); copy++) {
        const host = this.#hosts[(first + copy) % this.#hosts.length]
        if (host !== undefined) shard.bytes.set(host.hostId, length)
      }
      this.#shards.push(shard)
    }
  }

  #fetchesOf(host: HostStatus, parallel: number): MutableShard[] {
    if (!host.replicating) return []
    const lacking = this.#shards.filter(
      (shard) =>
        (shard.bytes.get(host.hostId) ?? 0) < shard.base.length && this.#wholeOnline(shard).length > 0,
    )
    const begun = lacking.filter(({ bytes }) => bytes.has(host.hostId))
    while (begun.length < Math.min(parallel, lacking.length)) {
      const rest = lacking.filter((shard) => !begun.includes(shard))
      const next = rest[Math.floor(this.random() * rest.length)]
      if (next === undefined) break
      this.#say('copy-started', `${host.name} fetches ${next.base.name}`, { hostId: host.hostId })
      begun.push(next)
    }
    return begun.slice(0, parallel)
  }

  #wholeOnline({ bytes, base }: MutableShard): readonly string[] {
    return this.#hosts
      .filter(({ hostId, state }) => state === 'online' && bytes.get(hostId) === base.length)
      .map(({ hostId }) => hostId)
  }

  #setBytes(shard: MutableShard, host: HostStatus, bytes: number): void {
    const before = shard.bytes.get(host.hostId)
    if (before === bytes) return
    shard.bytes.set(host.hostId, bytes)
    shard.row = null
    if (bytes < shard.base.length) return
    const { name, infoHash } = shard.base
    this.#say('copy-complete', `${host.name} has all of ${name}`, { hostId: host.hostId, infoHash })
  }

  #say(kind: FleetEvent['kind'], message: string, about: Partial<FleetEvent>): void {
    const id = (this.events.at(-1)?.id ?? 0) + 1
    this.events = [...this.events.slice(-499), { id, time: this.#iso(), kind, message, ...about }]
  }

  #iso(): string {
    return new Date(this.now).toISOString()
  }

  #snapshot(): FleetStatus {
    const online = new Set(this.#hosts.filter(({ state }) => state === 'online').map(({ hostId }) => hostId))
    const shards = this.#shards
      .filter(({ bytes }) => bytes.size > 0)
      .map((shard) => {
        shard.row ??= this.#shardRow(shard, online)
        return shard.row
      })
    const models = this.#models(shards)
    this.#hosts = this.#counted(shards)
    this.#alarms = this.#alarmsOf(shards, models)
    return {
      time: this.#iso(),
      fleet: {
        name: this.#plan.name === undefined ? 'lab' : this.#plan.name,
        keyed: this.#plan.name === null,
        rendezvous: infoHashOfInfo(Buffer.from('rendezvous')),
      },
      coordinator: {
        hostId: 'c'.repeat(40),
        version: '0.1.0',
        startedAt: this.#iso(),
        dhtNodes: this.#hosts.length + 1,
        isolated: false,
        turnedAway: {},
      },
      totals: {
        hostsOnline: online.size,
        hostsLost: this.#hosts.length - online.size,
        models: models.length,
        wholeModels: models.filter(({ missing }) => missing.length === 0).length,
        shards: shards.length,
        copies: shards.reduce((sum, { wholeSeeds }) => sum + wholeSeeds, 0),
        bytes: shards.reduce((sum, { length }) => sum + length, 0),
        copiesBytes: shards.reduce((sum, { wholeSeeds, length }) => sum + wholeSeeds * length, 0),
        uploadBytesPerSecond: this.#hosts.reduce((sum, host) => sum + host.uploadBytesPerSecond, 0),
        downloadBytesPerSecond: this.#hosts.reduce((sum, host) => sum + host.downloadBytesPerSecond, 0),
      },
      hosts: this.#hosts,
      models,
      shards,
      alarms: this.#alarms,
    }
  }

  #shardRow({ base, bytes }: MutableShard, online: ReadonlySet<string>): ShardStatus {
    const copies: Copy[] = [...bytes].map(([hostId, verifiedBytes]) => ({
      hostId,
      state: verifiedBytes === base.length ? 'seeding' : 'fetching',
      verifiedBytes,
    }))
    const wholeSeeds = copies.filter(({ hostId, state }) => state === 'seeding' && online.has(hostId)).length
    return {
      ...base,
      copies,
      wholeSeeds,
      seen: { at: this.#iso(), peers: copies.length, wholePeers: wholeSeeds },
      dhtPeersEstimate: copies.length + 1,
    }
  }

  #models(shards: readonly ShardStatus[]): readonly ModelStatus[] {
    const before = new Map(
      (this.status as FleetStatus | undefined)?.models.map((model) => [model.name, model]),
    )
    const byModel = Map.groupBy(shards, ({ model }) => model)
    return [...byModel].map(([name, own]) => {
      const count = own[0]?.count ?? 1
      const known: InfoHash[][] = Array.from({ length: count }, () => [])
      for (const { number, infoHash } of own) known[number - 1]?.push(infoHash)
      const seedsAt = (index: number): number =>
        own.filter(({ number }) => number === index + 1).reduce((sum, { wholeSeeds }) => sum + wholeSeeds, 0)
      const missing = known.flatMap((_, index) => (seedsAt(index) === 0 ? [index + 1] : []))
      const weakest = own.reduce((least, shard) => (shard.wholeSeeds < least.wholeSeeds ? shard : least))
      const model: ModelStatus = {
        name,
        architecture: own[0]?.architecture ?? null,
        sizeLabel: own[0]?.sizeLabel ?? null,
        count,
        shards: known,
        missing,
        length: own.reduce((sum, { length }) => sum + length, 0),
        weakestSeeds: missing.length > 0 ? 0 : weakest.wholeSeeds,
        weakest: weakest.infoHash,
        ambiguous: false,
      }
      const old = before.get(name)
      return old !== undefined && JSON.stringify(old) === JSON.stringify(model) ? old : model
    })
  }

  #counted(shards: readonly ShardStatus[]): HostStatus[] {
    const seeding = new Map<string, number>()
    const fetching = new Map<string, number>()
    for (const { copies } of shards) {
      for (const { hostId, state } of copies) {
        const counts = state === 'seeding' ? seeding : fetching
        counts.set(hostId, (counts.get(hostId) ?? 0) + 1)
      }
    }
    return this.#hosts.map((host) => {
      const counts = { seeding: seeding.get(host.hostId) ?? 0, fetching: fetching.get(host.hostId) ?? 0 }
      return host.seeding === counts.seeding && host.fetching === counts.fetching
        ? host
        : { ...host, ...counts }
    })
  }

  #alarmsOf(shards: readonly ShardStatus[], models: readonly ModelStatus[]): readonly Alarm[] {
    const wanted = this.#plan.wantedReplicas ?? 2
    const raised: Omit<Alarm, 'since'>[] = []
    for (const { infoHash, name, wholeSeeds } of shards) {
      if (wholeSeeds >= wanted) continue
      raised.push({
        kind: wholeSeeds === 0 ? 'no-seeds' : 'few-seeds',
        severity: wholeSeeds === 0 ? 'critical' : 'warning',
        message:
          wholeSeeds === 0
            ? `0 seeds: nobody online has all of ${name}; start a host that has it`
            : `1 whole copy of ${name}, ${wanted} are wanted; seed it on another host, or use seed --replicate`,
        infoHash,
      })
    }
    for (const { name, shards: known } of models) {
      const number = known.findIndex((own) => own.length === 0) + 1
      if (number === 0) continue
      const message = `model ${name}: shard ${number} of ${known.length} is on no host; seed what is missing`
      raised.push({ kind: 'missing-shard', severity: 'critical', message, model: name })
    }
    for (const { name, hostId, state, address } of this.#hosts) {
      if (state !== 'lost') continue
      const message = `host ${name} (${address}) is lost; start it again, or see what happened to its machine`
      raised.push({ kind: 'host-lost', severity: 'warning', message, hostId })
    }
    const alarms = raised
      .sort((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning'))
      .slice(0, 500)
      .map((alarm) => {
        const key = `${alarm.kind} ${alarm.infoHash} ${alarm.hostId} ${alarm.model}`
        const since = this.#since.get(key) ?? this.#iso()
        this.#since.set(key, since)
        return { ...alarm, since }
      })
    return JSON.stringify(alarms) === JSON.stringify(this.#alarms) ? this.#alarms : alarms
  }
}
