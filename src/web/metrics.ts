/** The fleet's snapshot and this process as Prometheus metrics. */
import type { AlarmKind, FleetStatus, HostStatus } from '../fleet/status.ts'
import type { Family, Sample } from './exposition.ts'

/** What the server itself counts. */
export interface WebCounters {
  readonly feedClients: number
  /** Feed clients dropped since the start, by reason. */
  readonly feedDropped: Readonly<Record<string, number>>
  /** Requests refused since the start, by reason. */
  readonly refused: Readonly<Record<string, number>>
}

/** Each kind has a sample even when there is none, so that a rule on it works from the first day. */
const ALARM_KINDS: Readonly<Record<AlarmKind, true>> = {
  'no-seeds': true,
  'few-seeds': true,
  'host-lost': true,
  'name-conflict': true,
  'sha256-conflict': true,
  'missing-shard': true,
  rotten: true,
}

/** The families of the fleet. `gguf_swarm_` is ours; `process_` are the names every exporter uses. */
export function metricFamilies(status: FleetStatus, counters: WebCounters): readonly Family[] {
  return [
    ...fleetFamilies(status),
    ...shardFamilies(status),
    ...hostFamilies(status.hosts),
    ...trouble(status),
    counter(
      'web_refused_total',
      'Requests refused since the start, by reason',
      by('reason', counters.refused),
    ),
    gauge('web_feed_clients', 'Clients of the live feed', counters.feedClients),
    counter(
      'web_feed_dropped_total',
      'Clients of the live feed dropped since the start, by reason',
      by('reason', counters.feedDropped),
    ),
    ...processFamilies(),
  ]
}

function fleetFamilies({ fleet, coordinator, totals }: FleetStatus): readonly Family[] {
  const labels = {
    version: coordinator.version,
    fleet: fleet.name ?? '',
    keyed: String(fleet.keyed),
    rendezvous: fleet.rendezvous,
  }
  return [
    gauge('info', 'Which coordinator this is, and of which fleet', [{ labels, value: 1 }]),
    gauge(
      'coordinator_isolated',
      '1 while no DHT node answers the coordinator',
      Number(coordinator.isolated),
    ),
    gauge('dht_nodes', "Nodes in the coordinator's DHT routing table", coordinator.dhtNodes),
    gauge('hosts', 'Hosts by state', by('state', { online: totals.hostsOnline, lost: totals.hostsLost })),
    gauge('models', 'Models known', totals.models),
    gauge('whole_models', 'Models of which every shard has a whole copy', totals.wholeModels),
    gauge('shards', 'Shards known', totals.shards),
    gauge('copies', 'Whole copies over all shards', totals.copies),
    gauge('shard_bytes', 'Bytes of all shards, each counted once', totals.bytes),
    gauge('copies_bytes', 'Bytes of all whole copies', totals.copiesBytes),
    gauge('upload_bytes_per_second', 'What all hosts send', totals.uploadBytesPerSecond),
    gauge('download_bytes_per_second', 'What all hosts receive', totals.downloadBytesPerSecond),
  ]
}

function shardFamilies({ shards }: FleetStatus): readonly Family[] {
  const rows = shards.map((shard) => ({
    shard,
    labels: { shard: shard.name, infohash: shard.infoHash, model: shard.model },
  }))
  const estimates = rows.flatMap(({ shard, labels }) =>
    shard.dhtPeersEstimate === null ? [] : [{ labels, value: shard.dhtPeersEstimate }],
  )
  return [
    gauge(
      'shard_whole_seeds',
      'Hosts online that seed the whole shard',
      rows.map(({ shard, labels }) => ({ labels, value: shard.wholeSeeds })),
    ),
    gauge(
      'shard_fetching_hosts',
      'Hosts that are fetching the shard',
      rows.map(({ shard, labels }) => ({
        labels,
        value: shard.copies.filter(({ state }) => state === 'fetching').length,
      })),
    ),
    gauge('shard_dht_peers_estimate', 'Peers that the DHT names; it lists the dead for a while', estimates),
  ]
}

function hostFamilies(hosts: readonly HostStatus[]): readonly Family[] {
  const rows = hosts.map((host) => ({ host, labels: { host: host.hostId, name: host.name } }))
  const of = (read: (host: HostStatus) => number): readonly Sample[] =>
    rows.map(({ host, labels }) => ({ labels, value: read(host) }))
  const free = rows.flatMap(({ host, labels }) =>
    host.freeDiskBytes === null ? [] : [{ labels, value: host.freeDiskBytes }],
  )
  return [
    gauge(
      'host_up',
      '1 for a host that is online, 0 for a lost one',
      of(({ state }) => Number(state === 'online')),
    ),
    gauge(
      'host_upload_bytes_per_second',
      'What the host sends',
      of((host) => host.uploadBytesPerSecond),
    ),
    gauge(
      'host_download_bytes_per_second',
      'What the host receives',
      of((host) => host.downloadBytesPerSecond),
    ),
    gauge(
      'host_seeding_shards',
      'Shards the host seeds',
      of((host) => host.seeding),
    ),
    gauge(
      'host_fetching_shards',
      'Shards the host is fetching',
      of((host) => host.fetching),
    ),
    gauge('host_free_disk_bytes', 'Free on the disk its shards are on', free),
    gauge(
      'host_rotten_shards',
      'Shards the host withdrew because their bytes changed where they lay',
      rows.flatMap(({ host: { rottenShards: value }, labels }) =>
        value === undefined ? [] : [{ labels, value }],
      ),
    ),
    counter(
      'host_strangers_refused_total',
      'Connections and packets the host refused by its --allow, since its start',
      rows.flatMap(({ host: { strangersRefused: value }, labels }) =>
        value === undefined ? [] : [{ labels, value }],
      ),
    ),
    counter(
      'host_kept_out_total',
      'Packets and connections the guards of the host kept out since its start, by kind',
      rows.flatMap(({ host: { keptOut = {} }, labels }) =>
        Object.entries(keptOut).map(([kind, value]) => ({ labels: { ...labels, kind }, value })),
      ),
    ),
    gauge(
      'host_rechecked_timestamp_seconds',
      'When the host had read all its shards again, seconds since 1970',
      rows.flatMap(({ host: { recheckedAt }, labels }) =>
        recheckedAt === undefined ? [] : [{ labels, value: Date.parse(recheckedAt) / 1000 }],
      ),
    ),
  ]
}

function trouble({ alarms, coordinator }: FleetStatus): readonly Family[] {
  const kinds = Object.keys(ALARM_KINDS)
  const counts = new Map<string, number>(kinds.map((kind) => [kind, 0]))
  for (const { kind } of alarms) counts.set(kind, (counts.get(kind) ?? 0) + 1)
  return [
    gauge('alarms', 'Alarms by kind', by('kind', Object.fromEntries(counts))),
    counter(
      'turned_away_peers_total',
      "Fleet peers turned away since the coordinator's start, by reason",
      by('reason', coordinator.turnedAway),
    ),
    counter(
      'strangers_refused_total',
      "What the coordinator's --allow refused since its start, by kind",
      by('kind', coordinator.strangersRefused ?? {}),
    ),
  ]
}

function processFamilies(): readonly Family[] {
  const { rss, heapUsed } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  return [
    bare('process_resident_memory_bytes', 'Memory of this process', 'gauge', rss),
    bare('nodejs_heap_size_used_bytes', 'JavaScript heap in use', 'gauge', heapUsed),
    bare('process_cpu_seconds_total', 'CPU time of this process', 'counter', (user + system) / 1e6),
    bare(
      'process_start_time_seconds',
      'When this process began, seconds since 1970',
      'gauge',
      Math.round(Date.now() / 1000 - process.uptime()),
    ),
  ]
}

const gauge = (name: string, help: string, values: number | readonly Sample[]): Family => ({
  name: `gguf_swarm_${name}`,
  help,
  type: 'gauge',
  samples: typeof values === 'number' ? [{ value: values }] : values,
})

const counter = (name: string, help: string, samples: readonly Sample[]): Family => ({
  ...gauge(name, help, samples),
  type: 'counter',
})

const bare = (name: string, help: string, type: Family['type'], value: number): Family => ({
  name,
  help,
  type,
  samples: [{ value }],
})

const by = (label: string, values: Readonly<Record<string, number>>): readonly Sample[] =>
  Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }))
