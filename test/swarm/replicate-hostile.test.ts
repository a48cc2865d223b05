/** A member of the fleet that holds the key and does not tell the truth: nothing of it gets a name, or into the way. */
import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import bencode from 'bencode'
import { loadKeyFile, rendezvousOf, secretOf } from '../../src/fleet/membership/fleet-key.ts'
import { serveFile } from '../../src/fleet/serve.ts'
import { type HashedFile, hashFile } from '../../src/library/hash-file.ts'
import { composeTorrentFile } from '../../src/metainfo/create.ts'
import { type InfoHash, infoHashOfInfo } from '../../src/metainfo/info-hash.ts'
import { pieceLengthFor } from '../../src/metainfo/piece-length.ts'
import type { OfferedShard } from '../../src/swarm/catalogue/catalogue-entry.ts'
import { type Fleet, type FleetHost, startFleet } from '../helpers/fleet.ts'
import { joinFleet } from '../helpers/foreign-member.ts'
import { writeModel } from '../helpers/gguf.ts'
import { PATIENCE_MS, visibleFiles } from '../helpers/swarm.ts'
import { meetFleet } from '../hostile/catalogue-kit.ts'
import { shardOf } from '../swarm-unit/catalogue-kit.ts'

const BYTES = 1024 * 1024

type Facts = Pick<OfferedShard, 'infoHash' | 'name' | 'length' | 'pieceLength' | 'sha256'>

interface Liar {
  /** Serves a file as it is, and tells what `change` makes of it. */
  share(name: string, change?: Partial<OfferedShard>, content?: 'noise'): Promise<OfferedShard>
  /** Serves a file under the torrent of another make. */
  shareForeign(name: string): Promise<void>
  /** Offers what nobody has. */
  invent(number: number): void
}

/** A member in this process. */
async function startLiar(t: TestContext, fleet: Fleet): Promise<Liar> {
  const { network, offer } = await joinFleet(t, fleet)
  const files = join(fleet.folder, 'liar')
  await mkdir(files)

  async function hashed(name: string, content?: 'noise'): Promise<HashedFile & { path: string }> {
    const path = join(files, name)
    if (content === 'noise') await writeFile(path, randomBytes(BYTES))
    else await writeModel(path, { bytes: BYTES, seed: Number.parseInt(randomBytes(3).toString('hex'), 16) })
    const result = await hashFile({ path, name, pieceLength: pieceLengthFor(BYTES) })
    assert.ok(result.kind === 'hashed')
    return { ...result, path }
  }

  const serve = (file: HashedFile & { path: string }, infoHash: InfoHash, bytes: Uint8Array): void =>
    serveFile(network, composeTorrentFile({ info: bytes }), { ...file, infoHash }, () => undefined)

  const offerOf = ({ infoHash, name, length, pieceLength, sha256 }: Facts): OfferedShard =>
    shardOf(0, { infoHash, name, length, pieceLength, sha256, model: name })

  return {
    share: async (name, change = {}, content = undefined) => {
      const file = await hashed(name, content)
      serve(file, file.infoHash, file.info)
      const told = { ...offerOf(file), ...change }
      offer(told)
      return told
    },
    shareForeign: async (name) => {
      const file = await hashed(name)
      const { length, pieceLength, pieces } = file
      const bytes = bencode.encode({ length, name, 'piece length': pieceLength, pieces, private: 1 })
      const infoHash = infoHashOfInfo(new Uint8Array(bytes))
      serve(file, infoHash, new Uint8Array(bytes))
      offer(offerOf({ ...file, infoHash }))
    },
    invent: (number) => {
      const infoHash = createHash('sha1').update(`invented ${number}`).digest('hex') as InfoHash
      const sha256 = createHash('sha256').update(infoHash).digest('hex')
      const [length, name] = [BYTES, `invented-${number}.gguf`]
      const pieceLength = pieceLengthFor(length)
      offer(offerOf({ infoHash, name, length, pieceLength, sha256 }))
    },
  }
}

function endsOf({ cli }: FleetHost): Readonly<Record<string, string>> {
  const told = cli.events().flatMap((event) => (event.event === 'not-replicated' ? [event] : []))
  assert.equal(new Set(told.map(({ name }) => name)).size, told.length, 'each is told once')
  return Object.fromEntries(told.map(({ name, code }) => [name, code]))
}

test('what a member says of a shard is checked, and what does not hold is refused for good', async (t) => {
  const fleet = await startFleet(t, { hosts: 1, shards: 1 })
  const liar = await startLiar(t, fleet)
  await liar.share('wrong-sha256.gguf', { sha256: 'a'.repeat(64) })
  await liar.share('real-name.gguf', { name: 'wrong-name.gguf' })
  await liar.share('wrong-length.gguf', { length: BYTES - 1, verifiedBytes: BYTES - 1 })
  await liar.share('noise.gguf', {}, 'noise')
  await liar.shareForeign('foreign.gguf')
  const honest = await liar.share('honest.gguf')
  const host = await fleet.startHost('victim', ['--replicate'])
  await host.announced(basename(fleet.originals[0]!))
  await host.announced(honest.name)
  await host.cli.waitForEvent(() => Object.keys(endsOf(host)).length === 5, { timeoutMs: PATIENCE_MS })
  assert.deepEqual(endsOf(host), {
    'wrong-sha256.gguf': 'sha256-mismatch',
    'wrong-name.gguf': 'name-mismatch',
    'wrong-length.gguf': 'catalogue-mismatch',
    'noise.gguf': 'not-gguf',
    'foreign.gguf': 'foreign-torrent',
  })
  assert.deepEqual(
    (await readdir(host.folder)).sort(),
    ['honest.gguf', basename(fleet.originals[0]!)],
    'nothing else, hidden or not',
  )
})

test('hundreds of shards that do not exist keep nobody from those that do', async (t) => {
  const fleet = await startFleet(t, { hosts: 2, shards: 4 })
  const liar = await startLiar(t, fleet)
  for (let number = 0; number < 500; number++) liar.invent(number)
  const startedAt = Date.now()
  const host = await fleet.startHost('victim', ['--replicate'])
  await Promise.all(fleet.originals.map((path) => host.announced(basename(path))))
  t.diagnostic(`four real shards among 504 after ${Math.round((Date.now() - startedAt) / 1_000)} s`)
  assert.deepEqual(
    await visibleFiles(host.folder),
    fleet.originals.map((path) => basename(path)),
  )
})

test('names that lead out of the folder do not even come in', async (t) => {
  const fleet = await startFleet(t, { hosts: 1, shards: 1 })
  const key = await loadKeyFile(fleet.keyFile)
  const host = await fleet.startHost('victim', ['--replicate'])
  await host.announced(basename(fleet.originals[0]!))
  const port = Number((await host.address()).split(':')[1])
  // By hand, as our own member would not tell of it.
  const liar = await meetFleet(t, port, { infoHash: rendezvousOf(key) })
  const session = await liar.enter(secretOf(key), 1)
  const put = [shardOf(1, { name: '../outside.gguf' })]
  session.send({ type: 'shards', put, drop: [], isPartial: false })
  await liar.raw.hungUp('a name that is a path', PATIENCE_MS)
  assert.deepEqual(endsOf(host), {})
  assert.deepEqual(await readdir(host.folder), [basename(fleet.originals[0]!)])
  assert.ok(!(await readdir(join(host.folder, '..'))).includes('outside.gguf'))
})
