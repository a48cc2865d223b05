/** `gguf-swarm get <id>…`: ids and names to downloads, progress for people, verified paths for scripts. */
import type { Argv } from 'yargs'
import { DEFAULTS, parseAddressOption } from '../config.ts'
import { type SwarmError, UsageError } from '../errors.ts'
import type { GetResult } from '../fleet/download/getter.ts'
import { chooseFleet, fleetLabel } from '../fleet/membership/fleet-key.ts'
import { requireFleet } from '../fleet/membership/fleet-member.ts'
import { NameSearch } from '../fleet/names/name-search.ts'
import { Network } from '../fleet/network.ts'
import { serveFile } from '../fleet/serve.ts'
import { readIds } from '../fleet/torrent-ids.ts'
import { HashPool } from '../library/hash-pool.ts'
import { ALLOW_OPTIONS, allowedPeers } from './allow.ts'
import { type CommandContext, untilStopped } from './context.ts'
import type { ArgumentsOf } from './define.ts'
import { Downloads, type DownloadsOptions, type Reporter, reporter } from './downloads.ts'
import { HUB_OPTIONS, hubPlacement } from './hub-layout.ts'
import { rememberNames } from './known-names.ts'
import { DHT_OPTIONS, dhtChoice, FLEET_OPTIONS, JSON_OPTION, LISTEN_OPTIONS } from './options.ts'
import { visitorOf } from './visitor.ts'
import { WEB_SEED_OPTIONS, webSeedChoice } from './web-seeds.ts'

const builder = (yargs: Argv) =>
  yargs
    .positional('id', {
      type: 'string',
      array: true,
      demandOption: true,
      describe: "infohash (40 hex or 32 base32), magnet link, .torrent file, or a shard's or model's name",
    })
    .options({
      out: {
        type: 'string',
        alias: 'o',
        requiresArg: true,
        describe: 'folder to put the shards into',
        defaultDescription: 'this one',
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
        nargs: 1,
        requiresArg: true,
        describe: 'HOST:PORT of a peer to try first; repeatable',
      },
      ...HUB_OPTIONS,
      ...WEB_SEED_OPTIONS,
      ...LISTEN_OPTIONS,
      ...DHT_OPTIONS,
      ...ALLOW_OPTIONS,
      ...FLEET_OPTIONS,
      ...JSON_OPTION,
    } as const)
    .example('$0 get 0123...cdef -o ~/models', 'fetch by infohash, found by DHT')
    .example("$0 get 'magnet:?xt=urn:btih:...'", 'fetch a magnet link into this folder')
    .example('$0 get tiny-llama --hf-layout', "into Hugging Face's cache, for other tools")
    .example('$0 get tiny-llama', 'fetch all shards of a model of the fleet')

type GetArguments = ArgumentsOf<typeof builder>

async function runGet(args: GetArguments, context: CommandContext): Promise<void> {
  const { ids, names } = await readIds(args.id)
  const place = hubPlacement(args)
  const webSeeds = webSeedChoice(args)
  const peers = peersOf(args)
  const options = {
    ...{ peers, timeoutMs: timeoutOf(args), out: args.out ?? '.' },
    ...(place && { place }),
    ...(webSeeds && { webSeeds }),
  }
  const dht = dhtChoice(args.bootstrap, args.public)
  const { fleet, fleetKey } = args
  const key = names.length > 0 ? requireFleet(await chooseFleet({ fleet, fleetKey, dht })) : null
  const heard: { downloads?: Downloads } = {}
  await using pool = new HashPool()
  pool.expectDownload()
  const { promise: failed, resolve: fail } = Promise.withResolvers<SwarmError>()
  await using network = await Network.start(
    {
      ...visitorOf(args, { stays: args.seed }),
      allowed: allowedPeers(args, { dht, peers, webSeeds: webSeeds !== null }),
    },
    {
      onPeer: (infoHash, peer) => heard.downloads?.heardOf(infoHash, peer),
      onFailed: fail,
    },
  )
  const stop = new AbortController()
  void failed.then((error) => stop.abort(error))
  const signal = AbortSignal.any([context.signal, stop.signal])
  const report = reporter(args, context)
  const downloads = new Downloads({ ...options, network, pool, signal }, report)
  heard.downloads = downloads
  const byName = async (): Promise<void> => {
    if (key === null) return
    report.say(`looking for ${names.join(', ')} in the ${fleetLabel(key)}`)
    await using search = NameSearch.start({ network, key, dht, timeoutMs: options.timeoutMs })
    await getByName(search, names, downloads, report, signal)
    await rememberNames(key, await search.offered())
  }
  await Promise.all([...ids.map((id) => downloads.one(id)), byName()])
  context.signal.throwIfAborted()
  stop.signal.throwIfAborted() // the engine failed, and every download with it
  if (!args.seed) return
  for (const result of await downloads.results()) serveResult(network, result, report.say)
  await untilStopped(context.signal, failed)
}

/** Every name is looked up before anything of the fleet is fetched; then the fleet is left. */
async function getByName(
  search: NameSearch,
  names: readonly string[],
  downloads: Downloads,
  report: Reporter,
  signal: AbortSignal,
): Promise<void> {
  const told = new Set<unknown>() // a fleet that cannot be reached is one error, whatever was looked for
  const found = await Promise.all(
    names.map(async (name) => {
      try {
        return await search.find(name, signal)
      } catch (error) {
        if (!signal.aborted && !told.has(error)) report.refused(error)
        told.add(error)
        return null
      }
    }),
  )
  await search.stop()
  await Promise.all(found.map((one) => (one === null ? null : downloads.named(one))))
}

function peersOf({ peer }: GetArguments): DownloadsOptions['peers'] {
  return (peer ?? []).map((text) => parseAddressOption(text, '--peer'))
}

function timeoutOf({ timeout }: GetArguments): number | null {
  if (timeout >= 0) return timeout === 0 ? null : timeout * 1000
  throw new UsageError('bad-timeout', '--timeout: give a number of seconds, or 0 to wait for ever')
}

function serveResult(
  network: Network,
  { metainfo, path, hashed }: GetResult,
  say: (line: string) => void,
): void {
  const { infoHash, name } = metainfo
  const lost = (reason: string): void => {
    say(`no longer seeding ${name} (${infoHash}): ${reason}`)
    void network.remove(infoHash)
  }
  serveFile(network, metainfo.torrentFile, { ...metainfo, path, identity: hashed.identity }, lost)
  say(`seeding ${name} (${infoHash}) until Ctrl-C`)
}

/** The `get` command. */
export const getCommand = {
  command: 'get <id..>',
  describe:
    'Fetch shards by infohash, magnet or .torrent, shards and models by name; prints the verified path',
  builder,
  run: runGet,
}
