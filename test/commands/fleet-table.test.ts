/** What a person sees of a fleet: everything that matters, never wider or longer than the terminal. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import stringWidth from 'string-width'
import type { Terminal } from '../../src/commands/context.ts'
import { formatAge, renderFleet, type TableOptions } from '../../src/commands/fleet-table.ts'
import { Redraw } from '../../src/commands/redraw.ts'
import { renderTable, wrap } from '../../src/commands/table.ts'
import { groupModels } from '../../src/fleet/names/models.ts'
import type { Alarm, FleetStatus, HostStatus, ShardStatus } from '../../src/fleet/status.ts'
import { parseInfoHash } from '../../src/metainfo/info-hash.ts'
import { cpuTimeMs } from '../helpers/cpu-time.ts'

const NOW = Date.parse('2026-11-24T12:00:00Z')
const ago = (seconds: number): string => new Date(NOW - seconds * 1000).toISOString()
const hash = (seed: number) => parseInfoHash(seed.toString(16).padStart(40, '0'))

const OPTIONS: TableOptions = {
  columns: 80,
  rows: null,
  hasColours: false,
  wantedReplicas: 2,
  now: NOW,
}

function host(at: number, own: Partial<HostStatus> = {}): HostStatus {
  return {
    hostId: String(at).padStart(40, '0'),
    name: `host-${at}`,
    address: `10.0.0.${at}:6881`,
    version: '0.1.0',
    state: 'online',
    onlineSince: ago(90),
    seenAt: ago(1),
    uploadBytesPerSecond: 1_200_000,
    downloadBytesPerSecond: 0,
    freeDiskBytes: 12_000_000_000,
    replicating: false,
    seeding: 4,
    fetching: 0,
    ...own,
  }
}

function shard(number: number, own: Partial<ShardStatus> = {}): ShardStatus {
  return {
    infoHash: hash(number),
    name: `X-0000${number}-of-00004.gguf`,
    length: 492_000_000,
    pieceLength: 262_144,
    sha256: 'a'.repeat(64),
    magnet: '',
    model: 'X',
    number,
    count: 4,
    architecture: number === 1 ? 'llama' : null,
    sizeLabel: number === 1 ? '7B' : null,
    copies: [],
    wholeSeeds: 2,
    seen: null,
    dhtPeersEstimate: null,
    ...own,
  }
}

function fleet(own: Partial<FleetStatus> = {}): FleetStatus {
  const shards = own.shards ?? [1, 2, 3, 4].map((number) => shard(number))
  const hosts = own.hosts ?? [host(1), host(2)]
  return {
    time: ago(0),
    fleet: { name: 'default', keyed: false, rendezvous: hash(99) },
    coordinator: {
      hostId: '',
      version: '',
      startedAt: ago(9),
      dhtNodes: 1,
      isolated: false,
      turnedAway: {},
    },
    totals: {
      hostsOnline: hosts.filter(({ state }) => state === 'online').length,
      hostsLost: hosts.filter(({ state }) => state === 'lost').length,
      models: 1,
      wholeModels: 1,
      shards: shards.length,
      copies: 8,
      bytes: 1_968_000_000,
      copiesBytes: 3_936_000_000,
      uploadBytesPerSecond: 2_400_000,
      downloadBytesPerSecond: 0,
    },
    hosts,
    models: groupModels(shards),
    shards,
    alarms: [],
    ...own,
  }
}

const alarm = (kind: Alarm['kind'], message: string): Alarm => ({
  kind,
  severity: kind === 'few-seeds' || kind === 'host-lost' ? 'warning' : 'critical',
  message,
  since: ago(200),
})

test('a fleet in which all is well', () => {
  assert.equal(
    renderFleet(fleet(), OPTIONS).join('\n'),
    `open fleet default
2 hosts online, 1 of 1 model whole, 4 shards (1.97 GB), 8 whole copies,
  up 2.40 MB/s, down 0 B/s

HOST    ADDRESS        ONLINE         UP   DOWN     FREE  SHARDS
host-1  10.0.0.1:6881  1 min   1.20 MB/s  0 B/s  12.0 GB       4
host-2  10.0.0.2:6881  1 min   1.20 MB/s  0 B/s  12.0 GB       4

model X: 4 of 4 shards, weakest shard has 2 seeds (llama 7B, 1.97 GB)
  1/4  X-00001-of-00004.gguf  492 MB  2 seeds
  2/4  X-00002-of-00004.gguf  492 MB  2 seeds
  3/4  X-00003-of-00004.gguf  492 MB  2 seeds
  4/4  X-00004-of-00004.gguf  492 MB  2 seeds`,
  )
})

test('a fleet in which little is well', () => {
  const copies = [
    { hostId: host(2).hostId, state: 'fetching' as const, verifiedBytes: 123_000_000 },
    { hostId: host(3).hostId, state: 'fetching' as const, verifiedBytes: 400_000_000 },
  ]
  const status = fleet({
    hosts: [
      host(1),
      host(2, { fetching: 1, seeding: 1 }),
      host(3, { state: 'lost', seenAt: ago(20), freeDiskBytes: null }),
    ],
    shards: [shard(1, { wholeSeeds: 1, copies }), shard(2, { wholeSeeds: 0 }), shard(4)],
    coordinator: { ...fleet().coordinator, isolated: true, turnedAway: { 'wrong-key': 3 } },
    alarms: [
      alarm('missing-shard', 'model X: shard 3 of 4 is on no host; seed what is missing'),
      alarm('host-lost', 'host host-3 (10.0.0.3:6881) is lost'),
      ...Array.from({ length: 7 }, () => alarm('few-seeds', 'too few')),
    ],
  })
  assert.equal(
    renderFleet(status, OPTIONS).slice(1).join('\n'),
    `2 hosts online, 1 lost, 1 of 1 model whole, 3 shards (1.97 GB), 8 whole copies,
  up 2.40 MB/s, down 0 B/s
! no DHT node answers: new hosts cannot be found
! peers turned away: 3 × wrong-key

✗ model X: shard 3 of 4 is on no host; seed what is missing (3 min ago)
! host host-3 (10.0.0.3:6881) is lost (3 min ago)
! 7 shards have fewer than 2 whole copies; seed them on other hosts, or use
  seed --replicate

HOST      ADDRESS        ONLINE                UP   DOWN  SHARDS
host-1    10.0.0.1:6881  1 min          1.20 MB/s  0 B/s       4
host-2    10.0.0.2:6881  1 min          1.20 MB/s  0 B/s       1  +1 coming
✗ host-3  10.0.0.3:6881  lost 20 s ago                         4

model X: 2 of 4 shards, missing: 2, 3 (llama 7B, 1.48 GB)
  1/4  X-00001-of-00004.gguf  492 MB  1 seed   [##........]  25 % host-2
  2/4  X-00002-of-00004.gguf  492 MB  0 seeds
  4/4  X-00004-of-00004.gguf  492 MB  2 seeds`,
  )
})

test('a narrow terminal gets what matters, a wide one infohashes too', () => {
  const narrow = renderFleet(fleet(), { ...OPTIONS, columns: 40 })
  assert.ok(narrow.includes('HOST    ONLINE  SHARDS'), narrow.join('\n'))
  assert.ok(narrow.includes('  1/4  492 MB  2 seeds'), narrow.join('\n'))
  const wide = renderFleet(fleet(), { ...OPTIONS, columns: 160 })
  assert.match(wide.at(-1) ?? '', /seeds {2}0{39}4$/)
})

const HOSTILE = '\x1b[2J\x07\u202e模型<b>\nnext\u009b1m'.repeat(3)

function hostileFleet(): FleetStatus {
  return fleet({
    fleet: { name: HOSTILE, keyed: false, rendezvous: hash(99) },
    hosts: [host(1, { name: HOSTILE, address: HOSTILE, fetching: 3 }), host(2)],
    shards: [
      shard(1, { name: HOSTILE, model: HOSTILE, architecture: HOSTILE, sizeLabel: HOSTILE }),
      shard(2, { copies: [{ hostId: host(1).hostId, state: 'fetching', verifiedBytes: 1 }] }),
    ],
    alarms: [alarm('no-seeds', `0 seeds: ${'x'.repeat(300)} 模型`)],
  })
}

test('no line is wider than the terminal, no picture longer', () => {
  for (const status of [fleet(), hostileFleet(), fleet({ hosts: [], shards: [], models: [] })]) {
    for (let columns = 24; columns < 170; columns += 3) {
      for (const rows of [null, 5, 12, 30]) {
        const lines = renderFleet(status, { ...OPTIONS, columns, rows, hasColours: true })
        assert.ok(rows === null || lines.length <= rows, `${lines.length} lines in ${rows} rows`)
        for (const line of lines) {
          const width = stringWidth(stripVTControlCharacters(line))
          assert.ok(width < columns, `${width} of ${columns} columns: ${JSON.stringify(line)}`)
        }
      }
    }
  }
})

test('nothing a member says can steer the terminal', () => {
  const lines = renderFleet(hostileFleet(), OPTIONS)
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what must not be there
  for (const line of lines) assert.doesNotMatch(line, /[\u0000-\u001f\u007f-\u009f\u202a-\u202e]/)
})

test('colours only where they are wanted, and the words are the same', () => {
  const plain = renderFleet(hostileFleet(), OPTIONS)
  const coloured = renderFleet(hostileFleet(), { ...OPTIONS, hasColours: true })
  assert.ok(coloured.join('').includes('\x1b['))
  assert.deepEqual(coloured.map(stripVTControlCharacters), plain)
})

test('with few rows whole shards go first, and the end says what is not shown', () => {
  const status = fleet({ shards: [shard(1), shard(2, { wholeSeeds: 1 }), shard(3), shard(4)] })
  const fitting = renderFleet(status, { ...OPTIONS, rows: 10 })
  assert.deepEqual(fitting.slice(-2), [
    'model X: 4 of 4 shards, weakest shard has 1 seed (llama 7B, 1.97 GB)',
    '  2/4  X-00002-of-00004.gguf  492 MB  1 seed',
  ])
  const cut = renderFleet(status, { ...OPTIONS, rows: 6 })
  assert.equal(cut.length, 6)
  assert.equal(cut.at(-1), '… 4 more lines; a larger window shows them')
})

test('a thousand shards on two hundred hosts are drawn in no time', () => {
  const copies = Array.from({ length: 200 }, (_, at) => ({
    hostId: String(at).padStart(40, '0'),
    state: 'seeding' as const,
    verifiedBytes: 1,
  }))
  const shards = Array.from({ length: 1_000 }, (_, at) =>
    shard((at % 4) + 1, { infoHash: hash(at + 1), model: `m${at >> 2}`, copies, wholeSeeds: 200 }),
  )
  const status = fleet({ hosts: Array.from({ length: 200 }, (_, at) => host(at)), shards })
  const startedAt = cpuTimeMs()
  const lines = renderFleet(status, { ...OPTIONS, rows: 50, hasColours: true })
  assert.equal(lines.length, 50)
  assert.ok(cpuTimeMs() - startedAt < 2_000)
})

test('how long ago', () => {
  assert.deepEqual([-5_000, 0, 59_900, 60_000, 3_599_000, 3_660_000, 90_000_000].map(formatAge), [
    '0 s',
    '0 s',
    '59 s',
    '1 min',
    '59 min',
    '1 h 1 min',
    '1 d 1 h',
  ])
})

test('tables and paragraphs at their limits', () => {
  const look = { columns: 12, hasColours: false }
  const columns = [
    { title: 'A', least: 3, cell: (row: string) => row },
    { title: 'B', drop: 1, cell: () => 'bbbbbbbb' },
    { title: '', cell: () => '' },
  ]
  assert.deepEqual(renderTable(columns, ['aaaaaaaaaaaaaaa'], look), ['A', 'aaaaaaaaaa…'])
  assert.deepEqual(renderTable(columns, [], look), ['A  B'])
  assert.deepEqual(wrap('aa bb cc', 6, ' '), ['aa bb', ' cc'])
  assert.deepEqual(wrap('abcdefgh', 5), ['abcd', 'efgh'])
  assert.deepEqual(wrap('', 5), [''])
})

test('a picture is redrawn in its place, and starts afresh when the size changes', () => {
  const written: string[] = []
  const resize: { now?: () => void } = {}
  const terminal: Terminal = {
    columns: () => 80,
    rows: () => 24,
    hasColours: true,
    onResize: (listener) => {
      resize.now = listener
      return () => delete resize.now
    },
  }
  let resized = 0
  const redraw = new Redraw(
    (text) => written.push(text),
    terminal,
    () => resized++,
  )
  const picture = (): string => (written.at(-1) ?? '').replace('\x1b[?2026h', '').replace('\x1b[?2026l', '')
  assert.equal(written.join(''), '\x1b[?25l', 'no cursor')
  redraw.draw(['a', 'b'])
  assert.equal(picture(), 'a\x1b[K\nb\x1b[K\n\x1b[J')
  redraw.draw(['c'])
  assert.equal(picture(), '\x1b[2A\rc\x1b[K\n\x1b[J')
  resize.now?.()
  assert.equal(resized, 1)
  redraw.draw(['d'])
  assert.equal(picture(), '\x1b[H\x1b[2Jd\x1b[K\n\x1b[J')
  redraw[Symbol.dispose]()
  redraw[Symbol.dispose]()
  const closed = '\r\x1b[K\x1b[?25h'
  assert.equal(written.at(-1), closed, 'the cursor is back')
  assert.equal(written.filter((text) => text === closed).length, 1)
  assert.equal(resize.now, undefined)
  redraw.draw(['late'])
  assert.equal(written.at(-1), closed)
})
