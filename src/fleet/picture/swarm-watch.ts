/**
 * Looks at the swarms of a fleet's shards, one after the other: what their peers' bitfields say, and whom the DHT
 * names. It is a second witness beside the hosts' own words, and never hurries.
 */
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { formatPeerAddress, type PeerAddress, parsePeerAddress } from '../../metainfo/peer-address.ts'
import type { AllowedPeers } from '../../swarm/allowed-peers.ts'
import type { OfferedShard } from '../../swarm/catalogue/catalogue-entry.ts'
import { probePeer } from '../../swarm/probe/probe.ts'
import type { Network } from '../network.ts'
import type { FleetPicture } from './fleet-picture.ts'

/** One shard a second: a thousand shards are seen every quarter of an hour, for some packets each. */
const PACE_MS = 1_000
/** A shard is not looked at again before, however few there are. */
const AGAIN_MS = 15_000
/** Peers asked for one shard; each is a connection. More only confirm what these say. */
const MAX_ASKED = 16

export class SwarmWatch {
  readonly #network: Network
  readonly #picture: FleetPicture
  readonly #allowed: AllowedPeers | undefined
  readonly #lookedAt = new Map<InfoHash, number>()
  readonly #stop = new AbortController()
  readonly #timer: NodeJS.Timeout
  #isLooking = false
  /** The connections to peers under way. */
  #asking: Promise<unknown> = Promise.resolve()

  /** @param allowed who may be dialled; everybody, when left out */
  constructor(network: Network, picture: FleetPicture, allowed?: AllowedPeers) {
    this.#network = network
    this.#allowed = allowed
    this.#picture = picture
    this.#timer = setInterval(() => this.#next(), PACE_MS)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#stop.abort()
    await this.#asking // and not for a lookup, which may take many seconds and changes nothing any more
  }

  /** The shard that was looked at longest ago. */
  #next(): void {
    if (this.#isLooking) return
    let due: InfoHash | undefined
    let oldest = performance.now() - AGAIN_MS
    let known = 0
    for (const infoHash of this.#picture.infoHashes()) {
      known++
      const at = this.#lookedAt.get(infoHash) ?? Number.NEGATIVE_INFINITY
      if (at >= oldest) continue
      due = infoHash
      oldest = at
    }
    if (this.#lookedAt.size > known) this.#forgetGone()
    const shard = due === undefined ? undefined : this.#picture.whereabouts(due)
    if (due === undefined || shard === undefined) return
    this.#lookedAt.set(due, performance.now())
    this.#isLooking = true
    void this.#look(due, shard.facts, shard.addresses).finally(() => {
      this.#isLooking = false
    })
  }

  #forgetGone(): void {
    const known = new Set(this.#picture.infoHashes())
    for (const infoHash of this.#lookedAt.keys()) if (!known.has(infoHash)) this.#lookedAt.delete(infoHash)
  }

  async #look(infoHash: InfoHash, facts: OfferedShard, addresses: readonly string[]): Promise<void> {
    const named = await this.#network.findPeers(infoHash)
    const { signal } = this.#stop
    if (signal.aborted) return
    const known = new Map<string, PeerAddress>()
    for (const peer of [...addresses.flatMap((text) => parsePeerAddress(text) ?? []), ...named]) {
      const isAllowed = this.#allowed?.admits(peer.host, 'dials') ?? true
      if (isAllowed && known.size < MAX_ASKED) known.set(formatPeerAddress(peer), peer)
    }
    const asking = Promise.all(
      [...known.values()].map((peer) => probePeer(peer, facts, signal).catch(() => null)),
    )
    this.#asking = asking
    const answers = await asking
    if (signal.aborted) return
    const seen = answers.filter((answer) => answer !== null)
    this.#picture.look(infoHash, {
      dhtPeersEstimate: named.length,
      seen: {
        at: new Date().toISOString(),
        peers: seen.length,
        wholePeers: seen.filter(({ whole }) => whole).length,
      },
    })
  }
}
