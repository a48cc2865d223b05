/**
 * JSON schemas (2020-12) of everything the server sends. Each object's schema must name every property of its type, so
 * that neither can change without the other.
 */
import type {
  Alarm,
  AlarmKind,
  CoordinatorStatus,
  Copy,
  FleetEvent,
  FleetName,
  FleetStatus,
  FleetTotals,
  HostStatus,
  ModelStatus,
  SeenPeers,
  ShardStatus,
} from '../fleet/status.ts'
import type { ErrorBody } from './answer.ts'
import type {
  Changes,
  CompactStatus,
  HostRow,
  PatchMessage,
  ShardRow,
  SnapshotMessage,
  TickMessage,
} from './feed.ts'
import type { ServedFile } from './files.ts'

/** A schema as plain data. */
export type Schema = Readonly<Record<string, unknown>>

const text: Schema = { type: 'string' }
const yesNo: Schema = { type: 'boolean' }
const time: Schema = { type: 'string', format: 'date-time' }
const count: Schema = { type: 'integer', minimum: 0 }
const bytes: Schema = { ...count, description: 'Bytes.' }
const rate: Schema = { type: 'number', minimum: 0, description: 'Bytes a second.' }
const infoHash: Schema = { type: 'string', pattern: '^[0-9a-f]{40}$', description: 'v1 infohash.' }
const hostId: Schema = { type: 'string', description: 'The host for good; its name is for people.' }
const counters: Schema = { type: 'object', additionalProperties: count }
const orNull = (schema: Schema): Schema => ({ anyOf: [schema, { type: 'null' }] })
const listOf = (items: Schema): Schema => ({ type: 'array', items })
const oneOf = (...values: readonly string[]): Schema => ({ type: 'string', enum: values })
const described = (description: string, schema: Schema): Schema => ({ ...schema, description })

/** The schema called `name` in the document. */
export const ref = (name: keyof typeof SCHEMAS): Schema => named(name)
const named = (name: string): Schema => ({ $ref: `#/components/schemas/${name}` })

type OptionalKeys<T> = { [K in keyof T]-?: undefined extends T[K] ? K : never }[keyof T]

function objectOf<T>(
  properties: { readonly [K in keyof Required<T>]: Schema },
  ...optional: readonly OptionalKeys<T>[]
): Schema {
  const required = Object.keys(properties).filter((key) => !optional.some((name) => name === key))
  return { type: 'object', properties, required }
}

const ALARM_KINDS: Readonly<Record<AlarmKind, string>> = {
  'no-seeds': 'nobody online has it whole',
  'few-seeds': 'fewer whole copies than wanted',
  'host-lost': 'a host went without a word',
  'name-conflict': 'one name, different contents',
  'sha256-conflict': 'one infohash, different SHA-256',
  'missing-shard': 'a shard of a set that no host has',
  rotten: 'a host found bytes of its own changed on its disk',
}

const EVENT_KINDS: Readonly<Record<FleetEvent['kind'], true>> = {
  'host-online': true,
  'host-left': true,
  'host-lost': true,
  'shard-offered': true,
  'shard-withdrawn': true,
  'copy-started': true,
  'copy-complete': true,
  alarm: true,
  'alarm-over': true,
}

const hostProperties: { readonly [K in keyof Required<HostStatus>]: Schema } = {
  hostId,
  name: described('Chosen with --name, else the name of the machine; not unique.', text),
  address: described('HOST:PORT of its BitTorrent port.', text),
  version: text,
  state: oneOf('online', 'lost'),
  onlineSince: time,
  seenAt: time,
  uploadBytesPerSecond: rate,
  downloadBytesPerSecond: rate,
  freeDiskBytes: described('null when it cannot tell.', orNull(bytes)),
  replicating: yesNo,
  seeding: described('Shards it seeds.', count),
  fetching: described('Shards it is fetching.', count),
  rottenShards: described('Shards it withdrew because their bytes changed where they lay.', count),
  recheckedAt: described('When it had read all its shards again (seed --recheck-rate).', time),
  strangersRefused: described('Connections and packets it refused (seed --allow).', count),
  keptOut: described('What its guards kept out since its start, by kind.', counters),
}

/** What a host may leave out. */
const HOST_OPTIONS = ['rottenShards', 'recheckedAt', 'strangersRefused', 'keptOut'] as const

const { copies, ...shardProperties }: { readonly [K in keyof ShardStatus]: Schema } = {
  infoHash,
  name: text,
  length: bytes,
  pieceLength: bytes,
  sha256: described('64 hex digits.', text),
  magnet: text,
  model: text,
  number: described('Its place in the set, from 1.', { type: 'integer', minimum: 1 }),
  count: { type: 'integer', minimum: 1 },
  architecture: orNull(text),
  sizeLabel: orNull(text),
  copies: listOf(named('Copy')),
  wholeSeeds: described('Hosts online that seed it, by their last heartbeat.', count),
  seen: described('Seen on the wire; null before the first look.', orNull(named('SeenPeers'))),
  dhtPeersEstimate: described('Peers the DHT names; it lists the dead for a while.', orNull(count)),
}

const statusProperties = {
  time,
  fleet: named('FleetName'),
  coordinator: named('Coordinator'),
  totals: named('Totals'),
  models: listOf(named('Model')),
  alarms: listOf(named('Alarm')),
}

const changesOf = (row: string): Schema =>
  objectOf<Changes<unknown>>({ put: listOf(named(row)), drop: listOf(text) })

/** By the name they have under `#/components/schemas`. */
export const SCHEMAS = {
  Status: objectOf<FleetStatus>({
    ...statusProperties,
    hosts: listOf(named('Host')),
    shards: listOf(named('Shard')),
  }),
  FleetName: objectOf<FleetName>({
    name: described('null for a keyed fleet.', orNull(text)),
    keyed: yesNo,
    rendezvous: infoHash,
  }),
  Coordinator: objectOf<CoordinatorStatus>(
    {
      hostId,
      version: text,
      startedAt: time,
      dhtNodes: count,
      isolated: described('True while no DHT node answers.', yesNo),
      turnedAway: described('Fleet peers turned away, by reason.', counters),
      strangersRefused: described('What web --allow refused, by kind.', counters),
    },
    'strangersRefused',
  ),
  Totals: objectOf<FleetTotals>({
    hostsOnline: count,
    hostsLost: count,
    models: count,
    wholeModels: count,
    shards: count,
    copies: described('Whole copies over all shards.', count),
    bytes,
    copiesBytes: bytes,
    uploadBytesPerSecond: rate,
    downloadBytesPerSecond: rate,
  }),
  Host: objectOf<HostStatus>(hostProperties, ...HOST_OPTIONS),
  Model: objectOf<ModelStatus>({
    name: text,
    architecture: orNull(text),
    sizeLabel: orNull(text),
    count: described('How many shards make it whole.', { type: 'integer', minimum: 1 }),
    shards: described('Known shards by number; several where contents differ.', listOf(listOf(infoHash))),
    missing: described('Numbers of shards without a whole copy.', listOf(count)),
    length: bytes,
    weakestSeeds: count,
    weakest: orNull(infoHash),
    ambiguous: yesNo,
  }),
  Shard: objectOf<ShardStatus>({ ...shardProperties, copies }),
  Copy: objectOf<Copy>({ hostId, state: oneOf('seeding', 'fetching'), verifiedBytes: bytes }),
  SeenPeers: objectOf<SeenPeers>({ at: time, peers: count, wholePeers: count }),
  Alarm: objectOf<Alarm>(
    {
      kind: described(
        Object.entries(ALARM_KINDS)
          .map(([kind, meaning]) => `${kind}: ${meaning}`)
          .join('; '),
        oneOf(...Object.keys(ALARM_KINDS)),
      ),
      severity: oneOf('critical', 'warning'),
      message: text,
      since: time,
      infoHash,
      hostId,
      model: text,
    },
    'infoHash',
    'hostId',
    'model',
  ),
  Event: objectOf<FleetEvent>(
    {
      id: described('Counts from 1, without gaps.', { type: 'integer', minimum: 1 }),
      time,
      kind: oneOf(...Object.keys(EVENT_KINDS)),
      message: text,
      hostId,
      infoHash,
    },
    'hostId',
    'infoHash',
  ),
  Error: objectOf<ErrorBody>({ code: text, message: text }),
  ServedFile: objectOf<ServedFile>({
    name: text,
    length: bytes,
    infoHash,
    sha256: described('64 hex digits.', text),
    path: described('Where it is fetched, below the address of this server.', text),
  }),
  HostRow: objectOf<HostRow>(
    { ...hostProperties, n: described('What shard rows call it by.', { type: 'integer', minimum: 1 }) },
    ...HOST_OPTIONS,
  ),
  ShardRow: objectOf<ShardRow>({
    ...shardProperties,
    whole: described('Numbers of the hosts that seed it.', listOf(count)),
    fetching: described(
      'Number and verified bytes of each host that fetches it.',
      listOf({ type: 'array', prefixItems: [count, bytes], items: false, minItems: 2 }),
    ),
  }),
  CompactStatus: objectOf<CompactStatus>({
    ...statusProperties,
    hosts: listOf(named('HostRow')),
    shards: listOf(named('ShardRow')),
  }),
  SnapshotMessage: objectOf<SnapshotMessage>({
    type: { const: 'snapshot' },
    seq: count,
    status: named('CompactStatus'),
    events: listOf(named('Event')),
  }),
  PatchMessage: objectOf<PatchMessage>(
    {
      type: { const: 'patch' },
      seq: count,
      time,
      totals: named('Totals'),
      coordinator: named('Coordinator'),
      alarms: listOf(named('Alarm')),
      hosts: changesOf('HostRow'),
      models: changesOf('Model'),
      shards: changesOf('ShardRow'),
      events: listOf(named('Event')),
    },
    ...(['totals', 'coordinator', 'alarms', 'hosts', 'models', 'shards', 'events'] as const),
  ),
  TickMessage: objectOf<TickMessage>({ type: { const: 'tick' }, seq: count, time }),
}
