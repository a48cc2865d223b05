/** `get` by name inside a fleet: shards and models; what cannot be decided is told, and nothing is fetched. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, readFile, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
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
  ended,
  endedBy,
  type Got,
  runGet,
  type Seeding,
  scratchFolder,
  startBootstrap,
  startHost,
  startQuietCli,
  theError,
  visibleFiles,
} from '../helpers/swarm.ts'

/** A `get` of these names in the fleet; `out` is a folder of its own. */
async function getNamed(
  t: TestContext,
  { bootstrap, keyFile, folder }: Pick<Fleet, 'bootstrap' | 'keyFile' | 'folder'>,
  names: readonly string[],
  { json = true, args = [], out = 'out' }: { json?: boolean; args?: readonly string[]; out?: string } = {},
): Promise<Got & { readonly out: string }> {
  const folderOut = join(folder, out)
  const got = await runGet(t, names, {
    bootstrap: bootstrap.address,
    out: folderOut,
    json,
    args: ['--fleet-key', keyFile, ...args],
  })
  return { ...got, out: folderOut }
}

async function refused(
  t: TestContext,
  got: Got & { out: string },
  exit: number,
  code: string,
): Promise<string> {
  assert.equal(got.code, exit, got.stderr)
  const error = theError(got)
  assert.equal(error.code, code, error.message)
  assert.deepEqual(await visibleFiles(got.out), [], 'nothing is there under a final name')
  t.diagnostic(error.message)
  return error.message
}

test('a model and its shards by name', async (t) => {
  const fleet = await startFleet(t, { hosts: 3, shards: 6 })
  const { originals } = fleet
  const names = originals.map((path) => basename(path))

  await t.test('a model: all shards, and the path of the first', async (t) => {
    const got = await getNamed(t, fleet, ['tiny'], { json: false, out: 'model' })
    assert.equal(got.code, 0, got.stderr)
    assert.equal(got.stdout, `${join(got.out, names[0]!)}\n`)
    assert.deepEqual(await visibleFiles(got.out), names)
    for (const original of originals) {
      assert.ok((await readFile(join(got.out, basename(original)))).equals(await readFile(original)))
    }
    assert.match(got.stderr, /✓ tiny: 6 shards in /)
  })

  await t.test('with --json each shard, and then the model', async (t) => {
    // One of its shards is named too: it is fetched once.
    const got = await getNamed(t, fleet, ['tiny', names[2]!], { out: 'json' })
    await assertGot(got, originals)
    const { time: _, ...model } = got.events.find((event) => event.event === 'model') ?? { time: '' }
    const paths = names.map((name) => join(got.out, name))
    assert.deepEqual(model, { event: 'model', name: 'tiny', path: paths[0], shards: paths })
    let [inFlight, most] = [0, 0]
    for (const { event } of got.events) {
      if (event === 'metadata') most = Math.max(most, ++inFlight)
      if (event === 'done') inFlight--
    }
    assert.ok(most <= 4, `${most} at once`)
  })

  await t.test(
    'a shard that cannot be fetched: the others land, it is named, no path is printed',
    async (t) => {
      const out = join(fleet.folder, 'partly')
      await mkdir(out)
      await writeModel(join(out, names[3]!), { bytes: 5_000, seed: 77 })
      const got = await getNamed(t, fleet, ['tiny'], { json: false, out: 'partly' })
      assert.equal(got.code, 4, got.stderr)
      assert.equal(got.stdout, '')
      assert.match(
        got.stderr,
        /✗ tiny: 5 of 6 shards are there, missing: tiny-00004-of-00006\.gguf; the same command/,
      )
      assert.deepEqual(await visibleFiles(out), names)

      await rm(join(out, names[3]!))
      const again = await getNamed(t, fleet, ['tiny'], { out: 'partly' })
      await assertGot(again, originals)
    },
  )

  await t.test('a shard', async (t) => {
    const got = await getNamed(t, fleet, [names[4]!], { json: false, out: 'shard' })
    assert.equal(got.stdout, `${join(got.out, names[4]!)}\n`, got.stderr)
    assert.deepEqual(await visibleFiles(got.out), [names[4]])
  })

  await t.test('`magnet` prints the links of its shards, and of one', async (t) => {
    const told = await Promise.all(
      originals.map((_, at) => fleet.hosts[at % 3]!.seeding(names[at]!).then(({ magnet }) => magnet)),
    )
    const magnet = (name: string) => ended(startQuietCli(t, ['magnet', name, ...fleet.memberArgs]))
    const [model, shard, none] = await Promise.all([magnet('tiny'), magnet(names[1]!), magnet('none.gguf')])
    assert.equal(model.stdout, `${told.join('\n')}\n`, model.stderr)
    assert.equal(shard.stdout, `${told[1]}\n`, shard.stderr)
    assert.equal(none.code, 3)
    assert.match(
      none.stderr,
      /there is no file none\.gguf here, and nothing in the fleet .* is called none\.gguf/,
    )
  })

  await t.test('an unknown name: near ones are named', async (t) => {
    const got = await getNamed(t, fleet, ['tinny'], { out: 'unknown' })
    assert.match(await refused(t, got, 3, 'unknown-name'), /called tinny; did you mean tiny\?$/)
  })

  await t.test('a model that lacks a shard: which, and nothing is fetched', async (t) => {
    await rm(join(fleet.hosts[1]!.folder, names[1]!))
    await fleet.hosts[1]!.cli.waitForEvent('withdrawn', { timeoutMs: 30_000 })
    const got = await getNamed(t, fleet, ['tiny'], { out: 'missing' })
    const message = await refused(t, got, 3, 'incomplete')
    assert.ok(message.startsWith(`tiny: shard 2 (${names[1]}) of 6 is on no host`), message)
  })
})

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

test('where no fleet is reached, the reason is told', { concurrency: 2 }, async (t) => {
  const folder = await scratchFolder(t)
  const bootstrap = await startBootstrap(t)
  const get = (t: TestContext, name: string, args: readonly string[], where = bootstrap.address) =>
    runGet(t, [name], { bootstrap: where, out: join(folder, 'out'), args: [...args, '--timeout', '4'] })
  const noHosts = async (t: TestContext, got: Got, ...words: readonly string[]) => {
    const message = await refused(t, { ...got, out: join(folder, 'out') }, 3, 'no-hosts')
    for (const word of words) assert.ok(message.includes(word), `${message}\nlacks ${word}`)
  }
  await Promise.all([
    t.test('nobody is in it', async (t) => {
      await noHosts(t, await get(t, 'tiny', ['--fleet', 'lonely']), "'lonely'", '--fleet-key FILE')
    }),
    t.test('no bootstrap answers', async (t) => {
      await noHosts(t, await get(t, 'tiny', [], '127.0.0.1:9'), '127.0.0.1:9', '--bootstrap HOST:PORT')
    }),
    t.test('no such key', async (t) => {
      const got = await get(t, 'tiny', ['--fleet-key', join(folder, 'none.key')])
      const message = await refused(t, { ...got, out: join(folder, 'out') }, 2, 'bad-key')
      assert.ok(message.includes('none.key'), message)
    }),
    t.test('without any option the open fleet of this DHT is meant', async (t) => {
      const shards = join(folder, 'shards')
      await mkdir(shards)
      await writeModel(join(shards, 'solo.gguf'), { bytes: 600_000, seed: 1 })
      const host = await startHost(t, shards, { bootstrap: bootstrap.address })
      await host.announced('solo.gguf')
      const got = await runGet(t, ['solo'], { bootstrap: bootstrap.address, out: join(folder, 'solo') })
      await assertGot(got, [join(shards, 'solo.gguf')])
    }),
  ])
})
