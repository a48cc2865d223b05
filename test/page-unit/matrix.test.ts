/** What the matrix is made from: rows, cells, windows, keys, widths. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatBytes as formatBytesOfTerminal } from '../../src/log.ts'
import { FeedBook, type FeedMessage } from '../../src/web/feed.ts'
import { cellLabel, modelCell, shardCell } from '../../src/web/page/copies.js'
import { formatBytes, formatSeconds, percent } from '../../src/web/page/format.js'
import { moved } from '../../src/web/page/matrix-keys.js'
import { revealed } from '../../src/web/page/matrix-layout.js'
import { shapeOf } from '../../src/web/page/matrix-shape.js'
import { keepSame, rowsOf, summaryOf } from '../../src/web/page/rows.js'
import { applyFrame, type FleetState, modelKey } from '../../src/web/page/state.js'
import { offsetsOf, visible, visibleColumns } from '../../src/web/page/windowing.js'
import { GeneratedFleet, namesFrom } from '../page/fleet-generator.ts'

const NOTHING_FOLDED = { filter: '', sort: 'name', collapsed: new Set<string>() } as const

function stateOf(fleet: GeneratedFleet): FleetState {
  const frame = JSON.parse(new FeedBook(fleet.status, []).snapshot().toString()) as FeedMessage
  return applyFrame(null, frame) as FleetState
}

const mixed = (): GeneratedFleet =>
  new GeneratedFleet({
    hostNames: ['a', 'b', 'c'],
    models: [
      { name: 'big', count: 3, missing: [2] },
      { name: 'single', count: 1 },
    ],
  })

test('a set has a row and its shards beneath, a single file one row, a lacking shard its place', () => {
  const rows = rowsOf(stateOf(mixed()), NOTHING_FOLDED)
  assert.deepEqual(
    rows.map((row) =>
      row.kind === 'shard' ? row.shard.name : row.kind === 'missing' ? `no ${row.number}` : row.model.name,
    ),
    ['big', 'big-00001-of-00003.gguf', 'no 2', 'big-00003-of-00003.gguf', 'single.gguf'],
  )
})

test('fold, filter and order', () => {
  const state = stateOf(mixed())
  const names = (view: Partial<Parameters<typeof rowsOf>[1]>): readonly string[] =>
    rowsOf(state, { ...NOTHING_FOLDED, ...view }).map(({ key }) => key.split(' ')[0] ?? '')
  assert.deepEqual(names({ collapsed: new Set([modelKey('big', 3)]) }), ['m', 's'])
  assert.deepEqual(names({ filter: 'SINGLE' }), ['s'])
  assert.deepEqual(
    names({ filter: '00003-of', collapsed: new Set([modelKey('big', 3)]) }),
    ['m', 's'],
    'a filter unfolds',
  )
  assert.deepEqual(names({ filter: 'nothing like it' }), [])
  assert.deepEqual(names({ sort: 'seeds' }), ['m', 'x', 's', 's', 's'])
})

test('rows that did not change are the same objects', () => {
  const fleet = mixed()
  const state = stateOf(fleet)
  const before = rowsOf(state, NOTHING_FOLDED)
  const after = keepSame(before, rowsOf(state, NOTHING_FOLDED))
  assert.ok(after.every((row, index) => row === before[index]))
})

test('the weakest shard is marked, unless all are alike', () => {
  const fleet = new GeneratedFleet({ hostNames: ['a', 'b'], models: [{ name: 'm', count: 2 }] })
  const marks = () =>
    rowsOf(stateOf(fleet), NOTHING_FOLDED).flatMap((row) => (row.kind === 'shard' ? [row.isWeakest] : []))
  assert.deepEqual(marks(), [false, false])
  fleet.setProgress('m-00001-of-00002.gguf', 'b', 1)
  assert.deepEqual(marks(), [false, true])
  const [model] = fleet.status.models
  assert.ok(model)
  assert.equal(summaryOf(model), '2 of 2 shards, weakest has 1 seed')
})

test('cells say in words what they show', () => {
  const fleet = mixed()
  fleet.setProgress('single.gguf', 'a', 0.999)
  const state = stateOf(fleet)
  const [a, b, c] = state.hosts
  const single = state.shardsByModel.get(modelKey('single', 1))?.[0]
  assert.ok(a && b && c && single)
  const label = (host: typeof a): string => cellLabel(host, single.name, shardCell(single, host))
  assert.equal(label(a), 'a, single.gguf: fetching, 99 %')
  assert.equal(label(c), 'c, single.gguf: whole copy')
  assert.equal(label(b), 'b, single.gguf: none')
  assert.equal(label({ ...c, state: 'lost' }), 'c, single.gguf: host lost, last seen with whole copy')
  assert.equal(modelCell(state.shardsByModel.get(modelKey('big', 3)) ?? [], 3, a).text, '1/3')
})

test('two contents of one number are one of the shards of a set', () => {
  const state = stateOf(mixed())
  const shards = state.shardsByModel.get(modelKey('big', 3)) ?? []
  const [first] = shards
  const a = state.hosts[0]
  assert.ok(first && a && first.whole.includes(a.n))
  const other = { ...first, infoHash: state.shardsByModel.get(modelKey('single', 1))![0]!.infoHash }
  const cell = modelCell([first, other, ...shards.slice(1)], 3, a)
  assert.deepEqual([cell.state, cell.text, cell.words], ['fetching', '1/3', '1 of 3 shards'])
})

test('a set that was taken apart shows its shards all the same', () => {
  const state = stateOf(mixed())
  const [big] = state.models
  const shard = state.shardsByModel.get(modelKey('big', 3))?.[0]
  assert.ok(big && shard)
  const apart = { ...big, name: 'big-00001-of-00003', count: 1, shards: [[shard.infoHash]], missing: [] }
  const rows = rowsOf({ ...state, models: [apart] }, NOTHING_FOLDED)
  assert.deepEqual(
    rows.map((row) => row.kind === 'shard' && row.shard),
    [shard],
  )
})

test('windows hold what is in sight and a little more', () => {
  const offsets = offsetsOf([10, 20, 30, 40])
  assert.deepEqual(offsets, [0, 10, 30, 60, 100])
  assert.deepEqual(visible(offsets, 0, 10, 0), { first: 0, end: 1 })
  assert.deepEqual(visible(offsets, 10, 61, 0), { first: 1, end: 4 })
  assert.deepEqual(visible(offsets, 35, 36, 1), { first: 1, end: 4 })
  assert.deepEqual(visible(offsets, 1e6, 2e6, 0), { first: 3, end: 4 }, 'scrolled beyond the end')
  assert.deepEqual(visible(offsetsOf([]), 0, 100, 4), { first: 0, end: 0 })
  assert.deepEqual(visibleColumns(200, 50, 100, 200, 0), { first: 2, end: 4 })
  assert.deepEqual(visibleColumns(3, 50, 0, 1000, 3), { first: 0, end: 3 })
})

test('keys walk over the grid and stop at its edges', () => {
  const size = { rows: 10, columns: 5, page: 4 }
  const press = (key: string, row: number, column: number, ctrlKey = false) =>
    moved({ key, ctrlKey, metaKey: false, altKey: false }, { row, column }, size)
  assert.deepEqual(press('ArrowDown', -1, 2), { row: 0, column: 2 })
  assert.deepEqual(press('ArrowUp', -1, 2), { row: -1, column: 2 })
  assert.deepEqual(press('ArrowRight', 3, 4), { row: 3, column: 4 })
  assert.deepEqual(press('Home', 3, 4), { row: 3, column: 0 })
  assert.deepEqual(press('End', 3, 0, true), { row: 9, column: 4 })
  assert.deepEqual(press('PageDown', 7, 0), { row: 9, column: 0 })
  for (const [key, ctrlKey] of [['PageUp'], ['ArrowUp', true]] as const) {
    assert.deepEqual(press(key, 2, 1, ctrlKey), { row: 0, column: 1 }, key)
    assert.deepEqual(press(key, -1, 1, ctrlKey), { row: -1, column: 1 }, `${key} does not lead down`)
  }
  assert.equal(press('x', 0, 0), null)
})

test('a cell that is walked to is brought beside what stands fast', () => {
  const shape = shapeOf(1000, 100, 8)
  const box = { scrollTop: 0, scrollLeft: 0, clientWidth: 1000, clientHeight: 400 }
  const offsets = offsetsOf(Array.from({ length: 100 }, () => 34))
  const { top, left } = revealed({ row: 50, column: 60 }, box, offsets, shape, 100)
  assert.ok(top + 400 - shape.head >= 51 * 34 && top <= 50 * 34)
  const room = 1000 - shape.name - shape.seeds - shape.size
  assert.ok(left <= 59 * shape.column && left + room >= 60 * shape.column)
  assert.deepEqual(revealed({ row: 0, column: 1 }, box, offsets, shape, 100), { top: 0, left: 0 })
})

test('widths fill the box, and never squeeze a cell', () => {
  for (const width of [330, 640, 960, 1440, 2560]) {
    for (const hosts of [0, 1, 4, 30, 200]) {
      const shape = shapeOf(width, hosts, 12)
      assert.ok(shape.total >= width, `${hosts} hosts in ${width}`)
      assert.ok(shape.column >= 46)
      assert.equal(shape.total, shape.name + hosts * shape.column + shape.seeds + shape.size)
    }
  }
  assert.equal(shapeOf(960, 4, 7).isLevel, true)
  assert.equal(shapeOf(960, 200, 7).isLevel, false)
})

test('numbers read as they do in the terminal', () => {
  for (const bytes of [0, 999, 1000, 12_345, 999_499, 999_500, 4.2e8, 1e12])
    assert.equal(formatBytes(bytes), formatBytesOfTerminal(bytes))
  assert.equal(percent(999, 1000), 99)
  assert.equal(percent(1, 0), 0)
  assert.equal(formatSeconds(8), '8 s')
  assert.equal(formatSeconds(90_061), '1 d 1 h')
  assert.deepEqual(namesFrom('x', 2), ['x-0', 'x-1'])
})
