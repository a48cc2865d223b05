/**
 * Finds what a name stands for by joining a fleet as one that only looks: the answer is what can be fetched, or an
 * error that lists what a person has to choose from.
 */
import { randomBytes } from 'node:crypto'
import { VERSION } from '../../config.ts'
import { NotFoundError, UsageError } from '../../errors.ts'
import { countOf, formatBytes } from '../../log.ts'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { type PeerAddress, parsePeerAddress } from '../../metainfo/peer-address.ts'
import type { MemberInfo } from '../../swarm/catalogue/catalogue-entry.ts'
import { type FleetKey, fleetLabel } from '../membership/fleet-key.ts'
import { FleetMember } from '../membership/fleet-member.ts'
import { type Settled, untilSettled } from '../membership/settled.ts'
import type { DhtChoice, Network } from '../network.ts'
import { type FleetShard, type MissingShard, type Resolution, resolveName, shardsOf } from './names.ts'

/** Hosts dialled besides those the DHT names: a download uses no more at once. */
const MAX_DIRECT_PEERS = 32
/** Shards listed in an error; a large set with two versions has twice its count. */
const MAX_LISTED = 20

/** Complete settings of a search. */
export interface NameSearchOptions {
  readonly network: Network
  readonly key: FleetKey
  readonly dht: DhtChoice
  /** Give up when no host is found for so long; null leaves it to the DHT's own pace. */
  readonly timeoutMs: number | null
}

/** A shard that can be fetched. */
export interface FoundShard {
  readonly infoHash: InfoHash
  readonly name: string
  readonly length: number
  readonly sha256: string
  /** Hosts that have it whole. */
  readonly peers: readonly PeerAddress[]
}

/** What a name stands for: `shards` in the order of the set, one for a shard's own name. */
export interface Found {
  readonly kind: 'shard' | 'model'
  readonly name: string
  readonly shards: readonly FoundShard[]
}

/** A membership for as long as names are looked for. Made by {@link NameSearch.start}. */
export class NameSearch implements AsyncDisposable {
  readonly #options: NameSearchOptions
  readonly #member: FleetMember
  #settled: Promise<Settled> | undefined

  private constructor(options: NameSearchOptions) {
    this.#options = options
    const { network, key } = options
    const self = watcherInfo(network)
    this.#member = FleetMember.join({ network, key, self: () => self, listener: {}, wantsCatalogues: true })
  }

  /** Joins the fleet. */
  static start(options: NameSearchOptions): NameSearch {
    return new NameSearch(options)
  }

  /**
   * What `name` stands for.
   * @throws {UsageError} `ambiguous`; {@link NotFoundError} `no-hosts`, `unknown-name`, `incomplete`; the signal's
   *   reason
   */
  async find(name: string, signal: AbortSignal): Promise<Found> {
    const { network, dht, timeoutMs, key } = this.#options
    const watched = { network, member: this.#member }
    this.#settled ??= untilSettled(watched, { signal, dht, timeoutMs })
    const { hosts, isQuiet } = await this.#settled
    const found = resolveName(name, shardsOf(hosts))
    if (found.kind === 'shard') return { kind: 'shard', name, shards: [foundShard(found.shard)] }
    if (found.kind === 'model')
      return { kind: 'model', name: found.model.name, shards: found.shards.map(foundShard) }
    const error = explain(name, found, fleetLabel(key))
    const silent = hosts.filter(({ state, complete }) => state === 'online' && !complete).length
    if (isQuiet || silent === 0 || !(error instanceof NotFoundError)) throw error
    const late = `${countOf(silent, 'host')} found did not tell all they have yet; try again`
    throw new NotFoundError(error.code, `${error.message} (${late})`)
  }

  /** Everything the fleet offered when it was asked; empty before. */
  async offered(): Promise<readonly FleetShard[]> {
    const settled = await this.#settled?.catch(() => null) // whoever looked for a name was told why
    return shardsOf(settled?.hosts ?? [])
  }

  /** Leaves the fleet; idempotent. */
  stop(): Promise<void> {
    return this.#member.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}

/** One that only looks is no host and stands in no list. */
function watcherInfo(network: Network): MemberInfo {
  return {
    hostId: randomBytes(20).toString('hex'),
    name: 'get',
    version: VERSION,
    role: 'coordinator',
    startedAt: Date.now(),
    port: network.client.port,
    replicating: false,
    freeDiskBytes: null,
    uploadBytesPerSecond: 0,
    downloadBytesPerSecond: 0,
  }
}

function foundShard({ infoHash, name, length, sha256s, addresses }: FleetShard): FoundShard {
  const peers = addresses.flatMap((address) => parsePeerAddress(address) ?? []).slice(0, MAX_DIRECT_PEERS)
  const [sha256] = sha256s
  if (sha256 === undefined) throw new TypeError(`${name} is offered without a SHA-256`)
  return { infoHash, name, length, sha256, peers }
}

type Unfound = Exclude<Resolution, { kind: 'shard' | 'model' }>

/** The error of a name that cannot be fetched: what there is, and what to do. */
export function explain(name: string, found: Unfound, fleet: string): UsageError | NotFoundError {
  switch (found.kind) {
    case 'ambiguous':
      return ambiguous(name, found.candidates, fleet)
    case 'incomplete':
      return incomplete(name, found, fleet)
    case 'unknown':
      return unknown(name, found, fleet)
  }
}

function ambiguous(name: string, candidates: readonly FleetShard[], fleet: string): UsageError {
  const lines = candidates.slice(0, MAX_LISTED).map((shard) => {
    const { infoHash, wholeSeeds, length, sha256s } = shard
    const exact = length.toLocaleString('en-US')
    const file = shard.name === name ? '' : `  ${shard.name}`
    return (
      `  ${infoHash}${file}  ${countOf(wholeSeeds, 'seed')}  ${formatBytes(length)} (${exact} bytes)  ` +
      `SHA-256 ${sha256s.join(' or ')}`
    )
  })
  const more = candidates.length - lines.length
  if (more > 0) lines.push(`  and ${more} more`)
  const isDoubted = candidates.every(({ sha256s }) => sha256s.length > 1)
  const what = isDoubted
    ? `hosts of the ${fleet} do not agree on the SHA-256 of ${name}`
    : `${name} stands for different files in the ${fleet}`
  return new UsageError(
    'ambiguous',
    `${what}; nothing was fetched. Choose by infohash, as in \`gguf-swarm get ${candidates[0]?.infoHash}\`:\n${lines.join('\n')}`,
  )
}

function incomplete(
  name: string,
  { missing, count: all }: { readonly missing: readonly MissingShard[]; readonly count: number },
  fleet: string,
): NotFoundError {
  const [only] = missing
  if (only?.name === name) {
    return new NotFoundError(
      'incomplete',
      `no host of the ${fleet} that is online has ${name} whole; nothing was fetched. Start a host that has it, or try ` +
        'again when one that fetches it is done',
    )
  }
  const listed = missing.slice(0, MAX_LISTED).map((shard) => {
    return shard.name === null ? `shard ${shard.number}` : `shard ${shard.number} (${shard.name})`
  })
  if (missing.length > listed.length) listed.push(`${missing.length - listed.length} more`)
  const are = missing.length === 1 ? 'is' : 'are'
  return new NotFoundError(
    'incomplete',
    `${name}: ${listed.join(', ')} of ${all} ${are} on no host of the ${fleet} that is online; nothing was fetched. ` +
      'Start a host that has what is missing, or get the other shards by their own names',
  )
}

function unknown(
  name: string,
  { near, known }: { readonly near: readonly string[]; readonly known: number },
  fleet: string,
): NotFoundError {
  const advice =
    near.length > 0
      ? `did you mean ${near.join(', ')}?`
      : `it knows ${countOf(known, 'name')}; \`gguf-swarm status\` lists its models and shards`
  return new NotFoundError('unknown-name', `nothing in the ${fleet} is called ${name}; ${advice}`)
}
