/** What a person sees of a download: never wider than the terminal, never a number nobody can know. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import stringWidth from 'string-width'
import {
  formatSeconds,
  Pace,
  ProgressDisplay,
  renderState,
  renderTotal,
} from '../../src/commands/progress.ts'
import type { GetState } from '../../src/fleet/download/getter.ts'
import { formatBytes } from '../../src/log.ts'
import { parseInfoHash } from '../../src/metainfo/info-hash.ts'

const STATE: GetState = {
  infoHash: parseInfoHash('a'.repeat(40)),
  name: 'model-00001-of-00004.gguf',
  verifiedBytes: 250_000_000,
  length: 1_000_000_000,
  downloadBytesPerSecond: 0,
  webSeeds: 0,
  peers: 2,
  phase: 'downloading',
  stall: null,
}
const STALL = {
  seconds: 75,
  reason: 'connected to 1 peer, but no data comes',
  advice: 'wait',
  expired: false,
}

test('bytes and durations as people write them', () => {
  assert.deepEqual([0, 999, 1000, 9_994, 99_940, 999_499, 999_500, 4.2e9, 1.5e15].map(formatBytes), [
    '0 B',
    '999 B',
    '1.00 KB',
    '9.99 KB',
    '99.9 KB',
    '999 KB',
    '1.00 MB',
    '4.20 GB',
    '1500 TB',
  ])
  assert.deepEqual([0, 0.4, 59.4, 60, 3_599, 3_600, 90_061].map(formatSeconds), [
    '1 s',
    '1 s',
    '59 s',
    '1 min 0 s',
    '59 min 59 s',
    '1 h 0 min',
    '25 h 1 min',
  ])
})

test('one line with share, amount, pace, peers and time left', () => {
  assert.deepEqual(renderState(STATE, 50_000_000, 200), [
    'model-00001-of-00004.gguf  [#####...............]  25 %  250 MB of 1.00 GB  50.0 MB/s  2 peers  15 s left',
  ])
})

test('on 80 columns all that matters is there, and the shards of a set can be told apart', () => {
  const name = 'Mixtral-8x7B-Instruct-v0.1-Q4_K_M-00007-of-00010.gguf'
  assert.deepEqual(renderState({ ...STATE, name }, 1_000_000, 80), [
    '7/10 Mixtral-8x7B-I…   25 %  250 MB of 1.00 GB  1.00 MB/s  12 min 30 s left',
  ])
})

test('no time left is shown without a pace, and none for a pace of nothing', () => {
  for (const pace of [null, 0, 0.5]) {
    const [line] = renderState(STATE, pace, 200)
    assert.match(line ?? '', /time left unknown$/)
    assert.doesNotMatch(line ?? '', /Infinity|NaN/)
  }
})

test('100 % only when all is there', () => {
  assert.match(renderState({ ...STATE, verifiedBytes: 999_999_999 }, null, 200)[0] ?? '', / 99 % /)
  assert.match(renderState({ ...STATE, verifiedBytes: 1_000_000_000 }, null, 200)[0] ?? '', /\[#{20}\] 100 %/)
})

test('before the metadata, and while the file is checked', () => {
  const looking = {
    ...STATE,
    name: null,
    length: null,
    verifiedBytes: 0,
    peers: 1,
    phase: 'metadata' as const,
  }
  assert.match(renderState(looking, null, 200)[0] ?? '', /^a{35}… {2}looking for it, 1 peer$/)
  assert.match(
    renderState({ ...STATE, phase: 'verifying' }, null, 200)[0] ?? '',
    /verifying 1\.00 GB on disk$/,
  )
})

test('a stall says for how long and why', () => {
  const lines = renderState({ ...STATE, stall: STALL }, 0, 200)
  assert.deepEqual(lines.slice(1), ['  no new data for 1 min 15 s: connected to 1 peer, but no data comes'])
})

test('no line is wider than the terminal', () => {
  for (let columns = 2; columns < 160; columns++) {
    for (const line of renderState({ ...STATE, stall: STALL }, 50_000_000, columns)) {
      assert.ok(line.length < columns || line.length <= 2, `${line.length} characters on ${columns} columns`)
    }
  }
})

test('a name in a script of wide characters is cut by its columns', () => {
  const name = '模型'.repeat(40)
  for (const columns of [40, 80, 120]) {
    const [line = ''] = renderState({ ...STATE, name }, 50_000_000, columns)
    assert.ok(stringWidth(line) < columns, `${stringWidth(line)} of ${columns} columns`)
  }
})

test('a name from a stranger cannot steer the terminal', () => {
  const name = '\x1b[2J\x07\u202egguf\nnext\u009b1m'
  const lines = renderState({ ...STATE, name, stall: STALL }, null, 200)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
  for (const line of lines) assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/)
})

test('the pace is that of the last ten seconds', () => {
  const pace = new Pace()
  assert.equal(pace.bytesPerSecond(), null)
  pace.add(0, 0)
  assert.equal(pace.bytesPerSecond(), null, 'one moment has no pace')
  pace.add(400, 100)
  assert.equal(pace.bytesPerSecond(), null, 'too soon to tell')
  pace.add(1_000, 1_000)
  assert.equal(pace.bytesPerSecond(), 1_000)
  for (let at = 2_000; at <= 30_000; at += 1_000) pace.add(at, 1_000)
  assert.equal(pace.bytesPerSecond(), 0, 'what came long ago does not count')
})

const display = (isInteractive: boolean, written: string[], now = () => 0): ProgressDisplay =>
  new ProgressDisplay({ write: (text) => written.push(text), isInteractive, columns: () => 80, now })

test('a terminal is redrawn in place, and what stays is above', () => {
  const written: string[] = []
  const shown = display(true, written)
  shown.update({ ...STATE, stall: STALL })
  assert.equal(written.join('').split('\n').length - 1, 2)
  shown.update(STATE)
  assert.ok(written.at(-1)?.startsWith('\x1b[2A\r\x1b[J'), 'the two lines of before go first')
  written.length = 0
  shown.finish(STATE.infoHash, 'done: \x1b[31m')
  assert.equal(written.join(''), '\x1b[1A\r\x1b[Jdone: \\x1b[31m\n\x1b[J')
})

test('a model has a line of its own, in which what is done counts whole', () => {
  const written: string[] = []
  const shown = display(true, written)
  const shards = [STATE.infoHash, parseInfoHash('b'.repeat(40)), parseInfoHash('c'.repeat(40))]
  shown.follow(
    'model',
    shards.map((infoHash) => ({ infoHash, length: 1_000_000_000 })),
  )
  shown.update(STATE)
  const last = (): string =>
    written
      .join('')
      .split(/\n|\[J/)
      .at(-2) ?? ''
  assert.equal(last(), 'model    8 %  0 of 3 shards  250 MB of 3.00 GB')
  shown.finish(STATE.infoHash, 'done')
  assert.equal(last(), 'model   33 %  1 of 3 shards  1.00 GB of 3.00 GB')
  shown.finish(shards[1]!, 'failed', false)
  assert.match(last(), / 1 of 3 shards /)
  shown.unfollow('model')
  shown.print('the end')
  assert.ok(written.join('').endsWith('the end\n\x1b[J'), 'its line goes')
})

test('the line of a model is as narrow as the terminal, and tells no time nobody knows', () => {
  const total = {
    name: '模型\x1b[2J'.repeat(9),
    shards: 4,
    doneShards: 1,
    verifiedBytes: 1e9,
    length: 4e9,
  }
  for (let columns = 2; columns < 160; columns++) {
    const line = renderTotal(total, 1e8, columns)
    assert.ok(stringWidth(line) < columns || columns <= 2, `${stringWidth(line)} of ${columns} columns`)
    assert.ok(!line.includes('\x1b'))
  }
  assert.match(renderTotal(total, 1e8, 200), /1\.00 GB of 4\.00 GB {2}100 MB\/s {2}30 s left$/)
  assert.match(renderTotal(total, 0, 200), /0 B\/s$/)
  assert.match(renderTotal({ ...total, length: 0, verifiedBytes: 0 }, null, 200), /100 %/)
})

test('elsewhere a line comes now and then, and when something changes', () => {
  let nowMs = 0
  const written: string[] = []
  const shown = display(false, written, () => nowMs)
  for (let update = 0; update < 10; update++) {
    shown.update(STATE)
    nowMs += 500
  }
  assert.equal(written.length, 1)
  shown.update(STATE)
  assert.equal(written.length, 2)
  shown.update({ ...STATE, stall: STALL })
  assert.equal(written.length, 4, 'a stall is told at once')
  assert.ok(!written.join('').includes('\x1b'))
})
