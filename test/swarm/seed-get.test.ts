/** The main job: a shard is seeded, and fetched by everything that names it, byte for byte. */
import assert from 'node:assert/strict'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { writeModel } from '../helpers/gguf.ts'
import {
  assertGot,
  ended,
  runGet,
  type Seeding,
  scratchFolder,
  startBootstrap,
  startHost,
  startQuietCli,
  untilSaid,
  visibleFiles,
} from '../helpers/swarm.ts'

const NAMES = ['shard-0.gguf', 'größer als 1 (Q4_K).gguf']

interface Seeded {
  readonly bootstrap: string
  readonly folder: string
  readonly originals: readonly string[]
  readonly events: readonly Seeding[]
}

async function seedTwo(t: TestContext): Promise<Seeded> {
  const folder = await scratchFolder(t)
  const shards = join(folder, 'shards')
  await mkdir(shards)
  const originals = NAMES.map((name) => join(shards, name))
  await Promise.all(originals.map((path, seed) => writeModel(path, { bytes: 3_000_000 + seed, seed })))
  const { address: bootstrap } = await startBootstrap(t)
  const host = await startHost(t, shards, { bootstrap })
  return {
    bootstrap,
    folder,
    originals,
    events: await Promise.all(NAMES.map((name) => host.announced(name))),
  }
}

test('a shard is fetched by all that names it', { concurrency: 3 }, async (t) => {
  const seeded = await seedTwo(t)
  const { bootstrap, folder, originals, events } = seeded
  const [{ infoHash, magnet, torrentFile, sha256, length }] = events as [Seeding]
  const ids = {
    infohash: infoHash,
    'infohash in capitals': infoHash.toUpperCase(),
    base32: base32(Buffer.from(infoHash, 'hex')),
    magnet,
    'torrent file': torrentFile,
  }
  const path = (out: string) => join(out, NAMES[0]!)
  await Promise.all([
    ...Object.entries(ids).map(([kind, id], index) =>
      t.test(kind, async (t) => {
        const out = join(folder, `out-${index}`)
        const [done] = await assertGot(await runGet(t, [id], { bootstrap, out }), [originals[0]!])
        assert.deepEqual(
          { ...done, time: '' },
          { event: 'done', time: '', infoHash, path: path(out), length, sha256 },
        )
        assert.deepEqual(await visibleFiles(out), [NAMES[0]])
      }),
    ),
    t.test('several at once: stdout is the paths and nothing else', (t) => getBoth(t, seeded)),
  ])
})

async function getBoth(t: TestContext, { bootstrap, folder, originals, events }: Seeded): Promise<void> {
  const ids = events.map(({ infoHash }) => infoHash)
  const out = join(folder, 'both')
  // One of them twice: it is fetched once.
  const got = await runGet(t, [...ids, ids[0]!], { bootstrap, out, json: false })
  assert.equal(got.code, 0, got.stderr)
  const paths = got.stdout.split('\n')
  assert.equal(paths.pop(), '', 'the last line is ended')
  assert.deepEqual(paths.sort(), NAMES.map((name) => join(out, name)).sort())
  for (const [index, original] of originals.entries()) {
    assert.ok((await readFile(join(out, NAMES[index]!))).equals(await readFile(original)))
  }
  for (const name of NAMES) assert.ok(got.stderr.includes(name), 'stderr tells what was fetched')

  // What stands there whole is done at once, even where nobody has it.
  const { address: lonely } = await startBootstrap(t)
  const torrentFiles = events.map(({ torrentFile }) => torrentFile)
  const again = await runGet(t, torrentFiles, { bootstrap: lonely, out })
  assert.equal((await assertGot(again, originals)).length, 2)
  assert.ok(again.tookMs < 20_000, `${again.tookMs} ms`)
}

test('without --json a host prints exactly the magnets; `magnet` prints the same', async (t) => {
  const folder = await scratchFolder(t)
  const paths = NAMES.map((name) => join(folder, name))
  await Promise.all(paths.map((path, seed) => writeModel(path, { bytes: 600_000, seed })))
  const { address: bootstrap } = await startBootstrap(t)
  const host = await startHost(t, folder, { bootstrap, json: false })
  const magnets = await Promise.all(
    paths.map(async (path) => {
      const got = await ended(startQuietCli(t, ['magnet', path]))
      assert.equal(got.code, 0, got.stderr)
      assert.equal(got.stderr, '')
      return got.stdout
    }),
  )
  await untilSaid(host.cli, '✓ All torrent files registered in DHT - auto-propagation enabled')
  const { code } = await host.cli.stop()
  assert.equal(code, 0)
  assert.deepEqual(host.cli.stdout.split('\n').sort(), magnets.join('').split('\n').sort())
  for (const magnet of magnets) assert.match(magnet, /^magnet:\?xt=urn:btih:[0-9a-f]{40}&dn=\S+&xl=600000\n$/)

  const lines = host.cli.stderr.split('\n')
  const hashes = magnets.map((magnet) => magnet.slice('magnet:?xt=urn:btih:'.length).slice(0, 40))
  for (const [index, name] of NAMES.entries()) {
    assert.ok(lines.includes(`[TORRENT] ✓ Seeding primary shard: ${name} (hash: ${hashes[index]})`))
    assert.ok(lines.includes(`[TORRENT] ✓ Registered torrent file in DHT: ${name} (hash: ${hashes[index]})`))
  }
  for (const line of [
    '[TORRENT] Primary shards (0-1): 2/2 seeded',
    '[TORRENT] Total files available for seeding: 2',
  ]) {
    assert.ok(lines.includes(line), `${line}\nis not in\n${host.cli.stderr}`)
  }
  assert.match(host.cli.stderr, /^\[DHT\] Routing updated: [0-9a-f]{40}$/m)
  assert.match(
    host.cli.stderr,
    /^\[TORRENT\] Registering \d torrent file\(s\) in DHT for auto-propagation\.\.\.$/m,
  )
})

test('two hosts write the same .torrent, which names the bootstrap', async (t) => {
  const folder = await scratchFolder(t)
  await writeModel(join(folder, 'a.gguf'), { bytes: 600_000, seed: 1 })
  const { address: bootstrap, port } = await startBootstrap(t)
  const hosts = await Promise.all([1, 2].map(() => startHost(t, folder, { bootstrap })))
  const files = await Promise.all(
    hosts.map(async (host) => {
      const { torrentFile } = await host.seeding('a.gguf')
      assert.equal(torrentFile, join(host.torrentsDir, 'a.gguf.torrent'))
      return readFile(torrentFile)
    }),
  )
  assert.ok(files[0]!.equals(files[1]!), 'byte for byte the same')
  assert.ok(files[0]!.includes(`5:nodesll9:127.0.0.1i${port}eee`), 'it names the bootstrap (BEP 5)')
})

/** RFC 4648 without padding: 20 bytes are 32 characters. */
function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('')
  return (bits.match(/.{5}/g) ?? [])
    .map((five) => 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'[Number.parseInt(five, 2)])
    .join('')
}
