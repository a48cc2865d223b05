/** Names that mean several things, and catalogues that lie: what is wrong is told, and nothing is fetched. */
import assert from 'node:assert/strict'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import type { OfferedShard } from '../../src/swarm/catalogue/catalogue-entry.ts'
import { startFleet, writeSplitModel } from '../helpers/fleet.ts'
import { joinFleet } from '../helpers/foreign-member.ts'
import { writeModel } from '../helpers/gguf.ts'
import { assertGot, endedBy, type Seeding, startHost } from '../helpers/swarm.ts'
import { shardOf } from '../swarm-unit/catalogue-kit.ts'
import { getNamed, refused } from './names-kit.ts'

/** What a member would tell of a shard, but for `change`. */
function offered(
  { file, infoHash, length, pieceLength, sha256 }: Seeding,
  change: Partial<OfferedShard> = {},
): OfferedShard {
  const facts = { infoHash, length, pieceLength, sha256, name: file }
  const { name } = { ...facts, ...change }
  return shardOf(0, { ...facts, model: name.replace(/\.gguf$/, ''), ...change })
}

test('two files under one name are listed, and none is fetched', async (t) => {
  const fleet = await startFleet(t, { hosts: 2, shards: 2 })
  const told: Seeding[] = []
  for (const [seed, host] of fleet.hosts.entries()) {
    await writeModel(join(host.folder, 'same.gguf'), { bytes: 700_000 + seed, seed })
    told.push(await host.seeding('same.gguf'))
  }
  await writeSplitModel(fleet.hosts[0]!.folder, 'twice', { count: 2, bytes: 600_000, seed: 5 })
  const [other] = await writeSplitModel(fleet.hosts[1]!.folder, 'twice', {
    count: 2,
    bytes: 610_000,
    seed: 6,
  })
  await rm(other!)
  await fleet.hosts[0]!.announced('twice-00002-of-00002.gguf')
  await fleet.hosts[1]!.announced('twice-00002-of-00002.gguf')

  for (const name of ['same.gguf', 'same']) {
    const message = await refused(t, await getNamed(t, fleet, [name]), 2, 'ambiguous')
    for (const { infoHash, sha256 } of told) {
      const line = message.split('\n').find((line) => line.startsWith(`  ${infoHash}`)) ?? ''
      assert.ok(line.includes(sha256) && line.includes('1 seed'), message)
    }
    assert.ok(message.includes('700,000 bytes') && message.includes('700,001 bytes'), message)
  }
  const message = await refused(t, await getNamed(t, fleet, ['twice']), 2, 'ambiguous')
  const listed = message.split('\n').slice(1)
  assert.equal(listed.length, 2, 'only the contested ones')
  for (const line of listed) assert.match(line, /twice-00002-of-00002\.gguf/)

  // Each of them is had by its infohash.
  const [first] = told
  const got = await getNamed(t, fleet, [first!.infoHash])
  await assertGot(got, [join(fleet.hosts[0]!.folder, 'same.gguf')])
})

test('a catalogue that does not tell the truth', async (t) => {
  const fleet = await startFleet(t, { hosts: 0 })
  // The real host is in another fleet, so all that is known of its shards is what the liar says.
  const shards = join(fleet.folder, 'shards')
  await mkdir(shards)
  for (const [seed, name] of ['a.gguf', 'b.gguf'].entries())
    await writeModel(join(shards, name), { bytes: 900_000, seed })
  const { address: bootstrap } = fleet.bootstrap
  const host = await startHost(t, shards, { bootstrap, args: ['--fleet', 'elsewhere'] })
  const [a, b] = [await host.announced('a.gguf'), await host.announced('b.gguf')]
  const wrong = 'f'.repeat(64)
  const liar = await joinFleet(t, fleet)
  liar.offer(offered(a, { sha256: wrong }))
  liar.offer(offered(b, { name: 'wanted.gguf' }))

  const mismatch = await refused(t, await getNamed(t, fleet, ['a.gguf']), 4, 'sha256-mismatch')
  for (const word of [a.infoHash, a.sha256, wrong]) assert.ok(mismatch.includes(word), mismatch)
  const misnamed = await refused(t, await getNamed(t, fleet, ['wanted']), 4, 'name-mismatch')
  for (const word of [b.infoHash, 'wanted.gguf', 'b.gguf']) assert.ok(misnamed.includes(word), misnamed)

  // What was fetched is of use to somebody who trusts the infohash, even when the host is gone.
  await endedBy(host.cli, 'SIGTERM')
  await assertGot(await getNamed(t, fleet, [a.infoHash]), [join(shards, 'a.gguf')])
})

test('two hosts that tell different SHA-256 of one file', async (t) => {
  const fleet = await startFleet(t, { hosts: 1, shards: 1 })
  const truth = await fleet.hosts[0]!.seeding('tiny-00001-of-00001.gguf')
  const lie = '0'.repeat(64)
  const liar = await joinFleet(t, fleet)
  liar.offer(offered(truth, { sha256: lie, model: 'tiny' }))
  const message = await refused(t, await getNamed(t, fleet, ['tiny']), 2, 'ambiguous')
  const words = [truth.infoHash, lie, truth.sha256, 'do not agree']
  for (const word of words) assert.ok(message.includes(word), message)
})
