/**
 * One scenario for every standard client: a bootstrap, a host, the client and `get`, each on an address of its
 * own. Both directions, each by a magnet that only the DHT can resolve and by a .torrent file.
 */
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { hash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { type TestContext, test } from 'node:test'
import { recipeOf } from '../../src/commands/recipes.ts'
import { parsePeerAddress } from '../../src/metainfo/peer-address.ts'
import { type ClientKind, type TorrentClient, WRITTEN_TIMEOUT_MS } from '../helpers/clients/client.ts'
import { writeModel } from '../helpers/gguf.ts'
import { type Host, skipWithout, testNetwork } from '../helpers/netns.ts'
import { startCli } from '../helpers/process.ts'
import { program } from '../helpers/requirements.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

const MIB = 1024 * 1024
/** A host hashes two such files and announces them in a few seconds, even beside a busy neighbour. */
const HOST_READY_TIMEOUT_MS = 60_000
const BOOTSTRAP_PORT = 51820

/** How long a person would wait for each row, everything in it included: some 3 times what was measured. */
export interface RowLimits {
  readonly fetchByMagnetMs: number
  readonly fetchByTorrentFileMs: number
  readonly getByInfoHashMs: number
  readonly getByTorrentFileMs: number
}

interface Shard {
  readonly folder: string
  readonly torrentFile: string
  readonly infoHash: string
  readonly sha256: string
}

export interface ScenarioOptions {
  /** Length of the shards that the client fetches. */
  readonly fetchedBytes?: number
}

export function interopTest(
  kind: ClientKind,
  limits: RowLimits,
  { fetchedBytes = 64 * MIB }: ScenarioOptions = {},
): void {
  const skip = skipWithout(...kind.requirements, program('mktorrent'))

  test(`${kind.name} in factory settings`, { skip, concurrency: 2 }, async (t) => {
    const folder = await temporaryFolder(t)
    const network = testNetwork(t)
    const bootstrap = await startBootstrap(t, network.host('bootstrap'), join(folder, 'bootstrap'))
    const [magnetShard, fileShard, firstShard] = await startHost(t, network.host('seed'), fetchedBytes, {
      bootstrap,
      folder,
    })
    const [infoHashShard, torrentShard] = await makeShards(join(folder, 'theirs'), [3, 4])

    const clientFolder = join(folder, 'client')
    await mkdir(clientFolder)
    const values = { bootstrap: parsePeerAddress(bootstrap)!, magnet: '' }
    const client = await kind.start(t, network.host('client'), {
      setUp: recipeOf(kind.recipe, values).setUp,
      fleetTorrent: firstShard.torrentFile,
      folder: clientFolder,
    })
    const getHost = network.host('get')

    const rows = new Rows(t)
    await Promise.all([
      seedAll(client, [infoHashShard, torrentShard]),
      rows.run('fetches by magnet', magnetShard, limits.fetchByMagnetMs, (timeoutMs) => {
        // The infohash and nothing else: no tracker, no peer address; only the DHT knows more.
        return client.download({ magnet: `magnet:?xt=urn:btih:${magnetShard.infoHash}` }, { timeoutMs })
      }),
      rows.run('fetches by .torrent file', fileShard, limits.fetchByTorrentFileMs, (timeoutMs) => {
        return client.download({ torrentFile: fileShard.torrentFile }, { timeoutMs })
      }),
    ])
    await Promise.all([
      rows.run('is fetched from by infohash', infoHashShard, limits.getByInfoHashMs, (timeoutMs, t) => {
        return get(t, getHost, infoHashShard.infoHash, { bootstrap, folder, timeoutMs })
      }),
      rows.run(
        'is fetched from by .torrent file',
        torrentShard,
        limits.getByTorrentFileMs,
        (timeoutMs, t) => {
          return get(t, getHost, torrentShard.torrentFile, { bootstrap, folder, timeoutMs })
        },
      ),
    ])
    rows.assertAllPassed()
  })
}

/** The rows of the table: each a subtest that fetches one file, says how long it took, and checks every byte. */
class Rows {
  readonly #t: TestContext
  readonly #failed: string[] = []

  constructor(t: TestContext) {
    this.#t = t
  }

  async run(
    name: string,
    { sha256 }: Shard,
    limitMs: number,
    fetch: (timeoutMs: number, t: TestContext) => Promise<string>,
  ): Promise<void> {
    await this.#t.test(name, async (t) => {
      try {
        const start = performance.now()
        const path = await fetch(limitMs, t)
        const tookMs = performance.now() - start
        t.diagnostic(`${name}: ${(tookMs / 1000).toFixed(1)} s (limit ${limitMs / 1000} s)`)
        await until(async () => (await sha256Of(path)) === sha256, {
          timeoutMs: WRITTEN_TIMEOUT_MS,
          what: `${path} has the bytes that were seeded`,
        })
        assert.ok(tookMs <= limitMs, `took ${tookMs} ms of ${limitMs} ms`)
      } catch (error) {
        this.#failed.push(name)
        throw error
      }
    })
  }

  /** Fails the whole test with its rows, so that it shows what its processes said last. */
  assertAllPassed(): void {
    assert.deepEqual(this.#failed, [], 'rows that failed')
  }
}

async function startBootstrap(t: TestContext, host: Host, stateFolder: string): Promise<string> {
  const at = ['--bind', host.address, '--port', String(BOOTSTRAP_PORT)]
  const options = { netns: host.netns }
  const bootstrap = startCli(t, ['bootstrap', ...at, '--state-dir', stateFolder, '--json'], options)
  await bootstrap.waitForEvent('listening', { timeoutMs: HOST_READY_TIMEOUT_MS })
  return `${host.address}:${BOOTSTRAP_PORT}`
}

/** Starts `seed` on two shards and a small one; resolves when the DHT knows that it has them. */
async function startHost(
  t: TestContext,
  host: Host,
  bytes: number,
  { bootstrap, folder }: { bootstrap: string; folder: string },
): Promise<[Shard, Shard, Shard]> {
  const shards = join(folder, 'ours')
  const paths = [...(await writeModels(shards, bytes, [1, 2])), join(shards, 'interop-first.gguf')]
  await writeModel(paths[2]!, { bytes: MIB, seed: 5 })
  const at = ['--bind', host.address, '--port', '6881', '--dht-port', '6882', '--bootstrap', bootstrap]
  const folders = ['--state-dir', join(folder, 'state'), '--torrents-dir', join(folder, 'torrents')]
  const seed = startCli(t, ['seed', shards, ...at, ...folders, '--json'], { netns: host.netns })
  const seeded = await Promise.all(
    paths.map(async (path): Promise<Shard> => {
      const { infoHash, torrentFile, sha256 } = await seed.waitForEvent('seeding', {
        timeoutMs: HOST_READY_TIMEOUT_MS,
        where: ({ file }) => path.endsWith(file),
      })
      await seed.waitForEvent('announced', {
        timeoutMs: HOST_READY_TIMEOUT_MS,
        where: (event) => event.infoHash === infoHash && event.nodes > 0,
      })
      assert.equal(sha256, await sha256Of(path), 'the host tells the SHA-256 of its file')
      return { folder: shards, torrentFile, infoHash, sha256 }
    }),
  )
  return seeded as [Shard, Shard, Shard]
}

/** Fetches with the product; resolves with the path it prints. */
async function get(
  t: TestContext,
  host: Host,
  id: string,
  { bootstrap, folder, timeoutMs }: { bootstrap: string; folder: string; timeoutMs: number },
): Promise<string> {
  const args = ['get', id, '--out', join(folder, 'got'), '--bind', host.address, '--bootstrap', bootstrap]
  const limits = ['--timeout', String(timeoutMs / 1000), '--json']
  const got = startCli(t, [...args, ...limits], { netns: host.netns })
  const { path } = await got.waitForEvent('done', { timeoutMs })
  assert.deepEqual(await got.exited, { code: 0, signal: null })
  return path
}

async function seedAll(client: TorrentClient, shards: readonly Shard[]): Promise<void> {
  await Promise.all(shards.map(({ torrentFile, folder }) => client.seed(torrentFile, folder)))
}

/** Shards of which only the client will know: made into torrents by mktorrent, without a tracker. */
async function makeShards(folder: string, seeds: [number, number]): Promise<[Shard, Shard]> {
  const paths = await writeModels(folder, 64 * MIB, seeds)
  const shards = paths.map(async (path): Promise<Shard> => {
    const torrentFile = `${path}.torrent`
    execFileSync('mktorrent', ['-l', '18', '-o', torrentFile, path], { stdio: 'ignore' })
    return { folder, torrentFile, infoHash: await infoHashOf(torrentFile), sha256: await sha256Of(path) }
  })
  return Promise.all(shards) as Promise<[Shard, Shard]>
}

async function writeModels(
  folder: string,
  bytes: number,
  seeds: readonly [number, number],
): Promise<readonly string[]> {
  await mkdir(folder)
  return Promise.all(
    seeds.map(async (seed) => {
      const path = join(folder, `interop-${seed}.gguf`)
      await writeModel(path, { bytes, seed })
      return path
    }),
  )
}

/** Reckoned here, not by the product: `info` is the last key that mktorrent writes. */
async function infoHashOf(torrentFile: string): Promise<string> {
  const bytes = await readFile(torrentFile)
  return hash('sha1', bytes.subarray(bytes.indexOf('4:info') + '4:info'.length, -1))
}

async function sha256Of(path: string): Promise<string> {
  return hash('sha256', await readFile(path))
}
