/** Catalogue messages of any content, and conversations in any order, between members of a fleet and strangers. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc, { type Arbitrary } from 'fast-check'
import { Roster } from '../../src/fleet/membership/roster.ts'
import { FleetPicture } from '../../src/fleet/picture/fleet-picture.ts'
import type { FleetStatus } from '../../src/fleet/status.ts'
import { nameProblem } from '../../src/metainfo/file-name.ts'
import { infoHashOfInfo } from '../../src/metainfo/info-hash.ts'
import {
  decodeHello,
  decodeMessage,
  decodeProof,
  encodeHello,
  encodeMessage,
  encodeProof,
  MalformedMessage,
} from '../../src/swarm/catalogue/catalogue-codec.ts'
import { RefusedPeer } from '../../src/swarm/catalogue/catalogue-session.ts'
import { infoOf, shardOf, speaker } from '../swarm-unit/catalogue-kit.ts'
import {
  almostBencode,
  damaged,
  dictionaryOf,
  nastyBytes,
  nastyInteger,
  nastyValue,
  usually,
} from './grammar.ts'
import { holds, refuses } from './property.ts'

const text = fc.oneof(
  fc
    .constantFrom('llama', '', '\u001b[2J', '\u202e', 'x'.repeat(300), '\ufeff')
    .map((plain) => Buffer.from(plain)),
  nastyBytes,
)
const fileName = fc.oneof(
  fc
    .constantFrom('a.gguf', '../a.gguf', '.a.gguf', 'nul.gguf', 'a/b.gguf', 'A.GGUF', 'a.txt')
    .map((name) => Buffer.from(name)),
  nastyBytes,
)
const number = usually(fc.integer({ min: 1, max: 100_000 }), nastyInteger)
const hash = fc.uint8Array({ minLength: 20, maxLength: 20 })

const entryFields: Readonly<Record<string, Arbitrary<unknown>>> = {
  arch: text,
  h: hash,
  have: number,
  len: number,
  model: fileName,
  name: fileName,
  no: usually(fc.constant(1), nastyInteger),
  of: usually(fc.constant(1), nastyInteger),
  pl: usually(fc.constant(262_144), nastyInteger),
  s: fc.constantFrom(0, 1, 2),
  sha: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  size: text,
}
const entry = fc.record(entryFields, {
  requiredKeys: ['h', 'len', 'model', 'name', 'no', 'of', 'pl', 'sha', 'arch', 'size'],
})
const beatFields = {
  down: number,
  free: number,
  kept: usually(
    fc.constant({ 'peers-flooding': 1 }),
    fc.dictionary(fc.constantFrom('peers-flooding', 'A', '', 'constructor'), number, { maxKeys: 3 }),
  ),
  n: number,
  rep: fc.constantFrom(0, 1),
  up: number,
}

const message: Arbitrary<Uint8Array> = fc.oneof(
  dictionaryOf({ ...beatFields, t: fc.constant('beat') }),
  dictionaryOf({
    ...beatFields,
    t: fc.constant('info'),
    id: hash,
    name: text,
    port: usually(fc.constant(6_881), nastyInteger),
    role: fc.constantFrom('host', 'coordinator', 'other'),
    start: number,
    ver: text,
    want: fc.constantFrom(0, 1),
  }),
  dictionaryOf({
    t: fc.constant('shards'),
    put: fc.array(fc.oneof({ weight: 5, arbitrary: entry }, { weight: 1, arbitrary: nastyValue }), {
      maxLength: 8,
    }),
    drop: fc.array(fc.oneof(hash, nastyBytes), { maxLength: 8 }),
    more: fc.constantFrom(0, 1),
  }),
  dictionaryOf({ t: fc.constantFrom('bye', 'later', '__proto__'), x: nastyValue }),
  dictionaryOf({ t: fc.constant('hello'), v: number, n: fc.uint8Array({ minLength: 32, maxLength: 32 }) }),
  dictionaryOf({ t: fc.constant('proof'), p: fc.uint8Array({ minLength: 32, maxLength: 32 }) }),
  almostBencode,
)

test('messages: refused, or within their limits and the same when they are told on', async (t) => {
  let taken = 0
  await holds(
    t,
    damaged(message),
    async (bytes) => {
      const hello = await refuses(() => decodeHello(bytes), MalformedMessage)
      if (hello !== undefined) assert.equal(hello.nonce.length, 32)
      const proof = await refuses(() => decodeProof(bytes), MalformedMessage)
      if (proof !== undefined) assert.equal(proof.length, 32)
      const read = await refuses(() => decodeMessage(bytes), MalformedMessage)
      if (read == null) return
      taken++
      if (read.type === 'shards') {
        for (const { name, model, number, count, length, verifiedBytes } of read.put) {
          assert.equal(nameProblem(name) ?? nameProblem(model), undefined)
          assert.match(name, /\.gguf$/i)
          assert.ok(number >= 1 && number <= count && verifiedBytes <= length)
        }
      }
      // Text that was no UTF-8 has more bytes now, and may be too long to be told on.
      const again = await refuses(() => decodeMessage(encodeMessage(read)), MalformedMessage)
      if (again !== undefined) assert.deepEqual(again, read)
    },
    { runs: 1_500 },
  )
  assert.ok(taken > 50, `only ${taken} were taken, so little was tried`)
})

/** What is said next in a conversation. */
type Step =
  | { readonly honest: 'hello' | 'proof' | 'info' | 'shards' | 'repeat' | 'mirror' }
  | { readonly bytes: Uint8Array }
const step: Arbitrary<Step> = fc.oneof(
  fc
    .constantFrom('hello', 'proof', 'info', 'shards', 'repeat', 'mirror')
    .map((honest) => ({ honest }) as Step),
  damaged(message).map((bytes) => ({ bytes })),
)

/** Some begin as they should, or hardly any would come so far that a member is heard. */
const opening = fc.constantFrom<readonly Step[]>(
  [],
  [{ honest: 'hello' }],
  [{ honest: 'hello' }, { honest: 'proof' }],
  [{ honest: 'hello' }, { honest: 'proof' }, { honest: 'info' }],
)

test('conversations: who does not hold the key is never heard, whatever is said in whatever order', async (t) => {
  let heard = 0
  await holds(
    t,
    fc.tuple(fc.boolean(), opening, fc.array(step, { maxLength: 12 })),
    ([isMember, begun, more]) => {
      const steps = [...begun, ...more]
      const us = speaker('acceptor')
      const them = speaker('initiator', isMember ? undefined : new Uint8Array(32))
      let last: Uint8Array = them.sent[0]!
      for (const next of steps) {
        if ('bytes' in next) last = next.bytes
        else if (next.honest === 'hello') last = them.sent[0]!
        else if (next.honest === 'mirror') last = us.sent.at(-1)!
        else if (next.honest === 'proof') {
          if (them.sent.length === 1) them.session.receive(us.sent[0]!)
          last = them.sent[1]!
          if (isMember && us.sent[1] !== undefined && !them.session.isProved)
            tryTo(() => them.session.receive(us.sent[1]!))
        } else if (next.honest !== 'repeat' && them.session.isProved) {
          const info = { type: 'info', info: infoOf(1), wantsCatalogue: true } as const
          const shards = { type: 'shards', put: [shardOf(1)], drop: [], isPartial: false } as const
          them.session.send(next.honest === 'info' ? info : shards)
          last = them.sent.at(-1)!
        }
        const said = tryTo(() => us.session.receive(last))
        if (said === undefined || said === null) continue
        assert.ok(isMember, `a stranger is heard: ${said.type}`)
        heard++
      }
      if (!isMember) assert.equal(us.session.isProved, false)
    },
    { runs: 1_000 },
  )
  assert.ok(heard > 50, `members were heard ${heard} times, so little was tried`)
})

function tryTo<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    if (error instanceof RefusedPeer) return undefined
    throw error
  }
}

/** What happens to a fleet: a member says something, comes, goes, or time passes. */
type Happening =
  | { readonly kind: 'says'; readonly host: number; readonly frame: Uint8Array }
  | { readonly kind: 'comes' | 'leaves' | 'breaks off'; readonly host: number }
  | { readonly kind: 'time'; readonly ms: number }
/** Some of three shards, whole or on the way, as an honest host tells of them. */
const offer: Arbitrary<Uint8Array> = fc
  .tuple(
    fc.uniqueArray(fc.integer({ min: 1, max: 3 })),
    fc.constantFrom<'seeding' | 'fetching'>('seeding', 'fetching'),
  )
  .map(([numbers, state]) => {
    const put = numbers.map((number) => shardOf(number, { state }))
    return encodeMessage({ type: 'shards', put, drop: [], isPartial: false })
  })
const hostNumber = fc.integer({ min: 1, max: 4 })
const happening: Arbitrary<Happening> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('says' as const),
      host: hostNumber,
      frame: fc.oneof(message, offer),
    }),
  },
  fc.record({
    kind: fc.constantFrom('comes' as const, 'leaves' as const, 'breaks off' as const),
    host: hostNumber,
  }),
  fc.record({ kind: fc.constant('time' as const), ms: fc.constantFrom(0, 4_000, 6_000, 40_000) }),
)

/** Chance alone may never lead to two copies of one shard. */
const TWO_COPIES: readonly Happening[] = [1, 2].flatMap((host) => [
  { kind: 'comes', host },
  {
    kind: 'says',
    host,
    frame: encodeMessage({
      type: 'shards',
      put: [shardOf(1, { state: 'seeding' })],
      drop: [],
      isPartial: false,
    }),
  },
])

test('the picture adds up, whatever members tell', async (t) => {
  let most = 0
  await holds(
    t,
    fc.tuple(fc.constantFrom([], TWO_COPIES), fc.array(happening, { maxLength: 40 })),
    ([before, after]) => {
      let now = 0
      const rendezvous = infoHashOfInfo(new Uint8Array())
      const fleet = { name: 'fuzz', keyed: false, rendezvous }
      const picture = new FleetPicture({ fleet, wantedReplicas: 2, onChange: () => undefined })
      const roster = new Roster(picture, () => now)
      for (const next of [...before, ...after]) {
        if (next.kind === 'time') now += next.ms
        else if (next.kind === 'comes') roster.online(infoOf(next.host), '127.0.0.1')
        else if (next.kind === 'says') tell(roster, next.host, next.frame)
        else roster.away(infoOf(next.host).hostId, next.kind === 'leaves')
        roster.sweep()
        most = Math.max(most, assertAddsUp(picture.snapshot(SELF)))
      }
    },
    { runs: 150 },
  )
  assert.ok(most > 1, 'no fleet had two copies, so little was tried')
})

const SELF = {
  hostId: 'f'.repeat(40),
  version: '0',
  startedAt: '',
  dhtNodes: 0,
  isolated: false,
  turnedAway: {},
}

function tell(roster: Roster, host: number, frame: Uint8Array): void {
  try {
    const said = decodeMessage(frame)
    if (said?.type === 'info') roster.online({ ...said.info, hostId: infoOf(host).hostId }, '127.0.0.1')
    else if (said?.type === 'beat' || said?.type === 'shards') roster.told(infoOf(host).hostId, said)
  } catch (error) {
    if (!(error instanceof MalformedMessage || error instanceof RefusedPeer)) throw error
    roster.away(infoOf(host).hostId, false) // as its connection is closed
  }
}

/** The numbers of a snapshot fit each other, and all of it can be shown. Gives the copies. */
function assertAddsUp(status: FleetStatus): number {
  const { totals, hosts, shards, models } = status
  const online = new Set(hosts.filter(({ state }) => state === 'online').map(({ hostId }) => hostId))
  assert.equal(totals.hostsOnline, online.size)
  assert.equal(totals.hostsOnline + totals.hostsLost, hosts.length)
  assert.equal(
    totals.copies,
    shards.reduce((sum, { wholeSeeds }) => sum + wholeSeeds, 0),
  )
  for (const { copies, wholeSeeds, length } of shards) {
    assert.ok(copies.length > 0, 'a shard that nobody offers is not shown')
    const whole = copies.filter(({ hostId, state }) => state === 'seeding' && online.has(hostId))
    assert.equal(wholeSeeds, whole.length)
    for (const { verifiedBytes } of copies) assert.ok(verifiedBytes >= 0 && verifiedBytes <= length)
  }
  const grouped = models.flatMap((model) => model.shards.flat())
  assert.equal(new Set(grouped).size, shards.length, 'each shard belongs to a model')
  JSON.stringify(status, (key, value: unknown) => {
    assert.ok(typeof value !== 'number' || Number.isFinite(value), `${key} is ${value}`)
    return value
  })
  return totals.copies
}

test('the openings are what they were made from', async (t) => {
  const inputs = fc.tuple(fc.nat(), fc.uint8Array({ minLength: 32, maxLength: 32 }))
  await holds(
    t,
    inputs,
    ([version, bytes]) => {
      assert.deepEqual(decodeHello(encodeHello({ version, nonce: bytes })), { version, nonce: bytes })
      assert.deepEqual(decodeProof(encodeProof(bytes)), bytes)
    },
    { runs: 100 },
  )
})
