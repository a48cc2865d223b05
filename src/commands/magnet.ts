/** `gguf-swarm magnet <file or id>`: the magnet link of a shard, and a QR code of it on a terminal. */
import { basename } from 'node:path'
import type { Argv } from 'yargs'
import { parseAddressOption } from '../config.ts'
import { InvalidDataError, messageOf, UsageError } from '../errors.ts'
import { inspectGguf } from '../gguf/inspect.ts'
import { HashPool } from '../library/hash-pool.ts'
import { identityOf } from '../library/identity.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'
import { magnetFor } from '../metainfo/magnet.ts'
import { formatPeerAddress, type PeerAddress } from '../metainfo/peer-address.ts'
import { pieceLengthFor } from '../metainfo/piece-length.ts'
import { qrForTerminal } from '../metainfo/qr.ts'
import { type CommandContext, jsonWriter } from './context.ts'
import type { ArgumentsOf } from './define.ts'
import { JSON_OPTION } from './options.ts'
import { readId } from './torrent-ids.ts'

const builder = (yargs: Argv) =>
  yargs
    .positional('what', {
      type: 'string',
      demandOption: true,
      describe: '.gguf file, .torrent file, infohash or magnet link',
    })
    .options({
      advertise: {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'HOST:PORT of a peer to put into the link (x.pe)',
      },
      qr: { type: 'boolean', default: false, describe: 'also draw it as a QR code' },
      ...JSON_OPTION,
    } as const)

type MagnetArguments = ArgumentsOf<typeof builder>

async function runMagnet(args: MagnetArguments, context: CommandContext): Promise<void> {
  const peers = (args.advertise ?? []).map((text) => parseAddressOption(text, '--advertise'))
  const { infoHash, magnet } = /\.gguf$/i.test(args.what)
    ? await magnetOfFile(args.what, peers, context.signal)
    : await magnetOfId(args.what, peers)
  if (args.json) jsonWriter(context.out)({ event: 'magnet', ...{ infoHash, magnet } })
  else context.out(`${magnet}\n`)
  if (args.qr) context.err(`${qrForTerminal(magnet)}\n`)
}

interface Named {
  readonly infoHash: InfoHash
  readonly magnet: string
}

async function magnetOfId(text: string, peers: readonly PeerAddress[]): Promise<Named> {
  const id = await readId(text)
  const { infoHash } = id
  if (id.kind !== 'infoHash' && id.name !== undefined && id.length !== undefined) {
    return {
      infoHash,
      magnet: magnetFor({ infoHash, name: id.name, length: id.length, peers: [...id.peers, ...peers] }),
    }
  }
  const links = [...id.peers, ...peers].map((peer) => `&x.pe=${formatPeerAddress(peer)}`).join('')
  return { infoHash, magnet: `magnet:?xt=urn:btih:${infoHash}${links}` }
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
