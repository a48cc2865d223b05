/**
 * How much of what arrives on the DHT's port is looked at. Whoever asks much is answered in part, and when all ask
 * much, each gets a share: a flood from some addresses, forged ones too, must not leave an honest one without an
 * answer. Nothing of a datagram that is one too many is decoded: that costs more than everything else.
 */

/** Queries one address may send in a second: a host announcing 1,000 shards at start stays below it. */
const MAX_QUERIES_PER_ADDRESS = 1_000
/** Queries from everybody in a second: about a third of one core of decoding and answering. */
const MAX_QUERIES = 5_000
/** The same again for addresses that have proved that they are no forgery. */
const MAX_PROVEN_QUERIES = 2_500
/**
 * All else is answers to what we asked, of which there are never so many: 64 queries are under way at once. It is
 * decoded before it is known whether anybody waits for it.
 */
const MAX_OTHERS_PER_ADDRESS = 2_000
const MAX_OTHERS = 5_000
/**
 * Once half of a budget is spent, an address gets no more than so much of the rest in this second: a node looks something
 * up with a handful of queries.
 */
const BUSY_SHARE = 20
/** Addresses counted in one second; more than this is a flood with forged sources. */
const MAX_COUNTED_ADDRESSES = 10_000
/** Addresses known to be real; the ones proved longest ago go first. */
const MAX_PROVEN_ADDRESSES = 5_000
const WINDOW_MS = 1_000

/** What one kind of datagram may take of a second. */
class Budget {
  readonly #perAddress: number
  readonly #total: number
  readonly #byAddress = new Map<string, number>()
  #spent = 0

  constructor(perAddress: number, total: number) {
    this.#perAddress = perAddress
    this.#total = total
  }

  spend(address: string): boolean {
    const count = (this.#byAddress.get(address) ?? 0) + 1
    const share = this.#spent < this.#total / 2 ? this.#perAddress : BUSY_SHARE
    if (count > share || this.#spent >= this.#total) return false
    if (count === 1 && this.#byAddress.size >= MAX_COUNTED_ADDRESSES) return false
    this.#byAddress.set(address, count)
    this.#spent++
    return true
  }

  renew(): void {
    this.#spent = 0
    this.#byAddress.clear()
  }
}

/** The limits of one socket. `now` gives milliseconds of a clock that nobody sets. */
export class DatagramLimit {
  readonly #now: () => number
  readonly #queries = new Budget(MAX_QUERIES_PER_ADDRESS, MAX_QUERIES)
  readonly #provenQueries = new Budget(MAX_QUERIES_PER_ADDRESS, MAX_PROVEN_QUERIES)
  readonly #others = new Budget(MAX_OTHERS_PER_ADDRESS, MAX_OTHERS)
  readonly #proven = new Set<string>()
  #windowStart = Number.NEGATIVE_INFINITY

  constructor(now: () => number = () => performance.now()) {
    this.#now = now
  }

  /** Whether one more from this address is looked at. */
  admits(address: string, kind: 'query' | 'other'): boolean {
    const now = this.#now()
    if (now - this.#windowStart >= WINDOW_MS) {
      this.#windowStart = now
      for (const budget of [this.#queries, this.#provenQueries, this.#others]) budget.renew()
    }
    if (kind === 'other') return this.#others.spend(address)
    return this.#queries.spend(address) || (this.#proven.has(address) && this.#provenQueries.spend(address))
  }

  /** Something came from this address that only somebody can send who receives there: no forged one. */
  prove(address: string): void {
    this.#proven.delete(address)
    this.#proven.add(address)
    const [oldest] = this.#proven
    if (this.#proven.size > MAX_PROVEN_ADDRESSES && oldest !== undefined) this.#proven.delete(oldest)
  }
}
