/** Names that mean several things, and catalogues that lie: what is wrong is told, and nothing is fetched. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createKeyFile, loadKeyFile } from '../../src/fleet/membership/fleet-key.ts'
import { FleetMember } from '../../src/fleet/membership/fleet-member.ts'
import { Network } from '../../src/fleet/network.ts'
import { parsePeerAddress } from '../../src/metainfo/peer-address.ts'
import type { OfferedShard } from '../../src/swarm/catalogue/catalogue-entry.ts'
import { afterTest } from '../helpers/after-test.ts'
import { type Fleet, startFleet, writeSplitModel } from '../helpers/fleet.ts'
import { writeModel } from '../helpers/gguf.ts'
import {
  assertGot,
  endedBy,
  type Seeding,
  scratchFolder,
  startBootstrap,
  startHost,
} from '../helpers/swarm.ts'
import { getNamed, refused } from './names-kit.ts'

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

/** A member that tells of shards it does not have. */
async function startLiar(
  t: TestContext,
  { bootstrap, keyFile }: Pick<Fleet, 'bootstrap' | 'keyFile'>,
  shards: readonly OfferedShard[],
): Promise<void> {
  const network = await Network.start(
    {
      bind: '127.0.0.1',
      port: { port: 0, required: false },
      dhtPort: { port: 0, required: false },
      dht: { kind: 'private', bootstrap: [parsePeerAddress(bootstrap.address)!] },
      uploadLimit: null,
      maxConns: 10,
      advertise: [],
      nodeId: randomBytes(20).toString('hex'),
      savedNodes: [],
      readOnly: false,
      identity: randomBytes(20).toString('hex'),
    },
    {},
  )
  afterTest(t, () => network.stop())
  const info = {
    hostId: randomBytes(20).toString('hex'),
    name: 'liar',
    version: '0',
    role: 'host' as const,
    startedAt: Date.now(),
    port: network.client.port,
    replicating: false,
    freeDiskBytes: null,
    uploadBytesPerSecond: 0,
    downloadBytesPerSecond: 0,
  }
  const key = await loadKeyFile(keyFile)
  const member = FleetMember.join({ network, key, self: () => info, listener: {}, wantsCatalogues: false })
  afterTest(t, () => member.stop())
  for (const shard of shards) member.offer(shard)
}

test('a catalogue that does not tell the truth', async (t) => {
  const folder = await scratchFolder(t)
  const bootstrap = await startBootstrap(t)
  const keyFile = join(folder, 'fleet.key')
  await createKeyFile(keyFile)
  const at = { bootstrap, keyFile, folder }
  // The real host is in another fleet, so all that is known of its shards is what the liar says.
  const shards = join(folder, 'shards')
  await mkdir(shards)
  for (const [seed, name] of ['a.gguf', 'b.gguf'].entries())
    await writeModel(join(shards, name), { bytes: 900_000, seed })
  const host = await startHost(t, shards, { bootstrap: bootstrap.address, args: ['--fleet', 'elsewhere'] })
  const [a, b] = [await host.announced('a.gguf'), await host.announced('b.gguf')]
  const offer = ({ infoHash, length, pieceLength, sha256 }: Seeding, name: string): OfferedShard => ({
    ...{ infoHash, length, pieceLength, sha256, name, state: 'seeding', verifiedBytes: length },
    ...{ model: name.replace(/\.gguf$/, ''), number: 1, count: 1, architecture: null, sizeLabel: null },
  })
  const wrong = 'f'.repeat(64)
  await startLiar(t, at, [{ ...offer(a, 'a.gguf'), sha256: wrong }, offer(b, 'wanted.gguf')])

  const mismatch = await refused(t, await getNamed(t, at, ['a.gguf']), 4, 'sha256-mismatch')
  for (const word of [a.infoHash, a.sha256, wrong]) assert.ok(mismatch.includes(word), mismatch)
  const misnamed = await refused(t, await getNamed(t, at, ['wanted']), 4, 'name-mismatch')
  for (const word of [b.infoHash, 'wanted.gguf', 'b.gguf']) assert.ok(misnamed.includes(word), misnamed)

  // What was fetched is of use to somebody who trusts the infohash, even when the host is gone.
  await endedBy(host.cli, 'SIGTERM')
  await assertGot(await getNamed(t, at, [a.infoHash]), [join(shards, 'a.gguf')])
})

test('two hosts that tell different SHA-256 of one file', async (t) => {
  const fleet = await startFleet(t, { hosts: 1, shards: 1 })
  const { infoHash, length, pieceLength, sha256 } = await fleet.hosts[0]!.seeding('tiny-00001-of-00001.gguf')
  const lie = '0'.repeat(64)
  const place = { model: 'tiny', number: 1, count: 1, architecture: null, sizeLabel: null }
  await startLiar(t, fleet, [
    {
      ...place,
      ...{ infoHash, length, pieceLength, name: 'tiny-00001-of-00001.gguf', sha256: lie },
      ...{ state: 'seeding', verifiedBytes: length },
    },
  ])
  const message = await refused(t, await getNamed(t, fleet, ['tiny']), 2, 'ambiguous')
  for (const word of [infoHash, lie, sha256, 'do not agree']) assert.ok(message.includes(word), message)
})
