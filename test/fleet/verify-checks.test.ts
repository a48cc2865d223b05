/** The items of `verify` that are decided on facts alone: catalogues, names, logs, what is expected. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FailedError } from '../../src/errors.ts'
import type { KnownHost } from '../../src/fleet/membership/fleet-member.ts'
import { checkCoordinator, checkNames } from '../../src/fleet/verify/catalogue-checks.ts'
import { type Finding, formatMs, runCheck, skip } from '../../src/fleet/verify/checks.ts'
import { checkRegistered, checkRouting, isNamed } from '../../src/fleet/verify/dht-checks.ts'
import { checkReachable, checkSeeding, checkWhole } from '../../src/fleet/verify/host-checks.ts'
import { checkLogLines, countLogLines } from '../../src/fleet/verify/log-lines.ts'
import { awaitPicture, takePicture } from '../../src/fleet/verify/picture.ts'
import { choosePieces, type HostProbe, type ShardProbe } from '../../src/fleet/verify/probes.ts'
import { accessOptions } from '../../src/fleet/verify/repeat.ts'
import { md, verdictLine } from '../../src/fleet/verify/report.ts'
import type { InfoHash } from '../../src/metainfo/info-hash.ts'
import type { OfferedShard } from '../../src/swarm/catalogue/catalogue-entry.ts'

const NEVER = new AbortController().signal
const hashOf = (digit: string): InfoHash => digit.repeat(40) as InfoHash

function shard(number: number, change: Partial<OfferedShard> = {}): OfferedShard {
  return {
    infoHash: hashOf(String(number)),
    name: `m-0000${number}-of-00004.gguf`,
    length: 1_000_000,
    pieceLength: 262_144,
    sha256: String(number).repeat(64),
    state: 'seeding',
    verifiedBytes: 1_000_000,
    model: 'm',
    number,
    count: 4,
    architecture: null,
    sizeLabel: null,
    ...change,
  }
}

function host(index: number, shards: readonly OfferedShard[], change: Partial<KnownHost> = {}): KnownHost {
  return {
    info: {
      hostId: `${index}`.repeat(40),
      name: `host-${index}`,
      version: '0.1.0',
      role: 'host',
      startedAt: 0,
      port: 4000 + index,
      replicating: false,
      freeDiskBytes: null,
      uploadBytesPerSecond: 0,
      downloadBytesPerSecond: 0,
    },
    address: `10.0.0.${index}:${4000 + index}`,
    state: 'online',
    seenAt: Date.now(),
    heardAtMs: performance.now(),
    complete: true,
    shards: new Map(shards.map((offered) => [offered.infoHash, offered])),
    ...change,
  }
}

const ALL = [1, 2, 3, 4].map((number) => shard(number))
const FLEET = [1, 2, 3, 4].map((index) => host(index, ALL))
const facts = (hosts: readonly KnownHost[]) => ({
  picture: takePicture(hosts),
  now: hosts,
  expected: { hosts: 4, copies: 16 },
  strays: [],
  turnedAway: {},
  access: '',
})

test('a picture counts whole copies of online hosts, and lists each shard once', () => {
  const fetching = host(5, [shard(1, { state: 'fetching', verifiedBytes: 5 })])
  const lost = host(6, ALL, { state: 'lost' })
  const { hosts, shards, copies, fetching: fetched } = takePicture([lost, fetching, ...FLEET])
  assert.deepEqual([hosts.length, shards.length, copies.length, fetched.length], [5, 4, 16, 1])
  assert.deepEqual(
    hosts.map(({ info }) => info.name),
    ['host-1', 'host-2', 'host-3', 'host-4', 'host-5'],
  )
})

test('the picture is taken when what is expected is there and stays; a fleet that lacks something is taken late', async () => {
  const key = { kind: 'open', name: 'x' } as const
  const member = { hosts: () => FLEET, key, rendezvous: hashOf('f'), turnedAway: {} }
  const full = await awaitPicture(member, { hosts: 4, copies: 16 }, 60_000, NEVER)
  assert.equal(full.copies.length, 16)
  const startedAt = performance.now()
  const lacking = await awaitPicture(member, { hosts: 5, copies: null }, 500, NEVER)
  assert.equal(lacking.hosts.length, 4)
  assert.ok(performance.now() - startedAt < 3_000)
  await assert.rejects(awaitPicture(member, { hosts: 5, copies: null }, 60_000, AbortSignal.timeout(50)))
})

test('the coordinator sees every host: expectation, loss, silence, an incomplete catalogue', () => {
  assert.deepEqual(checkCoordinator(facts(FLEET)).problems, [])
  assert.match(
    checkCoordinator(facts(FLEET)).evidence[0]!,
    /^4\/4 hosts online, 4\/4 .* 16\/16 whole copies of 4 shards$/,
  )
  const few = checkCoordinator({
    ...facts(FLEET.slice(1)),
    strays: [{ address: { host: '10.0.0.1', port: 4001 }, state: 'silent', shards: 4 }],
  }).problems
  assert.match(few[0]!, /3 hosts are seen where 4 are expected.*10\.0\.0\.1:4001 silent/)
  assert.match(few[1]!, /12 whole copies where 16 are expected/)
  const gone = checkCoordinator({ ...facts(FLEET), now: FLEET.slice(1) }).problems
  assert.match(gone[0]!, /host-1 .* is gone/)
  const quiet = [...FLEET.slice(1), host(1, ALL, { heardAtMs: performance.now() - 60_000 })]
  assert.match(checkCoordinator(facts(quiet)).problems[0]!, /host-1 .* last heard 60 s ago/)
  const isSet = [...FLEET.slice(1), host(1, ALL, { seenAt: Date.now() - 3_600_000 })]
  assert.deepEqual(
    checkCoordinator(facts(isSet)).problems,
    [],
    'the time of day was set, and nobody was silent',
  )
  const partial = [...FLEET.slice(1), host(1, ALL, { complete: false })]
  assert.match(checkCoordinator(facts(partial)).problems[0]!, /host-1 .* whole catalogue/)
})

test('names: one content each, one SHA-256 each, sets complete', () => {
  const check = (hosts: readonly KnownHost[]) => checkNames(takePicture(hosts).shards, '')
  assert.deepEqual(check(FLEET).problems, [])
  const twin = shard(1, { infoHash: hashOf('a'), sha256: 'a'.repeat(64) })
  assert.match(
    check([...FLEET, host(5, [twin])]).problems[0]!,
    /^m-00001-of-00004\.gguf stands for 2 contents/,
  )
  const liar = host(5, [shard(1, { sha256: 'b'.repeat(64) })])
  assert.match(check([...FLEET, liar]).problems[0]!, /has 2 SHA-256: .*host-5/)
  assert.match(check([host(1, ALL.slice(0, 2))]).problems[0]!, /^m: shard 3, 4 of 4 missing/)
  assert.match(check([host(1, [shard(1), shard(2, { count: 5 })])]).problems[0]!, /4 and 5 shards/)
  const [huge] = check([host(1, [shard(1, { count: 99_999 })])]).problems
  assert.match(huge!, /shard 2, .* and 99988 more of 99999 missing/)
  assert.ok(huge!.length < 200)
})

const probeOf = (of: OfferedShard, change: Partial<ShardProbe> = {}): ShardProbe => ({
  shard: of,
  seen: { whole: true, pieces: 4 },
  pieces: [{ index: 2, length: 262_144, sha1: 'c'.repeat(40), isRight: true }],
  contradiction: null,
  seedProblem: null,
  pieceProblem: null,
  ...change,
})
const hostProbe = (
  of: KnownHost,
  shards: readonly ShardProbe[],
  change: Partial<HostProbe> = {},
): HostProbe => ({
  host: of,
  handshakeMs: 2,
  dhtPort: 5000,
  problem: null,
  shards,
  ...change,
})

test('bytes and bitfields: each fault is told once, at its item', () => {
  const [one] = FLEET
  const sound = [
    hostProbe(
      one!,
      ALL.map((of) => probeOf(of)),
    ),
  ]
  assert.deepEqual([...checkWhole(sound, 2, '').problems, ...checkSeeding(sound, '').problems], [])
  const wrong = [
    hostProbe(one!, [probeOf(ALL[0]!, { pieces: [{ ...probeOf(ALL[0]!).pieces[0]!, isRight: false }] })]),
  ]
  assert.match(checkWhole(wrong, 2, '').problems[0]!, /piece 2 of 1{40} came with wrong bytes/)
  assert.deepEqual(checkSeeding(wrong, '').problems, [])
  const part = [hostProbe(one!, [probeOf(ALL[0]!, { seen: { whole: false, pieces: 3 }, pieces: [] })])]
  assert.match(checkSeeding(part, '').problems[0]!, /bitfield has 3 of 4 pieces/)
  const other = [hostProbe(one!, [probeOf(ALL[0]!, { contradiction: 'its catalogue says length 1' })])]
  assert.match(checkSeeding(other, '').problems[0]!, /its catalogue says length 1/)
  assert.equal(checkWhole([], 2, '').skipped, 'no shard is offered')
})

test('reachable: hosts, their DHT, and strays that answer, are gone, or are silent', () => {
  const [one, two] = FLEET
  const node = { nodeId: '1'.repeat(40), nodes: [], roundTripMs: 1 }
  const probes = [
    hostProbe(one!, []),
    hostProbe(two!, [], { problem: 'x:1 cannot be reached', handshakeMs: null }),
  ]
  const address = { host: '10.0.0.9', port: 9 }
  const strays = (['member', 'gone', 'silent'] as const).map((state) => ({ address, state, shards: 0 }))
  const { problems } = checkReachable(probes, new Map([[one!.info.hostId, node]]), strays)
  assert.deepEqual(problems, ['host-2: x:1 cannot be reached'])
  const silent = checkReachable([], new Map(), [{ address, state: 'silent', shards: 3 }])
  assert.match(silent.problems[0]!, /10\.0\.0\.9:9 .* has 3 of the fleet's shards, and does not answer/)
  const deaf = checkReachable([hostProbe(one!, [])], new Map([[one!.info.hostId, null]]), [])
  assert.match(deaf.problems[0]!, /DHT port 5000 \(UDP\) does not answer/)
})

test('DHT: pairs that are named, node ids of their own, lookups that get somewhere', () => {
  const [one, two] = FLEET
  const { shards } = takePicture([one!, two!])
  const lookup = { visited: 3, peers: [{ host: '10.0.0.1', port: 4001 }], tookMs: 1 }
  const lookups = new Map(shards.map(({ shard: { infoHash } }) => [infoHash, lookup]))
  const registration = { shards, lookups, joined: 1, bootstraps: [{ host: '10.0.0.7', port: 51820 }] }
  const found = checkRegistered(registration)
  assert.match(found.evidence[0]!, /^4\/8 /)
  assert.equal(found.problems.length, 4)
  assert.ok(found.problems.every((problem) => problem.startsWith('host-2 ')))
  assert.equal(checkRegistered({ ...registration, joined: 0 }).problems.length, 1)
  assert.ok(isNamed(host(1, [], { address: '127.0.0.1:7' }), [{ host: '127.0.0.2', port: 7 }]), 'one machine')
  assert.ok(!isNamed(one!, [{ host: '10.0.0.1', port: 4002 }]))

  const node = { nodeId: 'd'.repeat(40), nodes: [], roundTripMs: 1 }
  const probes = [hostProbe(one!, []), hostProbe(two!, [])]
  const nodes = new Map([one!, two!].map(({ info }) => [info.hostId, node]))
  const routing = { probes, nodes, bootstrapIds: [], lookups: [lookup], joined: 1 }
  assert.match(checkRouting(routing).problems[0]!, /host-2 .* has the node id d{40} of host-1/)
  const own = new Map([
    [one!.info.hostId, node],
    [two!.info.hostId, { ...node, nodeId: 'e'.repeat(40) }],
  ])
  assert.deepEqual(checkRouting({ ...routing, nodes: own }).problems, [])
  const short = checkRouting({ ...routing, nodes: own, lookups: [{ ...lookup, visited: 1 }] })
  assert.match(short.problems[0]!, /reached 1 node\(s\) only/)
})

test('log lines: 16 + 4 + 16 + 4, from lines and from events; a lack is told', () => {
  const picture = takePicture(FLEET)
  const lines = (registered = ALL): string[] => [
    ...ALL.map(({ name, infoHash }) => `2026 [TORRENT] ✓ Seeding primary shard: ${name} (hash: ${infoHash})`),
    '[TORRENT] Primary shards (0-3): 4/4 seeded',
    '[TORRENT] Total files available for seeding: 4',
    ...registered.map(
      ({ name, infoHash }) => `[TORRENT] ✓ Registered torrent file in DHT: ${name} (hash: ${infoHash})`,
    ),
    '[TORRENT] ✓ All torrent files registered in DHT - auto-propagation enabled',
  ]
  const logs = FLEET.map(({ info }) => ({ name: `${info.name}.log`, lines: [...lines(), ...lines()] }))
  const hashes = new Set(ALL.map(({ infoHash }) => infoHash))
  assert.deepEqual(countLogLines(logs, hashes), { seeding: 16, totals: 4, registered: 16, allRegistered: 4 })
  const full = checkLogLines(logs, picture)
  assert.deepEqual(full.problems, [])
  assert.match(full.evidence[0]!, /^16\/16 \+ 4\/4 \+ 16\/16 \+ 4\/4 lines/)

  const events = FLEET.map(({ info }) => ({
    name: info.name,
    lines: [
      ...ALL.map(({ infoHash }) => JSON.stringify({ event: 'seeding', infoHash })),
      ...ALL.map(({ infoHash }) => JSON.stringify({ event: 'announced', infoHash, nodes: 3 })),
      '{"event":"announced","infoHash":"cut',
    ],
  }))
  assert.deepEqual(checkLogLines(events, picture).problems, [])

  const lacking = [...logs.slice(1), { name: 'x', lines: lines(ALL.slice(1)) }]
  const { problems } = checkLogLines(lacking, picture)
  assert.equal(problems.length, 1)
  assert.match(problems[0]!, /Registered torrent file in DHT": 15 where .* 16/)
  assert.match(checkLogLines(logs.slice(1), picture).problems[0]!, /3 log\(s\) for 4 hosts/)
  assert.equal(checkLogLines(null, picture).skipped, 'not checked (no log given)')
})

test('a check: passed, failed by what it finds or throws, skipped; a bug and an abort are neither', async () => {
  const finding = { evidence: ['fine'], problems: [], repeat: [] }
  const run = (work: () => Finding | Promise<never>) => runCheck('whole', NEVER, work)
  const { verdict, number, evidence } = await run(() => finding)
  assert.deepEqual([verdict, number, evidence], ['pass', 3, ['fine']])
  assert.equal((await run(() => skip('why'))).verdict, 'skipped')
  const failed = await run(() => Promise.reject(new FailedError('x', 'no port is free')))
  assert.deepEqual([failed.verdict, failed.problems], ['fail', ['no port is free']])
  await assert.rejects(
    run(() => Promise.reject(new TypeError('bug'))),
    TypeError,
  )
  const aborted = AbortSignal.abort()
  await assert.rejects(
    runCheck('whole', aborted, () => Promise.reject(new FailedError('x', 'x'))),
    { name: 'AbortError' },
  )
})

test('pieces are chosen at random, each once, all when there are few', () => {
  assert.deepEqual(choosePieces(3, 10), [0, 1, 2])
  assert.deepEqual(choosePieces(3, 0), [])
  const chosen = choosePieces(1000, 20)
  assert.equal(new Set(chosen).size, 20)
  assert.ok(chosen.every((index) => index >= 0 && index < 1000))
})

test('words: times, options for a shell, Markdown from strangers, the verdict', () => {
  assert.deepEqual([0.26, 12.6, 1_234].map(formatMs), ['0.3 ms', '13 ms', '1.2 s'])
  const dht = { kind: 'private', bootstrap: [{ host: '10.0.0.1', port: 51820 }] } as const
  assert.equal(
    accessOptions(dht, { kind: 'open', name: "a b's" }),
    `--bootstrap 10.0.0.1:51820 --fleet 'a b'\\''s'`,
  )
  assert.equal(md('a|b `c` <script>&_x_\u001b[0m'), 'a\\|b \\`c\\` &#60;script&#62;&#38;\\_x\\_\\\\x1b\\[0m')
  assert.equal(md('find_node'), 'find_node')
  const check = {
    id: 'whole',
    number: 3,
    title: 'T',
    evidence: [],
    problems: ['x'],
    repeat: [],
    tookMs: 1,
  } as const
  const line = verdictLine({ ok: false, checks: [{ ...check, verdict: 'fail' }], tookMs: 1_500 })
  assert.equal(line, '✗ NOT VERIFIED: 0 of 1 checks passed, 1 failed (3 T), in 1.5 s')
})
