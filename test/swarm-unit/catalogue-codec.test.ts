/** Every field of a catalogue message at its limits, and what no other implementation should send. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  decodeMessage,
  encodeMessage,
  MalformedMessage,
  offerProblem,
} from '../../src/swarm/catalogue/catalogue-codec.ts'
import type { CatalogueMessage } from '../../src/swarm/catalogue/catalogue-entry.ts'
import { encoded, hashOf, infoOf, shardOf } from './catalogue-kit.ts'

const page = (shard: Parameters<typeof shardOf>[1] = {}): CatalogueMessage => ({
  type: 'shards',
  put: [shardOf(1, shard)],
  drop: [],
  isPartial: false,
})

/** The fields of an entry as they go over the wire. */
const ENTRY = {
  arch: '',
  h: Buffer.alloc(20, 1),
  have: 0,
  len: 1_000,
  model: 'm',
  name: 'm.gguf',
  no: 1,
  of: 1,
  pl: 262_144,
  s: 1,
  sha: Buffer.alloc(32, 2),
  size: '',
}
const INFO = {
  down: 0,
  free: -1,
  id: Buffer.alloc(20, 3),
  name: 'host',
  port: 7_000,
  rep: 0,
  role: 'host',
  start: 1,
  t: 'info',
  up: 0,
  ver: '0.1.0',
  want: 1,
}

const pageOf = (entry: object): Uint8Array => encoded({ drop: [], more: 0, put: [entry], t: 'shards' })
const ROTTEN = { rottenShards: 2, recheckedAt: 1_700_000_000_000 } as const
const KEPT_OUT = { 'datagrams-malformed': 3, 'peers-flooding': 0 } as const
const kindOf = (at: number): string => `kind-${String.fromCharCode(97 + (at % 26))}${at < 26 ? '' : 'x'}`
const isTaken = (bytes: Uint8Array): boolean => {
  try {
    decodeMessage(bytes)
    return true
  } catch (error) {
    if (error instanceof MalformedMessage) return false
    throw error
  }
}

test('what is encoded comes back as it was', () => {
  const messages: readonly CatalogueMessage[] = [
    { type: 'info', info: infoOf(1), wantsCatalogue: true },
    { type: 'info', info: infoOf(2, { role: 'coordinator', freeDiskBytes: null }), wantsCatalogue: false },
    { type: 'info', info: infoOf(3, { integrity: ROTTEN, keptOut: KEPT_OUT }), wantsCatalogue: true },
    {
      type: 'info',
      info: infoOf(4, { integrity: { rottenShards: 0, recheckedAt: null } }),
      wantsCatalogue: true,
    },
    page(),
    page({ state: 'fetching', verifiedBytes: 5, architecture: null, sizeLabel: '8x7B', number: 3, count: 4 }),
    page({ length: Number.MAX_SAFE_INTEGER, verifiedBytes: Number.MAX_SAFE_INTEGER }),
    { type: 'shards', put: [], drop: [hashOf(5), hashOf(6)], isPartial: true },
    { type: 'bye' },
  ]
  for (const message of messages) assert.deepEqual(decodeMessage(encodeMessage(message)), message)
  const { replicating, freeDiskBytes, uploadBytesPerSecond, downloadBytesPerSecond } = infoOf(1)
  const info = { replicating, freeDiskBytes, uploadBytesPerSecond, downloadBytesPerSecond }
  for (const more of [{}, { integrity: ROTTEN, strangersRefused: 0, keptOut: KEPT_OUT }]) {
    const beat = { type: 'beat', info: { ...info, ...more }, shardCount: 10_000 } as const
    assert.deepEqual(decodeMessage(encodeMessage(beat)), beat)
  }
})

test('unknown fields and unknown types of message are passed over', () => {
  assert.equal(decodeMessage(encoded({ t: 'gossip', x: [1, { y: 2 }] })), null)
  assert.ok(isTaken(pageOf({ ...ENTRY, licence: 'mit', zz: { deep: [[[]]] } })))
  assert.ok(isTaken(encoded({ ...INFO, motto: 'x' })))
  const odd = decodeMessage(encoded({ ...INFO, role: 'archivist' }))
  assert.equal(
    odd?.type === 'info' && odd.info.role,
    'coordinator',
    'a role of a later version has no catalogue',
  )
})

test('numbers: each field at its limits and past them', () => {
  const limits: readonly (readonly [string, number, number])[] = [
    ['len', 1, Number.MAX_SAFE_INTEGER],
    ['pl', 16_384, 268_435_456],
    ['of', 1, 99_999],
  ]
  for (const [field, min, max] of limits) {
    for (const value of [min, max])
      assert.ok(isTaken(pageOf({ ...ENTRY, [field]: value })), `${field} ${value}`)
    for (const value of [min - 1, -1])
      assert.ok(!isTaken(pageOf({ ...ENTRY, [field]: value })), `${field} ${value}`)
    if (max < Number.MAX_SAFE_INTEGER) assert.ok(!isTaken(pageOf({ ...ENTRY, [field]: max + 1 })))
    for (const value of ['1', [1], { a: 1 }]) assert.ok(!isTaken(pageOf({ ...ENTRY, [field]: value })), field)
  }
  assert.ok(!isTaken(pageOf({ ...ENTRY, no: 0 })))
  assert.ok(!isTaken(pageOf({ ...ENTRY, no: 2, of: 1 })), 'shard 2 of 1')
  assert.ok(isTaken(pageOf({ ...ENTRY, s: 0, have: 1_000 })))
  assert.ok(!isTaken(pageOf({ ...ENTRY, s: 0, have: 1_001 })), 'more than all of it')
  for (const port of [0, 65_536, -1]) assert.ok(!isTaken(encoded({ ...INFO, port })), `port ${port}`)
  for (const start of [-1, 8.64e15 + 1]) assert.ok(!isTaken(encoded({ ...INFO, start })), 'no date')
  assert.ok(!isTaken(encoded({ ...INFO, free: -2 })))
  assert.ok(!isTaken(encoded({ ...INFO, out: -1 })))
  const kinds = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, at) => [kindOf(at), at]))
  assert.ok(isTaken(encoded({ ...INFO, kept: kinds(32) })))
  assert.ok(!isTaken(encoded({ ...INFO, kept: kinds(33) })), 'too many kinds')
  for (const kept of [{ a: -1 }, { a: '1' }, { A: 1 }, { [`a${'b'.repeat(32)}`]: 1 }, [1], 1])
    assert.ok(!isTaken(encoded({ ...INFO, kept })), JSON.stringify(kept))
  assert.ok(isTaken(encoded({ ...INFO, rot: 10_000, sound: -1 })))
  for (const [rot, sound] of [
    [10_001, 0],
    [0, -2],
    [0, 8.64e15 + 1],
  ]) {
    assert.ok(!isTaken(encoded({ ...INFO, rot, sound })), `${rot} rotten, ${sound}`)
  }
  assert.ok(!isTaken(encoded({ ...INFO, rot: 0 })), 'one without the other')
  for (const n of [-1, 10_001]) assert.ok(!isTaken(encoded({ ...INFO, t: 'beat', n })))
})

test('2^53 and more, minus zero, leading zeros and no digits at all are not numbers', () => {
  const text = Buffer.from(pageOf(ENTRY)).toString('latin1')
  for (const digits of ['9007199254740992', '99999999999999999999', '-0', '007', '', '1.5', '1e3', '+1']) {
    const bytes = Buffer.from(text.replace('3:leni1000e', `3:leni${digits}e`), 'latin1')
    assert.ok(!isTaken(bytes), `i${digits}e`)
  }
})

test('names: nothing that is a path, hidden, a device, unprintable, too long or no shard', () => {
  const bad = [
    '../x.gguf', '..', '.', '', '/etc/x.gguf', 'a/b.gguf', 'a\\b.gguf', 'C:\\x.gguf', '.hidden.gguf',
    'a\0.gguf', 'a\n.gguf', 'a\u001b[31m.gguf', 'a\u0085.gguf', 'con.gguf', 'NUL.gguf', 'lpt1.gguf',
    '\u202efugg.gguf', 'x\u200b.gguf', 'run.sh', 'x.gguf.exe', 'gguf', `${'n'.repeat(251)}.gguf`, `${'ü'.repeat(126)}.gguf`,
  ] // biome-ignore format: a table
  for (const name of bad) {
    assert.ok(!isTaken(pageOf({ ...ENTRY, name })), JSON.stringify(name))
    assert.ok(offerProblem(shardOf(1, { name })) !== undefined, `offered: ${JSON.stringify(name)}`)
  }
  for (const model of ['../x', '/x', '', 'a\0', '.x', 'aux']) {
    assert.ok(!isTaken(pageOf({ ...ENTRY, model })), JSON.stringify(model))
  }
  const good = [
    'm.gguf', 'M.GGUF', `${'n'.repeat(250)}.gguf`, 'модель.gguf', '模型-00001-of-00002.gguf', 'a b.gguf',
    '<img src=x onerror=alert(1)>.gguf', '$(reboot).gguf', '--help.gguf',
  ] // biome-ignore format: a table
  for (const name of good) assert.ok(isTaken(pageOf({ ...ENTRY, name })), JSON.stringify(name))
})

test('bytes that are no UTF-8 are no name: they would become the name of another file', () => {
  const name = Buffer.from([0xff, 0xfe, 0x41, ...Buffer.from('.gguf')])
  assert.ok(!isTaken(pageOf({ ...ENTRY, name })))
  assert.ok(!isTaken(pageOf({ ...ENTRY, model: Buffer.from([0xc0, 0xaf]) })))
})

test('texts for people have 255 bytes at most, and may hold anything', () => {
  for (const field of ['name', 'ver'] as const) {
    assert.ok(isTaken(encoded({ ...INFO, [field]: 'x'.repeat(255) })))
    assert.ok(!isTaken(encoded({ ...INFO, [field]: 'x'.repeat(256) })))
    assert.ok(isTaken(encoded({ ...INFO, [field]: '<b>\u001b[2J\u202e' })))
    assert.ok(!isTaken(encoded({ ...INFO, [field]: 5 })))
  }
  assert.ok(!isTaken(pageOf({ ...ENTRY, arch: 'x'.repeat(256) })))
})

test('hashes and ids have their length', () => {
  for (const [field, length] of [
    ['h', 20],
    ['sha', 32],
  ] as const) {
    for (const wrong of [0, length - 1, length + 1, 2 * length]) {
      assert.ok(!isTaken(pageOf({ ...ENTRY, [field]: Buffer.alloc(wrong) })), `${field} of ${wrong}`)
    }
  }
  assert.ok(!isTaken(encoded({ ...INFO, id: Buffer.alloc(19) })))
  assert.ok(!isTaken(encoded({ drop: [Buffer.alloc(21)], more: 0, put: [], t: 'shards' })))
})

test('each field that is missing, and each of another kind, is malformed', () => {
  for (const field of Object.keys(ENTRY).filter((key) => key !== 's' && key !== 'have')) {
    const { [field as 'h']: _, ...rest } = ENTRY
    assert.ok(!isTaken(pageOf(rest)), `without ${field}`)
    assert.ok(!isTaken(pageOf({ ...ENTRY, [field]: [] })), `${field} a list`)
    assert.ok(!isTaken(pageOf({ ...ENTRY, [field]: {} })), `${field} a dictionary`)
  }
  for (const field of ['id', 'name', 'port', 'role', 'start', 'up', 'down', 'free', 'ver', 't'] as const) {
    const { [field]: _, ...rest } = INFO
    assert.ok(!isTaken(encoded(rest)), `without ${field}`)
  }
  for (const put of [{}, 'x', 5, [5], ['x'], [[]]]) {
    assert.ok(!isTaken(encoded({ drop: [], more: 0, put, t: 'shards' })), JSON.stringify(put))
  }
})

test('lists: a page of 1,000 entries or 3,000 withdrawals fits, one more does not', () => {
  const drops = (count: number): Uint8Array =>
    encoded({ drop: Array.from({ length: count }, () => Buffer.alloc(20)), more: 0, put: [], t: 'shards' })
  assert.ok(drops(2_500).length < 64 * 1024 && isTaken(drops(2_500)))
  assert.ok(!isTaken(drops(3_001)))
  const empty = encoded({ drop: [], more: 0, put: Array.from({ length: 1_001 }, () => ({})), t: 'shards' })
  assert.ok(!isTaken(empty))
})

test('a page of the longest names is within a frame', () => {
  const longest = shardOf(1, {
    name: `${'n'.repeat(250)}.gguf`,
    model: 'm'.repeat(255),
    architecture: 'a'.repeat(255),
  })
  const put = Array.from({ length: 50 }, (_, at) => ({ ...longest, infoHash: hashOf(at) }))
  const bytes = encodeMessage({ type: 'shards', put, drop: [], isPartial: true })
  assert.ok(bytes.length <= 64 * 1024, `${bytes.length} bytes`)
})

test('nesting, huge lengths and bytes after the end are malformed', () => {
  const nested = Buffer.from(`d1:x${'l'.repeat(10_000)}${'e'.repeat(10_000)}e`)
  for (const bytes of [
    nested,
    Buffer.from('d1:x99999999999:e'),
    Buffer.from('d1:x-3:abce'),
    Buffer.from('d1:xl-3:ee'),
    Buffer.from('d1:t3:byee1:z'),
    Buffer.from('d1:t3:bye1:t3:byee'),
    Buffer.from('l3:byee'),
    Buffer.from('3:bye'),
    Buffer.alloc(0),
    Buffer.alloc(64 * 1024 + 1, 'd'),
  ]) {
    assert.ok(!isTaken(bytes), bytes.subarray(0, 20).toString('latin1'))
  }
})

test('keys that mean something to JavaScript mean nothing here', () => {
  const entry = Buffer.from(pageOf(ENTRY)).toString('latin1')
  const withKey = (key: string): Uint8Array =>
    Buffer.from(entry.replace('4:arch0:', `4:arch0:${key.length}:${key}1:x`), 'latin1')
  assert.throws(() => decodeMessage(withKey('__proto__')), MalformedMessage)
  const message = decodeMessage(withKey('constructor'))
  assert.ok(message?.type === 'shards')
  assert.deepEqual(Object.keys(message.put[0]!).sort(), Object.keys(shardOf(1)).sort())
  assert.equal(message.put[0]!.infoHash, '01'.repeat(20))
})
