/**
 * `magnet-…`: clients in their factory settings, given a magnet link that only the DHT can resolve, in a network of
 * namespaces: how long they take to the whole file from a host of ours, and from a seeder of their own kind.
 */
import { join } from 'node:path'
import { recipeOf } from '../../../src/commands/recipes.ts'
import { parsePeerAddress } from '../../../src/metainfo/peer-address.ts'
import { type ClientKind, WRITTEN_TIMEOUT_MS } from '../../helpers/clients/client.ts'
import { libtorrent } from '../../helpers/clients/libtorrent.ts'
import { transmission } from '../../helpers/clients/transmission.ts'
import { type Host, testNetwork } from '../../helpers/netns.ts'
import { lacking } from '../../helpers/requirements.ts'
import { until } from '../../helpers/until.ts'
import { START_TIMEOUT_MS, TRANSFER_TIMEOUT_MS } from '../clients/client.ts'
import { startOurs } from '../clients/ours.ts'
import { assertSameBytes, makeFile } from '../files.ts'
import { type Bench, type BenchFile, type Contender, nothing, type ReadyRow, type Row } from '../model.ts'
import { Scope } from '../scope.ts'

const BYTES = 150_000_000
const BOOTSTRAP_PORT = 51820

function magnetRow(kind: ClientKind): Row {
  const name = kind.name.toLowerCase()
  return {
    name: `magnet-${name}`,
    title: `${kind.name} in factory settings, ${BYTES / 1e6} MB by a DHT magnet, from whom`,
    unit: 's',
    better: 'less',
    target: 0.8,
    slow: true,
    prepare: (bench) => prepare(kind, bench),
  }
}

export const magnets: readonly Row[] = [libtorrent, transmission].map(magnetRow)

async function prepare(kind: ClientKind, bench: Bench): Promise<ReadyRow> {
  if (process.getuid?.() !== 0) return nothing('network namespaces need root')
  const absent = lacking(kind.requirements)
  if (absent.length > 0) return nothing(`${absent.join(', ')} is not installed`)
  await using undo = new AsyncDisposableStack()
  const scope = undo.use(new Scope())
  const network = testNetwork(scope.context)
  const home = await bench.folder('magnets')
  const [ours, theirs] = [await makeFiles(bench, 'ours', 0), await makeFiles(bench, 'theirs', 100)]

  const at = network.host('bootstrap')
  const bootstrap = `${at.address}:${BOOTSTRAP_PORT}`
  const orders = ['bootstrap', '--port', `${BOOTSTRAP_PORT}`, '--state-dir', join(home, 'bootstrap')]
  const bootstrapNode = startOurs(orders, at.address, null, at.netns)
  undo.defer(() => bootstrapNode.stop())
  await bootstrapNode.event('listening', START_TIMEOUT_MS)
  await startHost(undo, network.host('ours'), { files: ours, home, bootstrap })
  const start = async (host: string) => {
    const folder = await bench.folder(host)
    const { setUp } = recipeOf(kind.recipe, { bootstrap: parsePeerAddress(bootstrap)!, magnet: '' })
    return kind.start(scope.context, network.host(host), {
      setUp,
      fleetTorrent: ours[0]!.torrentFile,
      folder,
    })
  }
  const [client, seeder] = [await start('client'), await start('theirs')]
  await Promise.all(theirs.map(({ torrentFile, folder }) => seeder.seed(torrentFile, folder)))

  // A file each sample: a client that has a torrent does not fetch it again.
  const contender = (name: string, files: BenchFile[]): Contender => ({
    name,
    async run() {
      const file = files.shift()!
      const startedAt = performance.now()
      const magnet = `magnet:?xt=urn:btih:${file.infoHash}`
      const path = await client.download({ magnet }, { timeoutMs: TRANSFER_TIMEOUT_MS })
      const tookMs = performance.now() - startedAt
      await until(() => assertSameBytes(file.path, path) ?? true, {
        timeoutMs: WRITTEN_TIMEOUT_MS,
        what: `${path} is written`,
      })
      return { value: tookMs / 1000, sides: {}, bytes: 0 }
    },
  })
  const kept = undo.move()
  return {
    contenders: [contender('gguf-swarm', ours), contender(kind.name, theirs)],
    missing: [],
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

/** One for each round, the warm-up included. */
async function makeFiles(bench: Bench, name: string, index: number): Promise<BenchFile[]> {
  const folder = await bench.folder(name)
  const numbers = Array.from({ length: bench.rounds + 1 }, (_, round) => index + round)
  return Promise.all(numbers.map((number) => makeFile(folder, number, BYTES)))
}

interface Hosted {
  readonly files: readonly BenchFile[]
  readonly home: string
  readonly bootstrap: string
}

/** Resolves when the DHT knows that the host has them all. */
async function startHost(
  undo: AsyncDisposableStack,
  { address, netns }: Host,
  { files, home, bootstrap }: Hosted,
): Promise<void> {
  const folders = ['--state-dir', join(home, 'state'), '--torrents-dir', join(home, 'torrents')]
  const ports = ['--port', '6881', '--dht-port', '6882']
  const root = join(files[0]!.folder, '..')
  const host = startOurs(['seed', root, ...ports, ...folders], address, bootstrap, netns)
  undo.defer(() => host.stop())
  for (const { infoHash } of files) {
    const isKnown = ({ event, ...about }: { event: string; [key: string]: unknown }): boolean =>
      event === 'announced' && about['infoHash'] === infoHash && Number(about['nodes']) > 0
    await host.event(isKnown, START_TIMEOUT_MS)
  }
}
