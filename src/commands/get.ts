/** `gguf-swarm get <id>…`: ids to downloads, progress for people, verified paths for scripts. */
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { Argv } from 'yargs'
import { DEFAULTS, parseAddressOption, parsePortOption } from '../config.ts'
import { messageOf, type SwarmError, systemCode, UsageError } from '../errors.ts'
import { type GetListener, type GetResult, Getter } from '../fleet/getter.ts'
import { Network } from '../fleet/network.ts'
import { serveFile } from '../fleet/serve.ts'
import { HashPool } from '../library/hash-pool.ts'
import { formatBytes } from '../log.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'
import { MAX_TORRENT_BYTES } from '../metainfo/metainfo.ts'
import { parseTorrentId, type TorrentId } from '../metainfo/parse.ts'
import { WindowCache } from '../swarm/window-cache.ts'
import { type CommandContext, jsonWriter, untilStopped } from './context.ts'
import type { ArgumentsOf } from './define.ts'
import { DHT_OPTIONS, dhtChoice, JSON_OPTION, LISTEN_OPTIONS } from './options.ts'
import { formatSeconds, ProgressDisplay } from './progress.ts'

const builder = (yargs: Argv) =>
  yargs
    .positional('id', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: 'infohash (40 hex or 32 base32), magnet link, or .torrent file',
    })
    .options({
      out: {
        type: 'string',
        alias: 'o',
        default: '.',
        requiresArg: true,
        describe: 'folder to put the shard into',
      },
      timeout: {
        type: 'number',
        default: DEFAULTS.timeoutSeconds,
        requiresArg: true,
        describe: 'give up after so many seconds without new data; 0 waits for ever',
      },
      seed: { type: 'boolean', default: false, describe: 'go on seeding when done, until Ctrl-C' },
      peer: {
        type: 'string',
        array: true,
        requiresArg: true,
        describe: 'HOST:PORT of a peer to try first; repeatable',
      },
      ...LISTEN_OPTIONS,
      ...DHT_OPTIONS,
      ...JSON_OPTION,
    } as const)
    .example('$0 get 0123…cdef -o ~/models', 'fetch by infohash, found by DHT')
    .example("$0 get 'magnet:?xt=urn:btih:…'", 'fetch a magnet link into this folder')

type GetArguments = ArgumentsOf<typeof builder>

async function runGet(args: GetArguments, context: CommandContext): Promise<void> {
  const ids = await readIds(args.id)
  const peers = (args.peer ?? []).map((text) => parseAddressOption(text, '--peer'))
  if (!(args.timeout >= 0))
    throw new UsageError('bad-timeout', '--timeout: give a number of seconds, or 0 to wait for ever')
  const getters = new Map<InfoHash, Getter>()
  const { promise: failed, resolve: fail } = Promise.withResolvers<SwarmError>()
  await using network = await Network.start(networkOptions(args), {
    onPeer: (infoHash, peer) => getters.get(infoHash)?.heardOf(peer),
    onFailed: fail,
  })
  await using pool = new HashPool()
  const stop = new AbortController()
  void failed.then((error) => stop.abort(error))
  const signal = AbortSignal.any([context.signal, stop.signal])
  const report = reporter(args, context)
  const timeoutMs = args.timeout === 0 ? null : args.timeout * 1000
  const results = await Promise.all(
    ids.map(async (id) => {
      const getter = new Getter(
        network,
        pool,
        { id, out: args.out, peers, timeoutMs },
        report.listener(id.infoHash),
      )
      getters.set(id.infoHash, getter)
      try {
        const result = await getter.run(signal)
        report.done(result)
        return result
      } catch (error) {
        report.failed(id.infoHash, error, signal)
        return null
      }
    }),
  )
  context.signal.throwIfAborted()
  stop.signal.throwIfAborted() // the engine failed, and every download with it
  if (!args.seed) return
  const cache = new WindowCache()
  for (const result of results) if (result !== null) serveResult(network, result, cache, report.say)
  await untilStopped(context.signal, failed)
}

function networkOptions(args: GetArguments): Parameters<typeof Network.start>[0] {
  const choice = (port: number | undefined, option: string) => ({
    port: port === undefined ? 0 : parsePortOption(port, option),
    required: port !== undefined,
  })
  return {
    bind: args.bind,
    port: choice(args.port, '--port'),
    dhtPort: choice(args.dhtPort, '--dht-port'),
    dht: dhtChoice(args.bootstrap, args.public),
    uploadLimit: null,
    maxConns: DEFAULTS.maxConns,
    advertise: [],
    nodeId: randomBytes(20).toString('hex'),
    savedNodes: [],
    readOnly: !args.seed,
    identity: randomBytes(20).toString('hex'),
  }
}

/** Ids in the order given; one named twice is fetched once. */
async function readIds(texts: readonly string[]): Promise<readonly TorrentId[]> {
  const ids = new Map<InfoHash, TorrentId>()
  for (const text of texts) {
    const id = await readId(text)
    if (!ids.has(id.infoHash)) ids.set(id.infoHash, id)
  }
  return [...ids.values()]
}

/** A text that names a .torrent file is read; everything else is an infohash or a magnet link. */
export async function readId(text: string): Promise<TorrentId> {
  if (/^(stream-)?magnet:/i.test(text) || !/\.torrent$/i.test(text)) return parseTorrentId(text)
  let bytes: Buffer
  try {
    bytes = await readFile(text)
  } catch (error) {
    const why = systemCode(error) === 'ENOENT' ? 'there is no such file' : messageOf(error)
    throw new UsageError('bad-id', `cannot read ${text}: ${why}; give the path of a .torrent file`, {
      cause: error,
    })
  }
  if (bytes.length > MAX_TORRENT_BYTES)
    throw new UsageError('bad-torrent', `${text} is too large for a .torrent file`)
  try {
    return await parseTorrentId(bytes)
  } catch (error) {
    throw error instanceof UsageError
      ? new UsageError(error.code, `${text}: ${error.message}`, { cause: error })
      : error
  }
}

interface Reporter {
  listener(infoHash: InfoHash): GetListener
  done(result: GetResult): void
  failed(infoHash: InfoHash, error: unknown, signal: AbortSignal): void
  say(line: string): void
}

function reporter({ json }: GetArguments, context: CommandContext): Reporter {
  const write = json ? jsonWriter(context.out) : null
  const { err, isInteractive, columns } = context
  const display = new ProgressDisplay({ write: err, isInteractive, columns })
  const startedAt = Date.now()
  return {
    listener: () => ({
      onEvent: (event) => write?.(event),
      onState: (state) => json || display.update(state),
    }),
    done: ({ metainfo, path, hashed }) => {
      if (json) return
      const seconds = formatSeconds((Date.now() - startedAt) / 1000)
      display.finish(
        metainfo.infoHash,
        `✓ ${metainfo.name}: ${formatBytes(metainfo.length)} verified in ${seconds} (SHA-256 ${hashed.sha256})`,
      )
      context.out(`${path}\n`)
    },
    failed: (infoHash, error, signal) => {
      if (!json) display.finish(infoHash, `✗ ${infoHash}`)
      display.clear()
      if (!signal.aborted || error !== signal.reason) context.fail(error)
    },
    say: (line) => display.print(line),
  }
}

function serveResult(
  network: Network,
  { metainfo, path, hashed }: GetResult,
  cache: WindowCache,
  say: (line: string) => void,
): void {
  const { infoHash, name } = metainfo
  const lost = (reason: string): void => {
    say(`no longer seeding ${name} (${infoHash}): ${reason}`)
    void network.remove(infoHash)
  }
  serveFile(network, metainfo.torrentFile, { ...metainfo, path, identity: hashed.identity }, cache, lost)
  say(`seeding ${name} (${infoHash}) until Ctrl-C`)
}

/** The `get` command. */
export const getCommand = {
  command: 'get <id..>',
  describe: 'Fetch shards by infohash, magnet link or .torrent file; prints the verified path',
  builder,
  run: runGet,
}
