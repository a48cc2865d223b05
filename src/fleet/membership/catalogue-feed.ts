/**
 * What one fleet peer still has to be told of our catalogue: all of it first, page by page, then what changes. Only
 * the infohashes of what is to be told are kept, so that ten changes of one shard are one entry on the wire.
 */
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { PAGE_ENTRIES } from '../../swarm/catalogue/catalogue-codec.ts'
import type { CatalogueMessage, OfferedShard } from '../../swarm/catalogue/catalogue-entry.ts'

/** Pages of one round: 8 × 50 entries × 4 rounds a second tell 10,000 shards in 7 s. */
const PAGES_A_ROUND = 8

/** Whom it is told to. */
export interface FeedPeer {
  /** False while it does not take what it was sent: what changes meanwhile is told once, later. */
  readonly hasRoom: boolean
  send(message: CatalogueMessage): void
}

export class CatalogueFeed {
  readonly #offer: ReadonlyMap<InfoHash, OfferedShard>
  readonly #peer: FeedPeer
  readonly #due: Set<InfoHash>
  #isFirst = true

  constructor(offer: ReadonlyMap<InfoHash, OfferedShard>, peer: FeedPeer) {
    this.#offer = offer
    this.#peer = peer
    this.#due = new Set(offer.keys())
  }

  /** A shard is new, changed or gone. */
  mark(infoHash: InfoHash): void {
    this.#due.add(infoHash)
  }

  /** True when the peer has been told everything: counts of both sides must agree then. */
  get isCurrent(): boolean {
    return !this.#isFirst && this.#due.size === 0
  }

  /** Tells the next pages. An empty catalogue is told too: the peer shall know that there is nothing. */
  flush(): void {
    for (let page = 0; page < PAGES_A_ROUND && !this.isCurrent && this.#peer.hasRoom; page++) {
      const told = this.#nextPage()
      const put = told.flatMap((infoHash) => this.#offer.get(infoHash) ?? [])
      const drop = told.filter((infoHash) => !this.#offer.has(infoHash))
      this.#isFirst &&= this.#due.size > 0
      this.#peer.send({ type: 'shards', put, drop, isPartial: this.#isFirst })
    }
  }

  #nextPage(): readonly InfoHash[] {
    const page: InfoHash[] = []
    for (const infoHash of this.#due) {
      if (page.length === PAGE_ENTRIES) break
      page.push(infoHash)
      this.#due.delete(infoHash)
    }
    return page
  }
}
