/** `gguf-swarm magnet <file, id or name>`: the magnet link of a shard, and a QR code of it on a terminal. */
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Argv } from 'yargs'
import { parseAddressOption } from '../config.ts'
import { InvalidDataError, messageOf, NotFoundError, UsageError } from '../errors.ts'
import { chooseFleet } from '../fleet/membership/fleet-key.ts'
import { requireFleet } from '../fleet/membership/fleet-member.ts'
import { NameSearch } from '../fleet/names/name-search.ts'
import { Network } from '../fleet/network.ts'
import { isName, readId } from '../fleet/torrent-ids.ts'
import { inspectGguf } from '../gguf/inspect.ts'
import { HashPool } from '../library/hash-pool.ts'
import { identityOf } from '../library/identity.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'
import { magnetFor } from '../metainfo/magnet.ts'
import type { TorrentId } from '../metainfo/parse.ts'
import { formatPeerAddress, type PeerAddress } from '../metainfo/peer-address.ts'
import { pieceLengthFor } from '../metainfo/piece-length.ts'
import { qrForTerminal } from '../metainfo/qr.ts'
import { webSeedUrl } from '../metainfo/web-seed.ts'
import { ALLOW_OPTIONS, type AllowArguments, allowedPeers } from './allow.ts'
import { type CommandContext, jsonWriter } from './context.ts'
import type { ArgumentsOf } from './define.ts'
import { rememberNames } from './known-names.ts'
import { DHT_OPTIONS, dhtChoice, FLEET_OPTIONS, JSON_OPTION, LISTEN_OPTIONS } from './options.ts'
import { type VisitorArguments, visitorOf } from './visitor.ts'

/** What is asked of DHT and fleet, and how it is answered; the question itself is a {@link MagnetQuestion}. */
export const QUESTION_OPTIONS = {
  bind: LISTEN_OPTIONS.bind,
  ...DHT_OPTIONS,
  ...ALLOW_OPTIONS,
  ...FLEET_OPTIONS,
  ...JSON_OPTION,
} as const

const builder = (yargs: Argv) =>
  yargs
    .positional('what', {
      type: 'string',
      demandOption: true,
      describe: ".gguf file, .torrent file, infohash, magnet link, or a shard's or model's name",
    })
    .options({
      advertise: {
        type: 'string',
        array: true,
        nargs: 1,
        requiresArg: true,
        describe: 'HOST:PORT of a peer to put into the link (x.pe)',
      },
      qr: { type: 'boolean', default: false, describe: 'also draw it as a QR code' },
      ...QUESTION_OPTIONS,
    } as const)
    .example('$0 magnet ~/models/x.gguf', 'of a file; nothing is asked for in a network')
    .example('$0 magnet tiny-llama', 'of every shard of a model of the fleet')

type MagnetArguments = ArgumentsOf<typeof builder>

async function runMagnet(args: MagnetArguments, context: CommandContext): Promise<void> {
  const peers = (args.advertise ?? []).map((text) => parseAddressOption(text, '--advertise'))
  const write = args.json ? jsonWriter(context.out) : null
  for (const { infoHash, magnet } of await magnetsOf(args, peers, context.signal)) {
    if (write !== null) write({ event: 'magnet', ...{ infoHash, magnet } })
    else context.out(`${magnet}\n`)
    if (args.qr) context.err(`${qrForTerminal(magnet)}\n`)
  }
}

/** What is needed to say what a file, an id or a name of the fleet stands for. */
export interface MagnetQuestion extends VisitorArguments, AllowArguments {
  readonly what: string
  readonly fleet?: string | undefined
  readonly fleetKey?: string | undefined
}

/** The magnet of a file or id, or of every shard that a name of the fleet stands for. */
export async function magnetsOf(
  args: MagnetQuestion,
  peers: readonly PeerAddress[],
  signal: AbortSignal,
): Promise<readonly Named[]> {
  const { what } = args
  const isFile = FILE.test(what) && (!isName(what) || (await isThere(what)))
  if (isFile) return [await magnetOfFile(what, peers, signal)]
  if (!isName(what)) return [await magnetOfId(what, peers)]
  try {
    return await magnetsOfName(args, peers, signal)
  } catch (error) {
    if (!FILE.test(what) || !(error instanceof NotFoundError)) throw error
    throw new NotFoundError(error.code, `there is no file ${what} here, and ${error.message}`, {
      cause: error,
    })
  }
}

const FILE = /\.gguf$/i

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )

interface Named {
  readonly infoHash: InfoHash
  readonly magnet: string
}

/** What the fleet calls so: a shard, or all shards of a model in their order. */
async function magnetsOfName(
  args: MagnetQuestion,
  peers: readonly PeerAddress[],
  signal: AbortSignal,
): Promise<readonly Named[]> {
  const { fleet, fleetKey, what } = args
  const dht = dhtChoice(args.bootstrap, args.public)
  const key = requireFleet(await chooseFleet({ fleet, fleetKey, dht }))
  const allowed = allowedPeers(args, { dht })
  await using network = await Network.start({ ...visitorOf(args, { stays: false }), allowed }, {})
  await using search = NameSearch.start({ network, key, dht, timeoutMs: null })
  const { shards } = await search.find(what, signal)
  await rememberNames(key, await search.offered())
  return shards.map(({ infoHash, name, length }) => {
    return { infoHash, magnet: magnetFor({ infoHash, name, length, peers }) }
  })
}

async function magnetOfId(text: string, peers: readonly PeerAddress[]): Promise<Named> {
  const id = await readId(text)
  const { infoHash } = id
  if (id.kind !== 'infoHash' && id.name !== undefined && id.length !== undefined) {
    return {
      infoHash,
      magnet: magnetFor({
        ...{ infoHash, name: id.name, length: id.length, peers: [...id.peers, ...peers] },
        webSeeds: webSeedsOf(id),
      }),
    }
  }
  const links = [...id.peers, ...peers].map((peer) => `&x.pe=${formatPeerAddress(peer)}`).join('')
  return { infoHash, magnet: `magnet:?xt=urn:btih:${infoHash}${links}` }
}

/** The mirrors that a link or a .torrent file names, kept. */
function webSeedsOf(id: TorrentId): readonly string[] {
  if (id.kind === 'metainfo') return id.metainfo.webSeeds.map((url) => webSeedUrl(url, id.name))
  return id.kind === 'magnet' ? (id.webSeeds ?? []) : []
}

async function magnetOfFile(
  path: string,
  peers: readonly PeerAddress[],
  signal: AbortSignal,
): Promise<Named> {
  const identity = await identityOf(path).catch((error: unknown) => {
    throw new UsageError('no-file', `cannot read ${path}: ${messageOf(error)}`, { cause: error })
  })
  const verdict = await inspectGguf(path, { signal })
  if (verdict.kind === 'invalid' || verdict.kind === 'incomplete') {
    throw new InvalidDataError('not-gguf', `${path} is not a whole GGUF file: ${verdict.reason}`)
  }
  await using pool = new HashPool()
  const hashed = await pool.hash(
    { path, name: basename(path), pieceLength: pieceLengthFor(Number(identity.size)) },
    { signal },
  )
  if (hashed.kind === 'changed')
    throw new InvalidDataError('changed', `${path} changed while it was read; try again when it is whole`)
  const { infoHash, name, length } = hashed
  return { infoHash, magnet: magnetFor({ infoHash, name, length, peers }) }
}

/** The `magnet` command. */
export const magnetCommand = {
  command: 'magnet <what>',
  describe: 'Print the magnet link of a shard',
  builder,
  run: runMagnet,
}
