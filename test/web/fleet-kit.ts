/** A hand-made fleet that changes by a seed, and a web server that shows it. */
import { createHash } from 'node:crypto'
import type { TestContext } from 'node:test'
import type { Alarm, Copy, FleetEvent, FleetStatus, HostStatus, ShardStatus } from '../../src/fleet/status.ts'
import { infoHashOfInfo } from '../../src/metainfo/info-hash.ts'
import { magnetFor } from '../../src/metainfo/magnet.ts'
import { WEB_LIMITS, type WebLimits } from '../../src/web/limits.ts'
import { WebServer, type WebServerOptions } from '../../src/web/server.ts'
import type { StatusSource } from '../../src/web/status-source.ts'
import { afterTest } from '../helpers/after-test.ts'

const NOON = '2026-03-01T12:00:00.000Z'
const LENGTH = 420_000_000

const sha1 = (text: string): string => createHash('sha1').update(text).digest('hex')

export function madeHost(name: string, changes: Partial<HostStatus> = {}): HostStatus {
  return {
    hostId: sha1(name),
    name,
    address: '127.0.0.1:6881',
    version: '0.1.0',
    state: 'online',
    onlineSince: NOON,
    seenAt: NOON,
    uploadBytesPerSecond: 1_000_000,
    downloadBytesPerSecond: 0,
    freeDiskBytes: 1e12,
    replicating: true,
    seeding: 0,
    fetching: 0,
    ...changes,
  }
}

export function madeShard(
  model: string,
  number: number,
  copies: readonly Copy[],
  changes: Partial<ShardStatus> = {},
): ShardStatus {
  const name = `${model}-${String(number).padStart(5, '0')}-of-00004.gguf`
  const infoHash = infoHashOfInfo(Buffer.from(name))
  return {
    infoHash,
    name,
    length: LENGTH,
    pieceLength: 262_144,
    sha256: createHash('sha256').update(name).digest('hex'),
    magnet: magnetFor({ infoHash, name, length: LENGTH }),
    model,
    number,
    count: 4,
    architecture: 'llama',
    sizeLabel: '7B',
    copies,
    wholeSeeds: copies.filter(({ state }) => state === 'seeding').length,
    seen: null,
    dhtPeersEstimate: null,
    ...changes,
  }
}

export const madeCopy = (host: HostStatus, verifiedBytes = LENGTH): Copy => ({
  hostId: host.hostId,
  state: verifiedBytes === LENGTH ? 'seeding' : 'fetching',
  verifiedBytes,
})

/** What a snapshot is made of; the rest follows from it. */
export interface Parts {
  readonly hosts: readonly HostStatus[]
  readonly shards: readonly ShardStatus[]
  readonly alarms?: readonly Alarm[]
  readonly isolated?: boolean
}

function madeStatus({ hosts, shards, alarms = [], isolated = false }: Parts): FleetStatus {
  const models = [...new Set(shards.map(({ model }) => model))].map((name) => ({
    name,
    architecture: 'llama',
    sizeLabel: '7B',
    count: 4,
    shards: shards.filter(({ model }) => model === name).map(({ infoHash }) => [infoHash]),
    missing: [],
    length: 4 * LENGTH,
    weakestSeeds: Math.min(...shards.filter(({ model }) => model === name).map((shard) => shard.wholeSeeds)),
    weakest: shards.find(({ model }) => model === name)?.infoHash ?? null,
    ambiguous: false,
  }))
  return {
    time: new Date().toISOString(),
    fleet: { name: 'made', keyed: false, rendezvous: infoHashOfInfo(Buffer.from('made')) },
    coordinator: {
      hostId: sha1('coordinator'),
      version: '0.1.0',
      startedAt: NOON,
      dhtNodes: 3,
      isolated,
      turnedAway: { 'wrong-key': 2, flooding: 1 },
    },
    totals: {
      hostsOnline: hosts.filter(({ state }) => state === 'online').length,
      hostsLost: hosts.filter(({ state }) => state === 'lost').length,
      models: models.length,
      wholeModels: models.length,
      shards: shards.length,
      copies: shards.reduce((sum, { wholeSeeds }) => sum + wholeSeeds, 0),
      bytes: shards.length * LENGTH,
      copiesBytes: shards.reduce((sum, { wholeSeeds }) => sum + wholeSeeds * LENGTH, 0),
      uploadBytesPerSecond: 5,
      downloadBytesPerSecond: 0,
    },
    hosts,
    models,
    shards,
    alarms,
  }
}

/** `hosts` hosts that each have all of `shards` shards, or are fetching a fifth of them. */
export function madeFleet(hosts: number, shards: number, random: () => number = () => 1): Parts {
  const all = Array.from({ length: hosts }, (_, index) => madeHost(`host-${index}`))
  const copies = (): readonly Copy[] =>
    all.map((host) => madeCopy(host, random() < 0.2 ? Math.floor(random() * LENGTH) : LENGTH))
  return {
    hosts: all,
    shards: Array.from({ length: shards }, (_, index) =>
      madeShard(`model-${Math.floor(index / 4)}`, (index % 4) + 1, copies()),
    ),
  }
}

/** A source whose snapshots a test sets. */
export class MadeSource implements StatusSource {
  status: FleetStatus
  events: readonly FleetEvent[] = []
  readonly #listeners = new Set<() => void>()
  #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
    this.status = madeStatus(parts)
  }

  get parts(): Parts {
    return this.#parts
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** The next snapshot: what is not given stays, models too where the shards do. */
  change(parts: Partial<Parts>, message?: string): void {
    const before = this.status
    this.#parts = { ...this.#parts, ...parts }
    const next = madeStatus(this.#parts)
    const known = new Map(before.models.map((model) => [model.name, model]))
    const models = next.models.map((model) => {
      const old = known.get(model.name)
      return old !== undefined && JSON.stringify(old) === JSON.stringify(model) ? old : model
    })
    this.status = { ...next, models }
    if (message !== undefined) {
      const id = (this.events.at(-1)?.id ?? 0) + 1
      const event: FleetEvent = { id, time: NOON, kind: 'copy-complete', message }
      this.events = [...this.events.slice(-499), event]
    }
    for (const listener of this.#listeners) listener()
  }
}

/** A server on free ports, stopped after the test. */
export async function startWeb(
  t: TestContext,
  source: StatusSource,
  limits: Partial<WebLimits> = {},
  options: Partial<WebServerOptions> = {},
): Promise<{ readonly server: WebServer; readonly warnings: readonly string[] }> {
  const warnings: string[] = []
  const server = await WebServer.start({
    source,
    host: '127.0.0.1',
    port: 0,
    livePort: 0,
    allowHosts: [],
    limits: { ...WEB_LIMITS, ...limits },
    log: { info() {}, warn: (line) => warnings.push(line) },
    ...options,
  })
  afterTest(t, () => server.stop())
  return { server, warnings }
}
