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
 * What is neither a query nor an answer that is still expected: answers that come late, queries in the spelling of
 * others, nonsense. All of it is decoded before more is known.
 */
const MAX_OTHERS_PER_ADDRESS = 500
const MAX_OTHERS = 2_000
/** An answer is expected for at least so long, which is longer than a query waits for it. */
const EXPECTED_MS = 2_000
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
  /** How many answers are expected from each address, by when they were asked for: of late, and before that. */
  #expected = new Map<string, number>()
  #expectedBefore = new Map<string, number>()
  #expectedSince = Number.NEGATIVE_INFINITY
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
    if (kind === 'other') return this.#isExpected(address) || this.#others.spend(address)
    return this.#queries.spend(address) || (this.#proven.has(address) && this.#provenQueries.spend(address))
  }

  /** A query was sent to this address: one answer from there is looked at, whatever else comes. */
  asked(address: string): void {
    const now = this.#now()
    if (now - this.#expectedSince >= EXPECTED_MS) {
      this.#expectedSince = now
      this.#expectedBefore = this.#expected
      this.#expected = new Map()
    }
    this.#expected.set(address, (this.#expected.get(address) ?? 0) + 1)
  }

  #isExpected(address: string): boolean {
    for (const expected of [this.#expectedBefore, this.#expected]) {
      const count = expected.get(address) ?? 0
      if (count === 0) continue
      if (count === 1) expected.delete(address)
      else expected.set(address, count - 1)
      return true
    }
    return false
  }

  /** Something came from this address that only somebody can send who receives there: no forged one. */
  prove(address: string): void {
    this.#proven.delete(address)
    this.#proven.add(address)
    const [oldest] = this.#proven
    if (this.#proven.size > MAX_PROVEN_ADDRESSES && oldest !== undefined) this.#proven.delete(oldest)
  }
}
