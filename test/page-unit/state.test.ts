/** The page's state, from the very frames that the server makes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { groupModels } from '../../src/fleet/names/models.ts'
import type { FleetStatus, ModelStatus, ShardStatus } from '../../src/fleet/status.ts'
import { FeedBook, type FeedMessage } from '../../src/web/feed.ts'
import { rowsOf } from '../../src/web/page/rows.js'
import { applyFrame, type FleetState, MAX_EVENTS, modelKey, RATE_SECONDS } from '../../src/web/page/state.js'
import { GeneratedFleet, namesFrom } from '../page/fleet-generator.ts'

const parsed = (frame: Buffer): FeedMessage => JSON.parse(frame.toString()) as FeedMessage

function newFleet(): GeneratedFleet {
  return new GeneratedFleet({
    hostNames: namesFrom('host', 12),
    models: namesFrom('model', 5).map((name) => ({ name, count: 3 })),
    startedAt: Date.UTC(2026, 2, 1),
    parallel: 2,
  })
}

/** What the server would show of a fleet, as the page's state has it. */
function picture({ hosts, models, shardByHash, shardsByModel, totals, alarms }: FleetState) {
  return {
    totals,
    alarms,
    hosts: hosts.map(({ n: _, ...host }) => host),
    models,
    shards: [...shardsByModel.values()].flat().map(({ infoHash }) => shardByHash.get(infoHash)),
    copies: [...shardByHash.values()].map(({ whole, fetching }) => [whole.length, fetching.length]),
  }
}

const expected = (status: FleetStatus) => picture(applyFrame(null, snapshotOf(status)) as FleetState)
const snapshotOf = (status: FleetStatus): FeedMessage => parsed(new FeedBook(status, []).snapshot())

test('patches lead to what a new snapshot says, whatever happens', () => {
  const fleet = newFleet()
  const book = new FeedBook(fleet.status, fleet.events)
  let state = applyFrame(null, parsed(book.snapshot()))
  const steps = [
    () => fleet.step(1_000),
    () => fleet.lose('host-3'),
    () => fleet.join('host-100'),
    () => fleet.step(5_000),
    () => fleet.forget('host-3'),
    () => fleet.addModel({ name: 'a-new-one', count: 1 }),
    () => fleet.step(20_000),
    () => fleet.fill(),
  ]
  for (const step of steps) {
    step()
    const frame = book.advance(fleet.status, fleet.events)
    assert.ok(frame, 'every step changes something')
    state = applyFrame(state, parsed(frame))
    assert.ok(state, 'the patch follows on what was before')
    const [have, want] = [picture(state), expected(fleet.status)]
    // Numbers of hosts are the book's own.
    assert.deepEqual({ ...have, shards: [] }, { ...want, shards: [] })
    assert.deepEqual(
      have.shards.map((shard) => shard?.name),
      want.shards.map((shard) => shard?.name),
    )
  }
  assert.equal(state?.events[0]?.id, fleet.events.at(-1)?.id, 'the newest event comes first')
})

test('sets of different sizes under one name stay apart, and come and go each by itself', () => {
  const plans = [2, 3].map((count) => ({ name: 'm', count }))
  const fleet = new GeneratedFleet({ hostNames: ['a', 'b'], models: [...plans, { name: 'n', count: 1 }] })
  const { shards } = fleet.status
  const [two, three] = [2, 3].map((without) => shards.filter(({ count }) => count !== without))
  assert.ok(two && three)
  let models: readonly ModelStatus[] = []
  const statusOf = (known: readonly ShardStatus[]): FleetStatus => {
    models = groupModels(known, models)
    return { ...fleet.status, shards: known, models }
  }
  const book = new FeedBook(statusOf(three), [])
  let state = applyFrame(null, parsed(book.snapshot()))
  const again = two.map((shard) => ({ ...shard, wholeSeeds: shard.wholeSeeds + 1 }))
  for (const known of [shards, two, again, shards, three]) {
    const frame = book.advance(statusOf(known), [])
    state = frame && applyFrame(state, parsed(frame))
    assert.ok(state)
    assert.deepEqual(state.models, models)
    const rows = rowsOf(state, { filter: '', sort: 'name', collapsed: new Set() })
    assert.equal(new Set(rows.map(({ key }) => key)).size, rows.length, 'each row once')
    const shown = rows.flatMap((row) => (row.kind === 'shard' ? [[row.model.count, row.shard.name]] : []))
    assert.deepEqual(
      shown,
      known.map(({ count, name }) => [count, name]),
    )
  }
})

test('a gap is told, and so is a patch before any snapshot', () => {
  const fleet = newFleet()
  const book = new FeedBook(fleet.status, fleet.events)
  const state = applyFrame(null, parsed(book.snapshot()))
  fleet.step(1_000)
  const missed = book.advance(fleet.status, fleet.events)
  fleet.step(1_000)
  const next = book.advance(fleet.status, fleet.events)
  assert.ok(state && missed && next)
  assert.equal(applyFrame(state, parsed(next)), null)
  assert.equal(applyFrame(null, parsed(missed)), null)
  assert.equal(applyFrame(state, { type: 'tick', seq: 99, time: '2026-03-01T00:00:00Z' }), null)
  const later = { type: 'greeting', seq: 5 } as unknown as FeedMessage
  assert.equal(applyFrame(state, later), state, 'a frame of a later version is ignored')
})

test('what did not change keeps its reference', () => {
  const fleet = newFleet()
  const book = new FeedBook(fleet.status, fleet.events)
  const before = applyFrame(null, parsed(book.snapshot()))
  fleet.setProgress('model-2-00001-of-00003.gguf', 'host-7', 0.5)
  const frame = book.advance(fleet.status, fleet.events)
  assert.ok(before && frame)
  const after = applyFrame(before, parsed(frame))
  assert.ok(after)
  assert.equal(
    after.shardsByModel.get(modelKey('model-1', 3)),
    before.shardsByModel.get(modelKey('model-1', 3)),
  )
  assert.notEqual(
    after.shardsByModel.get(modelKey('model-2', 3)),
    before.shardsByModel.get(modelKey('model-2', 3)),
  )
  assert.equal(after.models, before.models)
})

test('the chart has one point a second for ten minutes, and goes on over a reconnect', () => {
  const fleet = newFleet()
  let state = applyFrame(null, snapshotOf(fleet.status))
  const start = Date.parse(fleet.status.time)
  const tick = (ms: number): void => {
    const time = new Date(start + ms).toISOString()
    state = applyFrame(state, { type: 'tick', seq: state?.seq ?? 0, time })
  }
  for (let ms = 250; ms <= 2 * RATE_SECONDS * 1000; ms += 250) tick(ms)
  assert.equal(state?.rates.length, RATE_SECONDS)
  fleet.now = start + 2 * RATE_SECONDS * 1000 + 1000
  fleet.publish()
  state = applyFrame(state, snapshotOf(fleet.status))
  assert.equal(state?.rates.length, RATE_SECONDS, 'the same fleet')
  const other = structuredClone(snapshotOf(fleet.status)) as Extract<FeedMessage, { type: 'snapshot' }>
  Object.assign(other.status.fleet, { rendezvous: 'f'.repeat(40) })
  assert.equal(applyFrame(state, other)?.rates.length, 1, 'another fleet')
})

test('a frame that is a little older than the last leaves the chart as it is; a clock set back does not', () => {
  const fleet = newFleet()
  const start = Date.parse(fleet.status.time)
  const at = (ms: number): string => new Date(start + ms).toISOString()
  let state = applyFrame(null, snapshotOf(fleet.status))
  for (let ms = 1_000; ms <= 5_000; ms += 1_000) {
    state = applyFrame(state, { type: 'tick', seq: 0, time: at(ms) })
  }
  // The picture that was made before the last tick, sent after it.
  state = applyFrame(state, { type: 'patch', seq: 1, time: at(4_900), totals: fleet.status.totals })
  assert.equal(state?.rates.length, 6)
  state = applyFrame(state, { type: 'tick', seq: 1, time: at(-3_600_000) })
  assert.equal(state?.rates.length, 0)
})

test('the event log is bounded', () => {
  const fleet = newFleet()
  for (let index = 0; index < 2 * MAX_EVENTS; index++) fleet.say('copy-started', `event ${index}`)
  const book = new FeedBook(fleet.status, fleet.events)
  let state = applyFrame(null, parsed(book.snapshot()))
  assert.equal(state?.events.length, MAX_EVENTS)
  fleet.say('copy-started', 'the last')
  fleet.step(1)
  const frame = book.advance(fleet.status, fleet.events)
  assert.ok(frame)
  state = applyFrame(state, parsed(frame))
  assert.equal(state?.events.length, MAX_EVENTS)
})
