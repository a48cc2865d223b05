/**
 * A DHT client as a stranger has it: a new node id, an empty table, and nothing but the bootstrap nodes. What
 * it finds, anybody finds.
 */
import { STORED_PEER_MAX_AGE_MS } from '../../config.ts'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { formatPeerAddress, type PeerAddress } from '../../metainfo/peer-address.ts'
import type { AllowedPeers } from '../../swarm/allowed-peers.ts'
import { DhtNode } from '../../swarm/dht/dht.ts'
import { bootstrapsOf, type DhtChoice } from '../network.ts'

/** One lookup. */
export interface Lookup {
  /** Nodes that answered on the way. */
  readonly visited: number
  readonly peers: readonly PeerAddress[]
  readonly tookMs: number
}

/** Where it looks, and with whom it may speak: everybody, when `allowed` is left out. */
export interface FreshDhtOptions {
  readonly dht: DhtChoice
  readonly bind: string
  readonly allowed?: AllowedPeers | undefined
}

/** A running client. Made by {@link FreshDht.start}. */
export class FreshDht implements AsyncDisposable {
  /** How many bootstrap nodes answered it. */
  readonly joined: number
  readonly #node: DhtNode
  readonly #peers: Map<InfoHash, Map<string, PeerAddress>>

  private constructor(node: DhtNode, joined: number, peers: Map<InfoHash, Map<string, PeerAddress>>) {
    this.#node = node
    this.joined = joined
    this.#peers = peers
  }

  /** Joins through the bootstrap nodes. Throws what {@link DhtNode.start} throws. */
  static async start({ dht, bind, allowed }: FreshDhtOptions): Promise<FreshDht> {
    const peers = new Map<InfoHash, Map<string, PeerAddress>>()
    const node = await DhtNode.start({
      port: 0,
      bind,
      bootstrap: await bootstrapsOf(dht, bind),
      readOnly: true,
      allowed,
      storedPeerMaxAgeMs: STORED_PEER_MAX_AGE_MS,
      listener: { onPeer: (infoHash, peer) => peers.get(infoHash)?.set(formatPeerAddress(peer), peer) },
    })
    return new FreshDht(node, await node.join(), peers)
  }

  async lookup(infoHash: InfoHash): Promise<Lookup> {
    const startedAt = performance.now()
    const peers = new Map<string, PeerAddress>()
    this.#peers.set(infoHash, peers)
    const visited = await this.#node.lookup(infoHash)
    this.#peers.delete(infoHash)
    return { visited, peers: [...peers.values()], tookMs: performance.now() - startedAt }
  }

  stop(): Promise<void> {
    return this.#node.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}
