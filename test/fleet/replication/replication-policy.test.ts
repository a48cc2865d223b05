/** What a host decides to fetch: alone in a made-up situation, and among many in a simulated fleet. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { compileGlob } from '../../../src/fleet/replication/glob.ts'
import { scoreOf, wordOf } from '../../../src/fleet/replication/host-score.ts'
import {
  type Decision,
  decide,
  type FleetHost,
  GRACE_MS,
  INTENT_MS,
  MAX_FETCHES,
  REPAIR_MS,
  type ReplicationPolicy,
  type Situation,
} from '../../../src/fleet/replication/replication-policy.ts'
import { Supply } from '../../../src/fleet/replication/supply.ts'
import type { InfoHash } from '../../../src/metainfo/info-hash.ts'
import type { OfferedShard } from '../../../src/swarm/catalogue/catalogue-entry.ts'
import { cpuTimeMs } from '../../helpers/cpu-time.ts'
import { TEST_SEED } from '../../helpers/random.ts'
import { type HostSettings, offered, SimulatedFleet } from './simulated-fleet.ts'

const NOW = 1_000_000
const ALL: ReplicationPolicy = { replicas: null, maxBytes: null, minFreeBytes: 0 }
const hostIds = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => createHash('sha1').update(`id ${at}`).digest('hex'))
const [SELF = '', ...OTHERS] = hostIds(20)

const asHost = (hostId: string): FleetHost => ({ hostId, replicating: true, freeDiskBytes: null })

/** A host that has nothing and room for everything, with three others online. */
function decideWith(supply: Supply, policy: ReplicationPolicy, change: Partial<Situation> = {}): Decision {
  return decide(policy, {
    nowMs: NOW,
    hostId: SELF,
    hosts: OTHERS.slice(0, 3).map(asHost),
    shards: supply.shards(),
    shardOf: (infoHash) => supply.get(infoHash),
    problemOf: (shard) => supply.problemOf(shard),
    openAtMs: () => 0,
    running: new Map(),
    lengthOf: (infoHash) => supply.get(infoHash)!.shard.length,
    keptBytes: 0,
    heldBytes: () => 0,
    freeBytes: Number.MAX_SAFE_INTEGER,
    strikesOf: () => 0,
    ...change,
  })
}

const supplyOf = (...offers: readonly (readonly [host: number, shard: OfferedShard])[]): Supply => {
  const supply = new Supply(() => true)
  for (const [host, shard] of offers) supply.put(OTHERS[host]!, shard, 0)
  return supply
}
const started = ({ start }: Decision): InfoHash[] => start.map(({ shard }) => shard.infoHash)
const [A, B, C] = [offered(1), offered(2), offered(3)]

test('the rarest first, so many at once', () => {
  const supply = supplyOf([0, A], [1, A], [2, A], [0, B], [0, C], [1, C])
  assert.deepEqual(started(decideWith(supply, ALL)), [B.infoHash, C.infoHash])
  const running = new Map([[B.infoHash, 0]])
  assert.deepEqual(started(decideWith(supply, ALL, { running })), [C.infoHash])
  running.set(C.infoHash, 0)
  assert.equal(MAX_FETCHES, 2)
  assert.deepEqual(started(decideWith(supply, ALL, { running })), [])
})

test('equally rare shards: hosts begin with different ones', (t) => {
  t.diagnostic(`seed ${TEST_SEED}`)
  const fleet = new SimulatedFleet(TEST_SEED)
  const shards = Array.from({ length: 20 }, (_, at) => offered(at))
  for (const shard of shards) fleet.add(settings(fleet, ALL), [shard])
  fleet.run(20_000)
  const firsts = fleet.firstStarts.flat()
  assert.equal(firsts.length, 20 * MAX_FETCHES)
  const most = Math.max(...shards.map(({ infoHash }) => firsts.filter((first) => first === infoHash).length))
  assert.ok(most <= 8, `${most} of 20 hosts began with the same of 20 shards`)
  fleet.run(900_000)
  for (const { infoHash } of shards) assert.equal(fleet.copies(infoHash).length, 20)
})

test('nothing is fetched that nobody has whole, that is here, refused, or not due yet', () => {
  const supply = supplyOf([0, { ...A, state: 'fetching', verifiedBytes: 5 }], [0, B], [0, C])
  const openAtMs = ({ infoHash }: OfferedShard): number =>
    infoHash === B.infoHash ? Number.POSITIVE_INFINITY : NOW + 5_000
  const decision = decideWith(supply, ALL, { openAtMs })
  assert.deepEqual(started(decision), [])
  assert.equal(decision.againAtMs, NOW + 5_000)
})

test('--max-bytes: what fits is taken, and what does not is named', () => {
  const [large, small] = [offered(1, { length: 900 }), offered(2, { length: 100 })]
  const supply = supplyOf([0, large], [0, small], [1, small])
  const policy = { ...ALL, maxBytes: 1_000 }
  const decision = decideWith(supply, policy, { keptBytes: 300 })
  assert.deepEqual(started(decision), [small.infoHash])
  assert.equal(decision.lacking?.shard.shard, large)
  assert.deepEqual(decision.lacking && { ...decision.lacking, shard: null, candidate: null }, {
    shard: null,
    candidate: null,
    limit: 'max-bytes',
    missingBytes: 200,
  })
  assert.deepEqual(started(decideWith(supply, policy)), [large.infoHash, small.infoHash], 'exactly full')
  const running = new Map([[small.infoHash, 0]])
  assert.deepEqual(started(decideWith(supply, { ...ALL, maxBytes: 999 }, { running })), [])
  const held = { heldBytes: () => 200, keptBytes: 200 } // what is there of it counts once
  assert.deepEqual(started(decideWith(supplyOf([0, large]), { ...ALL, maxBytes: 900 }, held)), [
    large.infoHash,
  ])
})

test('--min-free: what is being fetched is counted, and given up when others fill the disk', () => {
  const [x, y] = [offered(1, { length: 500 }), offered(2, { length: 400 })]
  const supply = supplyOf([0, x], [0, y])
  const policy = { ...ALL, minFreeBytes: 1_000 }
  const running = new Map([[x.infoHash, 100]])
  assert.deepEqual(started(decideWith(supply, policy, { running, freeBytes: 1_800 })), [y.infoHash])
  const tight = decideWith(supply, policy, { running, freeBytes: 1_799 })
  assert.deepEqual(started(tight), [])
  assert.equal(tight.lacking?.limit, 'min-free')
  assert.deepEqual(tight.stop, [])
  assert.deepEqual(decideWith(supply, policy, { running, freeBytes: 999 }).stop, [
    { infoHash: x.infoHash, code: 'no-room' },
  ])
  running.set(x.infoHash, 500)
  assert.deepEqual(decideWith(supply, policy, { running, freeBytes: 999 }).stop, [], 'it is all there')
  assert.deepEqual(started(decideWith(supply, ALL, { freeBytes: null })), [], 'a folder that is gone')
})

test('hosts that let us down do not keep us from the others', () => {
  const supply = supplyOf([1, A], [1, B], [2, B])
  for (let number = 10; number < 200; number++) supply.put(OTHERS[0]!, offered(number), 0)
  const strikesOf = (hostId: string): number => (hostId === OTHERS[0] ? 2 : 0)
  assert.deepEqual(started(decideWith(supply, ALL, { strikesOf })), [A.infoHash, B.infoHash])
})

test('names that some file system takes for one are one name', () => {
  const upper = offered(7, { name: 'caf\u00e9.gguf' })
  const twin = offered(8, { name: 'CAFE\u0301.gguf' })
  const supply = supplyOf([0, upper], [1, twin], [0, A])
  const { start, problems } = decideWith(supply, ALL)
  assert.deepEqual(
    start.map(({ shard }) => shard.infoHash),
    [A.infoHash],
  )
  assert.deepEqual(
    problems.map(({ problem }) => problem.code),
    ['name-conflict', 'name-conflict'],
  )
  supply.drop(OTHERS[1]!, twin.infoHash, NOW)
  assert.equal(decideWith(supply, ALL).start.length, 2)
})

test('one name for different files, different words about one file, pieces of another size: told, not fetched', () => {
  const rival = offered(7, { name: A.name })
  const liar = { ...B, sha256: 'f'.repeat(64) }
  const foreign = offered(8, { pieceLength: 1024 * 1024 })
  const supply = supplyOf([0, A], [1, rival], [0, B], [1, liar], [0, foreign])
  const { start, problems } = decideWith(supply, ALL)
  assert.deepEqual(start, [])
  const codes = problems.map(({ problem }) => problem.code).sort()
  assert.deepEqual(codes, ['disputed', 'foreign-pieces', 'name-conflict', 'name-conflict'])
  supply.drop(OTHERS[1]!, rival.infoHash, NOW)
  supply.drop(OTHERS[1]!, liar.infoHash, NOW)
  assert.deepEqual(new Set(started(decideWith(supply, ALL))), new Set([A.infoHash, B.infoHash]), 'it is over')
})

test('of a shard whose first witness is gone, the word of the others counts', () => {
  const supply = supplyOf([0, { ...A, name: 'old.gguf' }], [1, A])
  assert.equal(decideWith(supply, ALL).problems[0]?.problem.code, 'disputed')
  supply.drop(OTHERS[0]!, A.infoHash, NOW)
  assert.equal(decideWith(supply, ALL).start[0]?.shard.name, A.name)
  supply.put(OTHERS[2]!, offered(9, { name: 'old.gguf' }), NOW)
  assert.equal(decideWith(supply, ALL).problems.length, 0)
})

test('names that are no shards, or not wanted, are not even remembered', () => {
  const wants = compileGlob('llama*', '--want')
  const supply = new Supply(({ name, model }) => wants(name) || wants(model))
  supply.put(SELF, offered(1, { name: 'LLAMA-1.gguf' }), 0)
  supply.put(SELF, offered(2, { name: 'x.gguf', model: 'llama-2' }), 0)
  for (const name of [
    'other.gguf',
    'llama.txt',
    'llama.part.gguf',
    '.llama.gguf',
    'a/llama.gguf',
    '../llama.gguf',
  ]) {
    supply.put(SELF, offered(3, { name }), 0)
  }
  assert.deepEqual(
    [...supply.shards()].map(({ shard }) => shard.name),
    ['LLAMA-1.gguf', 'x.gguf'],
  )
})

const TWO: ReplicationPolicy = { ...ALL, replicas: 2 }
/** Ids of the others, the one with the highest score for a shard first. */
const ranked = (infoHash: InfoHash): string[] => {
  const score = (id: string): number => scoreOf(wordOf(id), wordOf(infoHash))
  return OTHERS.filter((id) => score(id) > score(SELF)).sort((a, b) => score(b) - score(a))
}
/** A shard for which so many of the others come before this host. */
const shardAfter = (before: number): OfferedShard => {
  for (let number = 0; ; number++) {
    const shard = offered(number)
    if (ranked(shard.infoHash).length === before) return shard
  }
}

test('--replicas: whoever is first begins, the next when nobody does', () => {
  const shard = shardAfter(2)
  const holder = OTHERS.find((id) => !ranked(shard.infoHash).includes(id))!
  const supply = new Supply(() => true)
  supply.put(holder, shard, NOW - GRACE_MS)
  const hosts = OTHERS.map(asHost)
  const decision = decideWith(supply, TWO, { hosts })
  assert.deepEqual(started(decision), [])
  assert.equal(decision.againAtMs, NOW + GRACE_MS, 'two hosts come before it, one copy is lacking')
  assert.deepEqual(started(decideWith(supply, TWO, { hosts, nowMs: NOW + GRACE_MS })), [shard.infoHash])
  assert.deepEqual(started(decideWith(supply, { ...TWO, replicas: 4 }, { hosts })), [shard.infoHash])
  const unable = hosts.map((host) => ({ ...host, freeDiskBytes: shard.length - 1 }))
  assert.deepEqual(
    started(decideWith(supply, TWO, { hosts: unable })),
    [shard.infoHash],
    'others have no room',
  )
  const passive = hosts.map((host) => ({ ...host, replicating: false }))
  assert.deepEqual(started(decideWith(supply, TWO, { hosts: passive })), [shard.infoHash])
})

test('--replicas: copies on their way count, until they stop moving', () => {
  const shard = shardAfter(0)
  const supply = supplyOf([0, shard], [1, { ...shard, state: 'fetching', verifiedBytes: 7 }])
  const later = (nowMs: number): InfoHash[] => started(decideWith(supply, TWO, { nowMs }))
  assert.deepEqual(later(INTENT_MS - 1), [])
  assert.deepEqual(later(INTENT_MS), [shard.infoHash])
  supply.put(OTHERS[1]!, { ...shard, state: 'fetching', verifiedBytes: 8 }, INTENT_MS)
  assert.deepEqual(later(INTENT_MS), [])
  supply.put(OTHERS[1]!, shard, INTENT_MS)
  assert.deepEqual(later(10 * INTENT_MS), [], 'whole now')
})

test('--replicas: a copy that is lost is made anew, but not while its host may be starting again', () => {
  const shard = shardAfter(0)
  const supply = supplyOf([0, shard], [1, shard])
  supply.drop(OTHERS[1]!, shard.infoHash, NOW)
  const decision = decideWith(supply, TWO)
  assert.deepEqual(started(decision), [])
  assert.equal(decision.againAtMs, NOW + REPAIR_MS)
  assert.deepEqual(started(decideWith(supply, TWO, { nowMs: NOW + REPAIR_MS })), [shard.infoHash])
  supply.put(OTHERS[1]!, shard, NOW + 20_000)
  assert.deepEqual(started(decideWith(supply, TWO, { nowMs: NOW + REPAIR_MS })), [])
})

test('--replicas: of too many that fetch, the last give up, and all of them once there are enough', () => {
  const [shard, lastShard] = [shardAfter(0), shardAfter(3)]
  const fetching = (one: OfferedShard, hosts: readonly string[]): Supply => {
    const supply = new Supply(() => true)
    supply.put(OTHERS.find((id) => !hosts.includes(id))!, one, 0)
    for (const host of hosts) supply.put(host, { ...one, state: 'fetching', verifiedBytes: 1 }, NOW)
    return supply
  }
  const running = (one: OfferedShard) => ({ running: new Map([[one.infoHash, 0]]) })
  const first = fetching(shard, OTHERS.slice(0, 2))
  assert.deepEqual(decideWith(first, TWO, running(shard)).stop, [], 'it is first')
  const others = ranked(lastShard.infoHash)
  const last = fetching(lastShard, others)
  const stop = [{ infoHash: lastShard.infoHash, code: 'surplus' }]
  assert.deepEqual(decideWith(last, TWO, running(lastShard)).stop, stop)
  assert.deepEqual(decideWith(last, { ...TWO, replicas: 5 }, running(lastShard)).stop, [], 'all are needed')
  assert.deepEqual(decideWith(last, ALL, running(lastShard)).stop, [], 'every host is to have it')
  for (const host of OTHERS.slice(0, 2)) first.put(host, shard, NOW)
  assert.equal(decideWith(first, TWO, running(shard)).stop.length, 1)
})

function settings(
  fleet: SimulatedFleet,
  policy: ReplicationPolicy,
  change: Partial<HostSettings> = {},
): HostSettings {
  return {
    joinsAtMs: fleet.random() * 6_000,
    bytesPerSecond: 50_000 + fleet.random() * 400_000,
    replicating: true,
    wants: () => true,
    policy,
    ...change,
  }
}

const THREE: ReplicationPolicy = { ...ALL, replicas: 3 }

/** 30 hosts, and 100 shards of which each is on one or two of them. */
function thirtyHosts(seed: number, change: (host: number) => Partial<HostSettings> = () => ({})) {
  const fleet = new SimulatedFleet(seed)
  const shards = Array.from({ length: 100 }, (_, number) =>
    offered(number, { length: 200_000 + Math.floor(fleet.random() * 3e6) }),
  )
  const own = Array.from({ length: 30 }, (): OfferedShard[] => [])
  let lackingBytes = 0
  for (const shard of shards) {
    const holders = new Set([Math.floor(fleet.random() * 30), Math.floor(fleet.random() * 30)])
    for (const holder of holders) own[holder]!.push(shard)
    lackingBytes += (3 - holders.size) * shard.length
  }
  const ids = own.map((list, host) => fleet.add(settings(fleet, THREE, change(host)), list))
  return { fleet, shards, ids, lackingBytes }
}

/** Runs until every shard has its copies, and a minute more. */
function settle(fleet: SimulatedFleet, shards: readonly OfferedShard[], copies: number): number {
  const isDone = (): boolean => shards.every(({ infoHash }) => fleet.copies(infoHash).length >= copies)
  while (!isDone() && fleet.nowMs < 1_200_000) fleet.run(fleet.nowMs + 5_000)
  const doneMs = fleet.nowMs
  fleet.run(doneMs + 60_000)
  return doneMs
}

test('thirty hosts, --replicas 3: exactly three copies of each, for hardly more bytes than that takes', (t) => {
  for (let seed = TEST_SEED; seed < TEST_SEED + 8; seed++) {
    const { fleet, shards, lackingBytes } = thirtyHosts(seed)
    const doneMs = settle(fleet, shards, 3)
    const wasted = fleet.fetchedBytes / lackingBytes - 1
    t.diagnostic(
      `seed ${seed}: done after ${doneMs / 1_000} s, ${(wasted * 100).toFixed(1)} % too much fetched, ` +
        `${fleet.givenUp} given up, at most ${fleet.mostTogether} whole and on their way`,
    )
    const counts = shards.map(({ infoHash }) => fleet.copies(infoHash).length)
    assert.ok(
      counts.every((count) => count === 3),
      `seed ${seed}: ${counts}`,
    )
    assert.equal(fleet.mostWhole, 3, `seed ${seed}: never more whole copies`)
    assert.ok(fleet.mostTogether <= 7, `seed ${seed}: ${fleet.mostTogether} whole and on their way`)
    assert.ok(wasted < 0.05, `seed ${seed}: ${fleet.fetchedBytes} of ${lackingBytes} bytes`)
  }
})

test('hosts that do not replicate, want other models or have no quota leave their part to the others', (t) => {
  t.diagnostic(`seed ${TEST_SEED}`)
  const quota = 2e6
  const { fleet, shards, ids } = thirtyHosts(TEST_SEED, (host) => {
    if (host % 3 === 0) return { replicating: false }
    if (host % 3 === 1) return { wants: ({ infoHash }) => infoHash > '8' }
    return host === 2 ? { policy: { ...THREE, maxBytes: quota } } : {}
  })
  settle(fleet, shards, 3)
  for (const { infoHash } of shards) assert.equal(fleet.copies(infoHash).length, 3)
  assert.equal(fleet.keptBytes(ids[0]!), 0)
  const kept = fleet.keptBytes(ids[2]!)
  assert.ok(kept > 0 && kept <= quota, `${kept}`)
})

test('five of thirty hosts die at once: three copies again', (t) => {
  t.diagnostic(`seed ${TEST_SEED}`)
  const { fleet, shards, ids } = thirtyHosts(TEST_SEED)
  settle(fleet, shards, 3)
  for (const id of ids.slice(0, 5)) fleet.kill(id)
  const copies = shards.reduce((sum, { infoHash }) => sum + fleet.copies(infoHash).length, 0)
  assert.ok(copies < shards.length * 3, 'they had copies')
  const left = shards.filter(({ infoHash }) => fleet.copies(infoHash).length > 0)
  settle(fleet, left, 3)
  for (const { infoHash } of left) assert.equal(fleet.copies(infoHash).length, 3)
  assert.equal(fleet.mostWhole, 3)
})

test('300,000 entries of one host take bounded memory and time', (t) => {
  const supply = new Supply(() => true)
  for (const other of OTHERS.slice(0, 3)) supply.put(other, A, 0)
  const before = process.memoryUsage().heapUsed
  const digits = (number: number): InfoHash =>
    number.toString(16).padStart(16, '0').repeat(3).slice(0, 40) as InfoHash
  for (let number = 0; number < 300_000; number++) {
    supply.put(OTHERS[0]!, { ...B, infoHash: digits(number), name: `x-${number}.gguf` }, 0)
  }
  assert.equal(supply.size, 50_000)
  assert.equal(supply.overflowed, true)
  const startedAt = cpuTimeMs()
  decideWith(supply, TWO)
  const [tookMs, bytes] = [cpuTimeMs() - startedAt, process.memoryUsage().heapUsed - before]
  t.diagnostic(`${Math.round(bytes / 1e6)} MB, a decision takes ${Math.round(tookMs)} ms`)
  assert.ok(bytes < 200e6, `${bytes} bytes`)
  assert.ok(tookMs < 1_000, `${tookMs} ms`)
})

test('a decision among 200 hosts and 1,000 shards takes milliseconds', (t) => {
  const ids = hostIds(201).slice(1)
  const supply = new Supply(() => true)
  for (let number = 0; number < 1_000; number++) {
    const shard = offered(number)
    for (const [at, id] of ids.entries()) if ((at + number) % 4 === 0) supply.put(id, shard, 0)
  }
  const hosts = ids.map(asHost)
  const startedAt = cpuTimeMs()
  const decision = decideWith(supply, { ...ALL, replicas: 100 }, { hosts })
  const tookMs = cpuTimeMs() - startedAt
  t.diagnostic(`${tookMs.toFixed(1)} ms`)
  assert.equal(decision.start.length, MAX_FETCHES)
  assert.ok(tookMs < 500, `${tookMs} ms`)
})
