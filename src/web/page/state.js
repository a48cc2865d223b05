/**
 * What the page knows of the fleet, made from the frames of the live feed (see `../feed.ts`). Pure: a frame and the
 * state before give the state after, and parts that did not change keep their reference.
 *
 * @import { FeedMessage, HostRow, PatchMessage, ShardRow, SnapshotMessage, Changes } from '../feed.ts'
 * @import { Alarm, CoordinatorStatus, FleetEvent, FleetName, FleetTotals, ModelStatus } from '../../fleet/status.ts'
 */

/** Seconds that the chart shows, one point each. */
export const RATE_SECONDS = 600
/** Lines of the event log: two screens full. */
export const MAX_EVENTS = 200

/**
 * @typedef {object} RatePoint
 * @property {number} at seconds since 1970, whole
 * @property {number} up bytes a second
 * @property {number} down bytes a second
 */

/**
 * @typedef {object} FleetState
 * @property {number} seq
 * @property {string} time of the last frame, ISO 8601
 * @property {FleetName} fleet
 * @property {CoordinatorStatus} coordinator
 * @property {FleetTotals} totals
 * @property {readonly Alarm[]} alarms
 * @property {readonly HostRow[]} hosts by name
 * @property {ReadonlyMap<number, HostRow>} hostByNumber
 * @property {readonly ModelStatus[]} models by name
 * @property {ReadonlyMap<string, ShardRow>} shardByHash
 * @property {ReadonlyMap<string, readonly ShardRow[]>} shardsByModel by number
 * @property {readonly FleetEvent[]} events newest first
 * @property {readonly RatePoint[]} rates oldest first
 */

/**
 * The state after `frame`; null when it does not follow on `before`: something was missed, and only a new snapshot
 * helps.
 * @param {FleetState | null} before
 * @param {FeedMessage} frame
 * @returns {FleetState | null}
 */
export function applyFrame(before, frame) {
  switch (frame.type) {
    case 'snapshot':
      return fromSnapshot(before, frame)
    case 'patch':
      return before === null || frame.seq !== before.seq + 1 ? null : patched(before, frame)
    case 'tick':
      if (before === null || frame.seq !== before.seq) return null
      return { ...before, time: frame.time, rates: withRate(before.rates, frame.time, before.totals) }
    default:
      // A later server may say more than this page knows.
      return before
  }
}

/**
 * @param {FleetState | null} before
 * @param {SnapshotMessage} frame
 * @returns {FleetState}
 */
function fromSnapshot(before, { seq, status, events }) {
  const hosts = [...status.hosts].sort(byHostName)
  // The chart goes on after a reconnect, unless this is another fleet.
  const rates = before?.fleet.rendezvous === status.fleet.rendezvous ? before.rates : []
  return {
    seq,
    time: status.time,
    fleet: status.fleet,
    coordinator: status.coordinator,
    totals: status.totals,
    alarms: status.alarms,
    hosts,
    hostByNumber: new Map(hosts.map((host) => [host.n, host])),
    models: [...status.models].sort(byModelName),
    shardByHash: new Map(status.shards.map((shard) => [shard.infoHash, shard])),
    shardsByModel: grouped(status.shards),
    events: events.slice(-MAX_EVENTS).reverse(),
    rates: withRate(rates, status.time, status.totals),
  }
}

/**
 * @param {FleetState} before
 * @param {PatchMessage} frame
 * @returns {FleetState}
 */
function patched(before, frame) {
  const totals = frame.totals ?? before.totals
  const hosts = frame.hosts
    ? merged(before.hosts, frame.hosts, (host) => host.hostId, byHostName)
    : before.hosts
  const shards = frame.shards
    ? shardsPatched(before, frame.shards)
    : { shardByHash: before.shardByHash, shardsByModel: before.shardsByModel }
  return {
    ...before,
    ...shards,
    seq: frame.seq,
    time: frame.time,
    coordinator: frame.coordinator ?? before.coordinator,
    totals,
    alarms: frame.alarms ?? before.alarms,
    hosts,
    hostByNumber: frame.hosts ? new Map(hosts.map((host) => [host.n, host])) : before.hostByNumber,
    models: frame.models
      ? merged(before.models, frame.models, (model) => model.name, byModelName)
      : before.models,
    events: frame.events
      ? [...frame.events].reverse().concat(before.events).slice(0, MAX_EVENTS)
      : before.events,
    rates: withRate(before.rates, frame.time, totals),
  }
}

/**
 * @template Row
 * @param {readonly Row[]} rows
 * @param {Changes<Row>} changes
 * @param {(row: Row) => string} keyOf
 * @param {(a: Row, b: Row) => number} order
 */
function merged(rows, { put, drop }, keyOf, order) {
  const gone = new Set(drop)
  const fresh = new Map(put.map((row) => [keyOf(row), row]))
  const kept = rows.flatMap((row) => {
    const key = keyOf(row)
    if (gone.has(key)) return []
    const next = fresh.get(key) ?? row
    fresh.delete(key)
    return [next]
  })
  // Sorted when somebody came, or one of those known may have a new name.
  return put.length > 0 ? [...kept, ...fresh.values()].sort(order) : kept
}

/**
 * @param {FleetState} before
 * @param {Changes<ShardRow>} changes
 */
function shardsPatched(before, { put, drop }) {
  const shardByHash = new Map(before.shardByHash)
  /** @type {Set<string>} */
  const touched = new Set()
  for (const infoHash of drop) {
    touched.add(shardByHash.get(/** @type {ShardRow['infoHash']} */ (infoHash))?.model ?? '')
    shardByHash.delete(/** @type {ShardRow['infoHash']} */ (infoHash))
  }
  for (const shard of put) {
    touched.add(shardByHash.get(shard.infoHash)?.model ?? '').add(shard.model)
    shardByHash.set(shard.infoHash, shard)
  }
  const anew = grouped([...shardByHash.values()].filter(({ model }) => touched.has(model)))
  const shardsByModel = new Map(before.shardsByModel)
  for (const model of touched) {
    const shards = anew.get(model)
    if (shards === undefined) shardsByModel.delete(model)
    else shardsByModel.set(model, shards)
  }
  return { shardByHash, shardsByModel }
}

/**
 * @param {readonly ShardRow[]} shards
 * @returns {Map<string, ShardRow[]>}
 */
function grouped(shards) {
  /** @type {Map<string, ShardRow[]>} */
  const groups = new Map()
  for (const shard of shards) {
    const group = groups.get(shard.model)
    if (group === undefined) groups.set(shard.model, [shard])
    else group.push(shard)
  }
  for (const group of groups.values()) group.sort(byNumber)
  return groups
}

/**
 * @param {readonly RatePoint[]} rates
 * @param {string} time
 * @param {FleetTotals} totals
 * @returns {readonly RatePoint[]}
 */
function withRate(rates, time, { uploadBytesPerSecond, downloadBytesPerSecond }) {
  const at = Math.floor(Date.parse(time) / 1000)
  if (Number.isNaN(at)) return rates
  const last = rates.at(-1)
  // A clock that was set back starts the chart anew.
  if (last !== undefined && at < last.at) return []
  const kept = rates.filter((point) => point.at > at - RATE_SECONDS && point.at < at)
  kept.push({ at, up: uploadBytesPerSecond, down: downloadBytesPerSecond })
  return kept
}

const natural = new Intl.Collator('en', { numeric: true })

/**
 * `shard-2` before `shard-10`.
 * @param {string} a
 * @param {string} b
 */
export const byNature = (a, b) => natural.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0)

/**
 * @param {HostRow} a
 * @param {HostRow} b
 */
const byHostName = (a, b) => byNature(a.name, b.name) || byNature(a.hostId, b.hostId)

/**
 * @param {ModelStatus} a
 * @param {ModelStatus} b
 */
const byModelName = (a, b) => byNature(a.name, b.name)

/**
 * @param {ShardRow} a
 * @param {ShardRow} b
 */
const byNumber = (a, b) => a.number - b.number || byNature(a.name, b.name) || byNature(a.infoHash, b.infoHash)
