/** `get`: a download in this process. */
import { DEFAULTS, parseAddressOption, parseWebSeedOption } from '../config.ts'
import { UsageError } from '../errors.ts'
import { Getter } from '../fleet/download/getter.ts'
import type { WebSeedChoice } from '../fleet/download/getter-options.ts'
import { eachOf, MAX_SHARDS_AT_ONCE } from '../fleet/each-of.ts'
import type { GetEvent } from '../fleet/events.ts'
import { requireFleet } from '../fleet/membership/fleet-member.ts'
import { type Found, NameSearch } from '../fleet/names/name-search.ts'
import { Network } from '../fleet/network.ts'
import { isName, readId } from '../fleet/torrent-ids.ts'
import { visitorNetwork } from '../fleet/visitor.ts'
import { HashPool } from '../library/hash-pool.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'
import { parseTorrentId, type TorrentId } from '../metainfo/parse.ts'
import type { SwarmOptions } from './options.ts'
import { dhtOf, fleetOf, portsOf } from './settings.ts'

/** Settings of a download; every one has a default. */
export interface GetOptions extends SwarmOptions {
  /** Folder to put the files into; the current one unless told. */
  readonly out?: string | undefined
  /** `HOST:PORT` of peers to try besides those the DHT names. */
  readonly peers?: readonly string[] | undefined
  /**
   * Web servers to fetch from besides peers (BEP 19): these addresses, or with `true` those that the magnet or
   * `.torrent` names; none unless told.
   */
  readonly webSeeds?: boolean | readonly string[] | undefined
  /** Gives up after so long without new data; 180,000 unless told, null waits for ever. */
  readonly timeoutMs?: number | null | undefined
  /** Told of everything that happens, in the words of `--json`. */
  readonly onEvent?: ((event: GetEvent) => void) | undefined
}

/** A verified file. Lengths are bytes. */
export interface GotShard {
  readonly infoHash: InfoHash
  readonly name: string
  readonly path: string
  readonly length: number
  readonly sha256: string
}

/** What was asked for, whole: one shard, or all of a model in their order. */
export interface Got {
  readonly name: string
  /** What a program loads: the shard, or the first one of the model. */
  readonly path: string
  readonly shards: readonly GotShard[]
}

/** A shard, and what is known of it before. */
interface Wanted {
  readonly id: TorrentId
  readonly expectedName?: string
  readonly expectedSha256?: string
}

/**
 * Fetches `id`: an infohash, a magnet link, the path of a `.torrent` file or its bytes, or the name of a shard or
 * model of the fleet. Every file is verified before it gets its name; what stands there already is not fetched again.
 *
 * @throws {SwarmError} `not-found` and others as the command line has them; the signal's reason
 */
export async function get(id: string | Uint8Array, options: GetOptions = {}): Promise<Got> {
  const { signal, onEvent = () => undefined, out = '.', bind = DEFAULTS.bind } = options
  signal?.throwIfAborted()
  const { timeoutMs = DEFAULTS.timeoutSeconds * 1000 } = options
  if (timeoutMs !== null && !(timeoutMs > 0)) {
    throw new UsageError(
      'bad-timeout',
      'timeoutMs: give a number of milliseconds above 0, or null to wait for ever',
    )
  }
  const peers = (options.peers ?? []).map((text) => parseAddressOption(text, 'peers'))
  const webSeeds = webSeedsOf(options)
  const dht = dhtOf(options)
  const isAName = typeof id === 'string' && isName(id)
  const key = isAName ? requireFleet(await fleetOf(options, dht)) : null
  const given = isAName ? null : await (typeof id === 'string' ? readId(id) : parseTorrentId(id))

  const failure = new AbortController()
  const ending = signal === undefined ? failure.signal : AbortSignal.any([signal, failure.signal])
  const getters = new Map<InfoHash, Getter>()
  await using network = await Network.start(
    visitorNetwork({ bind, ...portsOf(options), dht, stays: false }),
    {
      onPeer: (infoHash, peer) => getters.get(infoHash)?.heardOf(peer),
      onFailed: (error) => failure.abort(error),
    },
  )
  await using pool = new HashPool()

  const fetch = async (wanted: Wanted): Promise<GotShard | null> => {
    const { infoHash } = wanted.id
    const more = webSeeds === null ? {} : { webSeeds }
    const getter = new Getter(network, pool, { ...wanted, out, peers, timeoutMs, ...more }, { onEvent })
    getters.set(infoHash, getter)
    try {
      const { metainfo, path, hashed } = await getter.run(ending)
      return { infoHash, name: metainfo.name, path, length: metainfo.length, sha256: hashed.sha256 }
    } catch (error) {
      failure.abort(error) // the others are of no use without it; the same call fetches what is left
      return null
    }
  }

  let name: string | undefined
  let wanted: readonly Wanted[] = given === null ? [] : [{ id: given }]
  if (key !== null && typeof id === 'string') {
    await using search = NameSearch.start({ network, key, dht, timeoutMs })
    const found = await search.find(id, ending).catch((error: unknown) => {
      ending.throwIfAborted() // with the caller's own reason
      throw error
    })
    name = found.name
    wanted = wantedOf(found)
  }
  const shards = (await eachOf(wanted, MAX_SHARDS_AT_ONCE, fetch)).filter((shard) => shard !== null)
  ending.throwIfAborted()
  const [first] = shards
  if (first === undefined) throw new TypeError('a download without an error gives a file')
  const got = { name: name ?? first.name, path: first.path, shards }
  if (name !== undefined) onEvent({ event: 'model', ...got, shards: shards.map(({ path }) => path) })
  return got
}

function wantedOf({ shards }: Found): readonly Wanted[] {
  return shards.map(({ infoHash, name, length, sha256, peers }) => ({
    id: { kind: 'magnet', infoHash, name, length, peers },
    expectedName: name,
    expectedSha256: sha256,
  }))
}

function webSeedsOf({ webSeeds }: GetOptions): WebSeedChoice | null {
  if (webSeeds === undefined || webSeeds === false) return null
  if (webSeeds === true) return { urls: [], ofLinks: true }
  return { urls: webSeeds.map((text) => parseWebSeedOption(text, 'webSeeds')), ofLinks: false }
}
