/**
 * What the page knows of the fleet, made from the frames of the live feed (see `../feed.ts`). Pure: a frame and the
 * state before give the state after, and parts that did not change keep their reference.
 *
 * @import { FeedMessage, HostRow, PatchMessage, ShardRow, SnapshotMessage, Changes } from '../feed.ts'
 * @import { Alarm, CoordinatorStatus, FleetEvent, FleetName, FleetTotals, ModelStatus } from '../../fleet/status.ts'
 */

/** Seconds that the chart shows, one point each. */
export const RATE_SECONDS = 600
/** The server makes its picture anew once a minute at the latest: one from before the last tick may be so old. */
const MAX_LATE_SECONDS = 60
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
 * @property {readonly ModelStatus[]} models by name, and by size where sets share one
 * @property {ReadonlyMap<string, ShardRow>} shardByHash
 * @property {ReadonlyMap<string, readonly ShardRow[]>} shardsByModel by {@link modelKey}, each by number
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
 * What is put takes the place of all that had its key.
 * @template Row
 * @param {readonly Row[]} rows
 * @param {Changes<Row>} changes
 * @param {(row: Row) => string} keyOf
 * @param {(a: Row, b: Row) => number} order
 */
function merged(rows, { put, drop }, keyOf, order) {
  const touched = new Set([...drop, ...put.map(keyOf)])
  const kept = rows.filter((row) => !touched.has(keyOf(row)))
  return put.length > 0 ? [...kept, ...put].sort(order) : kept
}

/**
 * @param {FleetState} before
 * @param {Changes<ShardRow>} changes
 */
function shardsPatched(before, { put, drop }) {
  const shardByHash = new Map(before.shardByHash)
  /** @type {Set<string>} */
  const touched = new Set()
  const touch = (/** @type {string} */ infoHash) => {
    const shard = shardByHash.get(/** @type {ShardRow['infoHash']} */ (infoHash))
    if (shard !== undefined) touched.add(modelKey(shard.model, shard.count))
  }
  for (const infoHash of drop) {
    touch(infoHash)
    shardByHash.delete(/** @type {ShardRow['infoHash']} */ (infoHash))
  }
  for (const shard of put) {
    touch(shard.infoHash)
    shardByHash.set(shard.infoHash, shard)
    touch(shard.infoHash)
  }
  const anew = grouped(
    [...shardByHash.values()].filter(({ model, count }) => touched.has(modelKey(model, count))),
  )
  const shardsByModel = new Map(before.shardsByModel)
  for (const model of touched) {
    const shards = anew.get(model)
    if (shards === undefined) shardsByModel.delete(model)
    else shardsByModel.set(model, shards)
  }
  return { shardByHash, shardsByModel }
}

/**
 * Sets of different sizes under one name are different models.
 * @param {string} name
 * @param {number} count
 */
export const modelKey = (name, count) => `${count} ${name}`

/**
 * @param {readonly ShardRow[]} shards
 * @returns {Map<string, ShardRow[]>}
 */
function grouped(shards) {
  /** @type {Map<string, ShardRow[]>} */
  const groups = new Map()
  for (const shard of shards) {
    const key = modelKey(shard.model, shard.count)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [shard])
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
  const told = Math.floor(Date.parse(time) / 1000)
  if (Number.isNaN(told)) return rates
  const last = rates.at(-1)
  // A clock that was set back starts the chart anew.
  if (last !== undefined && told < last.at - MAX_LATE_SECONDS) return []
  const at = Math.max(told, last?.at ?? told)
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
const byNature = (a, b) => natural.compare(a, b) || (a < b ? -1 : a > b ? 1 : 0)

/**
 * @param {HostRow} a
 * @param {HostRow} b
 */
const byHostName = (a, b) => byNature(a.name, b.name) || byNature(a.hostId, b.hostId)

/**
 * @param {ModelStatus} a
 * @param {ModelStatus} b
 */
const byModelName = (a, b) => byNature(a.name, b.name) || a.count - b.count

/**
 * @param {ShardRow} a
 * @param {ShardRow} b
 */
const byNumber = (a, b) => a.number - b.number || byNature(a.name, b.name) || byNature(a.infoHash, b.infoHash)
