/** `verify` fails when something is broken, and at the items that are about it, no others. */
import assert from 'node:assert/strict'
import { open, rm, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { Check } from '../../src/fleet/verify/checks.ts'
import { verifyFleet } from '../../src/fleet/verify/verify.ts'
import { startCoordinator, untilPictured } from '../helpers/fleet.ts'
import { writeModel } from '../helpers/gguf.ts'
import { endedBy, PATIENCE_MS } from '../helpers/swarm.ts'
import { NAMES, runVerify, SHARD_BYTES, startWholeFleet } from './verify-kit.ts'
import { joinLiar } from './verify-liar.ts'

const STRICT = ['--expect-hosts', '3', '--expect-copies', '6', '--timeout', '8']
const ALL_PIECES = ['--sample', '1000']

test('the bootstrap is killed: seen from outside, and by a coordinator that knew the fleet', async (t) => {
  const fleet = await startWholeFleet(t)
  const coordinator = await startCoordinator(t, fleet)
  await untilPictured(coordinator, ({ totals }) => totals.copies === 6)
  await endedBy(fleet.bootstrap.cli, 'SIGKILL')

  const outside = await runVerify(t, fleet, STRICT)
  assert.equal(outside.code, 3, 'there is no way to the fleet')
  assert.deepEqual(outside.failed, ['bootstrap', 'coordinator'])

  const checks: Check[] = []
  const { ok } = await verifyFleet(
    {
      member: coordinator.member,
      dht: { kind: 'private', bootstrap: [{ host: '127.0.0.1', port: fleet.bootstrap.port }] },
      bind: '127.0.0.1',
      expected: { hosts: 3, copies: 6 },
      timeoutMs: PATIENCE_MS,
      sample: 2,
      whole: false,
      tempDir: fleet.folder,
      logs: null,
    },
    (check) => checks.push(check),
    new AbortController().signal,
  )
  for (const { id, verdict, problems } of checks) t.diagnostic(`${verdict} ${id} ${problems.join(' ')}`)
  assert.equal(ok, false)
  const failed = checks.filter(({ verdict }) => verdict === 'fail').map(({ id }) => id)
  assert.deepEqual(failed, ['bootstrap', 'registered', 'routing', 'download'])
})

test('a host is killed', async (t) => {
  const fleet = await startWholeFleet(t)
  await endedBy(fleet.hosts[1]!.cli, 'SIGKILL')
  const verified = await runVerify(t, fleet, STRICT)
  assert.equal(verified.code, 1)
  assert.deepEqual(verified.failed, ['coordinator'])
  const [hosts, copies] = verified.checks.get('coordinator')!.problems
  const address = await fleet.hosts[1]!.address()
  assert.match(hosts!, /2 hosts are seen where 3 are expected/)
  assert.ok(hosts!.includes(`${address} no longer there`), 'it is named')
  assert.match(copies!, /4 whole copies where 6 are expected/)
})

test('a host hangs', async (t) => {
  const fleet = await startWholeFleet(t)
  const [, host] = fleet.hosts
  process.kill(host!.cli.pid, 'SIGSTOP')
  try {
    const verified = await runVerify(t, fleet)
    assert.equal(verified.code, 1, 'seen without being told how many there should be')
    assert.deepEqual(verified.failed, ['reachable'])
    assert.ok(verified.checks.get('reachable')!.problems[0]!.includes(await host!.address()))
    assert.deepEqual((await runVerify(t, fleet, STRICT)).failed, ['reachable', 'coordinator'])
  } finally {
    process.kill(host!.cli.pid, 'SIGCONT')
  }
})

test('bytes go wrong on a disk, with the file as long and as old as before', async (t) => {
  const fleet = await startWholeFleet(t, { isLinked: true })
  const [, host] = fleet.hosts
  // By its other name: no watcher sees the write, as none sees a disk that rots.
  const path = join(fleet.folder, host!.name, NAMES[0])
  const before = await stat(path)
  await using file = await open(path, 'r+')
  await file.write(Buffer.from('rot'), 0, 3, 700_000)
  await file.close()
  await utimes(path, before.atime, before.mtime)
  const verified = await runVerify(t, fleet, [...STRICT, ...ALL_PIECES])
  assert.equal(verified.code, 1)
  assert.deepEqual(verified.failed, ['whole'])
  const { problems } = verified.checks.get('whole')!
  assert.equal(problems.length, 1)
  // A host checks what it reads at once: it may refuse a piece beside the bad one.
  assert.match(problems[0]!, /^tiny-00001-of-00002\.gguf at host-1 .* piece \d\b/)

  // The host has noticed by that, and offers what is on its disk now: another content under the same name.
  await host!.seeding(NAMES[0], { where: ({ infoHash }) => !verified.stdout.includes(infoHash) })
  const later = await runVerify(t, fleet, ALL_PIECES)
  assert.equal(later.code, 1)
  assert.deepEqual(later.failed, ['names'])
})

test('two shards under one name; a shard of a set that nobody has', async (t) => {
  const fleet = await startWholeFleet(t, { hosts: 2 })
  const [first, second] = fleet.hosts
  await writeModel(join(second!.folder, NAMES[0]), { bytes: SHARD_BYTES, seed: 77 })
  const other = await second!.seeding(NAMES[0], {
    where: ({ sha256 }) => sha256 !== second!.cli.events().find((event) => event.event === 'seeding')?.sha256,
  })
  await second!.cli.waitForEvent('announced', {
    timeoutMs: PATIENCE_MS,
    where: ({ infoHash }) => infoHash === other.infoHash,
  })
  const conflict = await runVerify(t, fleet, ALL_PIECES)
  assert.equal(conflict.code, 1)
  assert.deepEqual(conflict.failed, ['names'])
  const [problem] = conflict.checks.get('names')!.problems
  assert.ok(problem!.includes(other.infoHash) && problem!.includes(other.sha256), problem)
  assert.ok(problem!.includes('host-0') && problem!.includes('host-1'))

  await rm(join(first!.folder, NAMES[0]))
  await rm(join(second!.folder, NAMES[0]))
  for (const { cli } of [first!, second!]) await cli.waitForEvent('withdrawn', { timeoutMs: PATIENCE_MS })
  await second!.cli.waitForEvent('withdrawn', {
    timeoutMs: PATIENCE_MS,
    where: ({ infoHash }) => infoHash === other.infoHash,
  })
  const lacking = await runVerify(t, fleet, ALL_PIECES)
  assert.equal(lacking.code, 1)
  assert.deepEqual(lacking.failed, ['names'])
  assert.match(lacking.checks.get('names')!.problems[0]!, /^tiny: shard 1 of 2 missing/)
})

test('a host that sends other bytes than it says, one that has not what it says, one that lies about SHA-256', async (t) => {
  const fleet = await startWholeFleet(t, { hosts: 2 })
  const lie = join(fleet.folder, 'lie.gguf')
  await writeModel(lie, { bytes: SHARD_BYTES, seed: 99 })
  const path = join(fleet.folder, NAMES[0])

  const wrongBytes = await joinLiar(t, fleet, { path, sends: lie })
  const sent = await runVerify(t, fleet, ALL_PIECES)
  assert.equal(sent.code, 1)
  assert.deepEqual(sent.failed, ['whole'])
  assert.match(
    sent.checks.get('whole')!.problems[0]!,
    /at liar .*: pieces 0, 1, 2, 3, 4, 5 of .* wrong bytes/,
  )
  await wrongBytes.leave()

  const nothing = await joinLiar(t, fleet, { path, sends: null })
  const missing = await runVerify(t, fleet, ALL_PIECES)
  assert.equal(missing.code, 1)
  assert.deepEqual(missing.failed, ['whole', 'seeding', 'registered'])
  assert.match(
    missing.checks.get('seeding')!.problems[0]!,
    /says it seeds tiny-00001.* hangs up when asked for/,
  )
  await nothing.leave()

  const wrongHash = await joinLiar(t, fleet, { path, sends: path, sha256: 'f'.repeat(64) })
  const hashed = await runVerify(t, fleet, ALL_PIECES)
  assert.equal(hashed.code, 1)
  assert.ok(hashed.failed.includes('names'), String(hashed.failed))
  assert.match(hashed.checks.get('names')!.problems[0]!, /has 2 SHA-256: .*liar/)
  await wrongHash.leave()
})
