/** What a name stands for in a fleet; nothing is guessed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KnownHost } from '../../../src/fleet/membership/roster.ts'
import { type FleetShard, nearNames, resolveName, shardsOf } from '../../../src/fleet/names/names.ts'
import { formatShardName } from '../../../src/gguf/shards.ts'
import { type InfoHash, parseInfoHash } from '../../../src/metainfo/info-hash.ts'
import type { OfferedShard } from '../../../src/swarm/catalogue/catalogue-entry.ts'
import { cpuTimeMs } from '../../helpers/cpu-time.ts'

const hash = (seed: number): InfoHash => parseInfoHash(seed.toString(16).padStart(40, '0'))
const sha = (seed: number): string => seed.toString(16).padStart(64, '0')

function shard(seed: number, own: Partial<FleetShard> & { readonly name: string }): FleetShard {
  return {
    infoHash: hash(seed),
    length: 100,
    model: own.name.replace(/\.gguf$/, ''),
    number: 1,
    count: 1,
    wholeSeeds: 1,
    sha256s: [sha(seed)],
    addresses: ['10.0.0.1:1000'],
    isOffered: true,
    ...own,
  }
}

/** Shards of the set X, four unless told. */
function setOf(prefix: string, { count = 4, numbers = [1, 2, 3, 4], from = 1 } = {}): FleetShard[] {
  return numbers.map((number) =>
    shard(from + number, {
      name: formatShardName({ prefix, number, count }),
      model: prefix,
      number,
      count,
    }),
  )
}

const offer = (seed: number, own: Partial<OfferedShard> & { readonly name: string }): OfferedShard => ({
  infoHash: hash(seed),
  length: 100,
  pieceLength: 262_144,
  sha256: sha(seed),
  state: 'seeding',
  verifiedBytes: 100,
  model: own.name.replace(/\.gguf$/, ''),
  number: 1,
  count: 1,
  architecture: null,
  sizeLabel: null,
  ...own,
})

function host(at: number, shards: readonly OfferedShard[], own: Partial<KnownHost> = {}): KnownHost {
  return {
    info: {
      hostId: String(at).padStart(40, '0'),
      name: `host-${at}`,
      version: '0',
      role: 'host',
      startedAt: 0,
      port: 1000,
      replicating: false,
      freeDiskBytes: null,
      uploadBytesPerSecond: 0,
      downloadBytesPerSecond: 0,
    },
    address: `10.0.0.${at}:1000`,
    state: 'online',
    seenAt: 0,
    heardAtMs: 0,
    complete: true,
    shards: new Map(shards.map((shard) => [shard.infoHash, shard])),
    ...own,
  }
}

test('what hosts offer, each shard once', () => {
  const name = 'a.gguf'
  const hosts = [
    host(1, [offer(1, { name, state: 'fetching', verifiedBytes: 5, model: 'guess' })]),
    host(2, [offer(1, { name, model: 'known' })]),
    host(3, [offer(1, { name }), offer(2, { name: 'b.gguf' })], { state: 'lost' }),
    host(4, [offer(1, { name, sha256: sha(9) })]),
  ]
  const expected = shard(1, {
    name,
    model: 'known',
    wholeSeeds: 2,
    addresses: ['10.0.0.2:1000', '10.0.0.4:1000'],
    sha256s: [sha(1), sha(9)],
  })
  const lost = shard(2, { name: 'b.gguf', wholeSeeds: 0, addresses: [], isOffered: false })
  assert.deepEqual(shardsOf(hosts), [expected, lost])
  assert.deepEqual(shardsOf([...hosts].reverse())[0]?.wholeSeeds, 2)
  assert.deepEqual(shardsOf([]), [])
})

test('a shard by its file name', () => {
  const [a, b] = [shard(1, { name: 'a.gguf' }), shard(2, { name: 'b.gguf' })]
  assert.deepEqual(resolveName('b.gguf', [a, b]), { kind: 'shard', shard: b })
  const one = setOf('X')[2]!
  assert.deepEqual(resolveName(one.name, setOf('X')), { kind: 'shard', shard: one })
})

test('a model by its name, shards in order', () => {
  const found = resolveName('X', [...setOf('X').reverse(), shard(9, { name: 'y.gguf' })])
  assert.equal(found.kind, 'model')
  assert.ok(found.kind === 'model')
  assert.deepEqual(found.shards, setOf('X'))
  assert.deepEqual([found.model.name, found.model.count, found.model.length], ['X', 4, 400])
  const single = resolveName('y', [shard(9, { name: 'y.gguf' })])
  assert.equal(single.kind, 'model')
})

test('a file of a set that counts from 0 is found without its extension too', () => {
  const file = shard(1, { name: 'shard-0.gguf', model: 'shard', number: 1, count: 4 })
  assert.deepEqual(resolveName('shard-0', [file]), { kind: 'shard', shard: file })
})

test('an accent is the same however it is written', () => {
  const file = shard(1, { name: 'größer.gguf'.normalize('NFD') })
  assert.deepEqual(resolveName('größer.gguf'.normalize('NFC'), [file]), { kind: 'shard', shard: file })
})

test('two files under one name are both named and none is chosen', () => {
  const [a, b] = [
    shard(2, { name: 'a.gguf', wholeSeeds: 9 }),
    shard(1, { name: 'a.gguf', wholeSeeds: 0, addresses: [] }),
  ]
  assert.deepEqual(resolveName('a.gguf', [a, b]), {
    kind: 'ambiguous',
    what: 'shard',
    candidates: [b, a],
  })
  assert.equal(resolveName('a', [a, b]).kind, 'ambiguous')
})

test('a model with two files in one place', () => {
  const other = { ...setOf('X')[1]!, infoHash: hash(99) }
  assert.deepEqual(resolveName('X', [...setOf('X'), other]), {
    kind: 'ambiguous',
    what: 'model',
    candidates: [setOf('X')[1], other],
  })
})

test('two sets under one name', () => {
  const found = resolveName('X', [...setOf('X'), ...setOf('X', { count: 2, numbers: [1, 2], from: 50 })])
  assert.ok(found.kind === 'ambiguous' && found.what === 'model')
  assert.equal(found.candidates.length, 6)
})

test('different SHA-256 told of one file are for a person to judge', () => {
  const doubted = { ...setOf('X')[1]!, sha256s: [sha(1), sha(2)] }
  assert.deepEqual(resolveName(doubted.name, [doubted]), {
    kind: 'ambiguous',
    what: 'shard',
    candidates: [doubted],
  })
  assert.deepEqual(resolveName('X', [...setOf('X', { numbers: [1, 3, 4] }), doubted]), {
    kind: 'ambiguous',
    what: 'model',
    candidates: [doubted],
  })
})

test('what a lost host had does not make a name ambiguous', () => {
  const lost = shard(1, { name: 'a.gguf', wholeSeeds: 0, addresses: [], isOffered: false })
  const here = shard(2, { name: 'a.gguf' })
  assert.deepEqual(resolveName('a.gguf', [lost, here]), { kind: 'shard', shard: here })
  assert.deepEqual(resolveName('a.gguf', [lost]), {
    kind: 'incomplete',
    count: 1,
    missing: [{ number: 1, name: 'a.gguf' }],
  })
})

test('a model that lacks shards says which', () => {
  const [, , third] = setOf('X')
  const known = { ...third!, wholeSeeds: 0, addresses: [] }
  assert.deepEqual(resolveName('X', [...setOf('X', { numbers: [1, 4] }), known]), {
    kind: 'incomplete',
    count: 4,
    missing: [
      { number: 2, name: 'X-00002-of-00004.gguf' },
      { number: 3, name: 'X-00003-of-00004.gguf' },
    ],
  })
  const odd = shard(1, { name: 'shard-0.gguf', model: 'shard', number: 1, count: 2 })
  assert.deepEqual(resolveName('shard', [odd]), {
    kind: 'incomplete',
    count: 2,
    missing: [{ number: 2, name: null }],
  })
})

test('an unknown name has near ones', () => {
  const names = ['Llama-3.1-8B-Instruct-Q4_K_M', 'Qwen2-7B.gguf', 'mistral-7b.gguf', 'llama-2-13b']
  const found = resolveName(
    'lama-3.1-8b-instruct',
    names.map((name, seed) => shard(seed, { name })),
  )
  assert.ok(found.kind === 'unknown')
  assert.equal(found.near[0], names[0])
  assert.ok(!found.near.includes('Qwen2-7B.gguf'))
  assert.deepEqual(nearNames('qwen2 7b', names), ['Qwen2-7B.gguf'])
  assert.deepEqual(nearNames('nothing like it', names), [])
  assert.deepEqual(nearNames('...', names), [])
  const nearSet = resolveName('Y', [...setOf('y-1'), shard(50, { name: 'z.gguf' })])
  assert.deepEqual(nearSet, { kind: 'unknown', near: ['y-1'], known: 7 }, 'a set is named once')
  assert.deepEqual(resolveName('x', []), { kind: 'unknown', near: [], known: 0 })
})

test('a hundred thousand names do not hold anything up', () => {
  const names = Array.from({ length: 100_000 }, (_, at) => `model-${at}-00001-of-00004.gguf`)
  const startedAt = cpuTimeMs()
  assert.equal(nearNames('model-77', names).length, 5)
  assert.ok(cpuTimeMs() - startedAt < 2_000)
})
