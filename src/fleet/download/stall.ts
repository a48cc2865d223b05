/** Why a download does not move, in words a person can act on, and when to give it up. */
import { countOf } from '../../log.ts'
import { formatPeerAddress, type PeerAddress } from '../../metainfo/peer-address.ts'
import type { TorrentStats } from '../../swarm/client.ts'
import { SleepWatch } from '../../swarm/lane/sleep.ts'
import type { Network } from '../network.ts'

/** A pause shorter than this is the normal breathing of TCP and choking. */
const QUIET_MS = 3_000
/** Peers counted; nobody reads a larger number, and strangers must not choose how much is kept. */
const MAX_HEARD_OF = 1_000
/** Peers named in a reason. */
const NAMED_PEERS = 3

/** A download without new bytes for a while. */
export interface Stall {
  readonly seconds: number
  readonly reason: string
  /** What the person could do about it. */
  readonly advice: string
  /** The time limit has passed. */
  readonly expired: boolean
}

/** Watches one download for new bytes; looked at twice a second. */
export class StallWatch {
  readonly #timeoutMs: number | null
  readonly #heardOf = new Set<string>()
  /** Milliseconds of a clock that nobody sets. */
  readonly #now: () => number
  readonly #sleep: SleepWatch
  #lastBytes = 0
  #movedAt: number
  #stats: TorrentStats | undefined
  #hasMetadata = false

  constructor(timeoutMs: number | null, now: () => number = () => performance.now()) {
    this.#timeoutMs = timeoutMs
    this.#now = now
    this.#movedAt = now()
    this.#sleep = new SleepWatch(this.#movedAt)
  }

  heardOf(peer: PeerAddress): void {
    if (this.#heardOf.size < MAX_HEARD_OF) this.#heardOf.add(formatPeerAddress(peer))
  }

  /** Takes the newest figures; gives the stall when there is one. */
  observe(stats: TorrentStats, network: Network, hasMetadata: boolean): Stall | null {
    if (stats.verifiedBytes > this.#lastBytes || hasMetadata !== this.#hasMetadata)
      this.#movedAt = this.#now()
    this.#lastBytes = stats.verifiedBytes
    this.#stats = stats
    this.#hasMetadata = hasMetadata
    return this.current(network)
  }

  current(network: Network): Stall | null {
    const now = this.#now()
    // Peers are not to blame for a time in which nobody listened, and may have to be connected to again.
    if (this.#sleep.slept(now)) this.#movedAt = now
    const quietMs = now - this.#movedAt
    if (quietMs < QUIET_MS || this.#stats === undefined) return null
    const expired = this.#timeoutMs !== null && quietMs >= this.#timeoutMs
    return { seconds: Math.round(quietMs / 1000), ...this.#explain(this.#stats, network), expired }
  }

  #explain(stats: TorrentStats, network: Network): { reason: string; advice: string } {
    const { dht } = network
    const later = 'run the same command again to go on where it stopped'
    if (stats.peers > 0) {
      if (!this.#hasMetadata) {
        return {
          reason: `connected to ${countOf(stats.peers, 'peer')}, none has sent the metadata yet`,
          advice: later,
        }
      }
      if (stats.useful === 0) {
        const reason = `connected to ${countOf(stats.peers, 'peer')}, none has a piece that is missing here`
        return { reason, advice: `a host with the whole shard is needed; ${later}` }
      }
      if (stats.unchoked === 0) {
        return { reason: `waiting for a free upload slot at ${countOf(stats.peers, 'peer')}`, advice: later }
      }
      return { reason: `connected to ${countOf(stats.peers, 'peer')}, but no data comes`, advice: later }
    }
    if (stats.webSeeds > 0 && this.#hasMetadata) {
      return { reason: `asked ${countOf(stats.webSeeds, 'web seed')}, but no data comes`, advice: later }
    }
    if (stats.banned > 0) {
      const reason = `dropped ${countOf(stats.banned, 'peer')} that sent wrong data, and found no other`
      return { reason, advice: 'a host with the right bytes is needed; ask whoever published it' }
    }
    if (this.#heardOf.size > 0) {
      const named = [...this.#heardOf].slice(0, NAMED_PEERS).join(', ')
      const reason = `found ${countOf(this.#heardOf.size, 'peer')} (${named}), none can be connected to`
      return { reason, advice: 'check that their BitTorrent port is open (TCP) and that they still run' }
    }
    if (network.isolated) {
      const asked = dht.bootstrap.map(formatPeerAddress).join(', ')
      const advice =
        'start one with `gguf-swarm bootstrap`, name another with --bootstrap HOST:PORT, or join the public DHT with --public'
      return { reason: `no DHT node answers at ${asked}`, advice }
    }
    return {
      reason: `asked ${countOf(dht.nodeCount, 'DHT node')}, nobody announces it`,
      advice: 'check the infohash, and that a host seeding it runs and uses the same DHT',
    }
  }
}
