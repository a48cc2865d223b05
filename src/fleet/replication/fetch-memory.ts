/**
 * What a host remembers of fetches that came to nothing: when to try again, what not to try again, whom it could not
 * fetch from, and what it has told. Everything is bounded; what is forgotten is only tried, or told, once more.
 */
import type { InfoHash } from '../../metainfo/info-hash.ts'
import type { OfferedShard } from '../../swarm/catalogue/catalogue-entry.ts'

/** Of each kind. */
const MAX_REMEMBERED = 10_000
/** A host that was restarted is back by then; after many failures a look every ten minutes costs nothing. */
const RETRY_MIN_MS = 10_000
const RETRY_MAX_MS = 600_000

interface Retry {
  readonly failures: number
  readonly atMs: number
}

export class FetchMemory {
  readonly #refused = new Map<string, string>()
  readonly #retries = new Map<InfoHash, Retry>()
  readonly #strikes = new Map<string, number>()
  readonly #told = new Map<string, number>()

  /** Not fetched again, as long as the same is said of it. */
  refuse(shard: OfferedShard): void {
    remember(this.#refused, claimOf(shard), shard.name)
  }

  isRefused(shard: OfferedShard): boolean {
    return this.#refused.has(claimOf(shard))
  }

  /** What stood in the way of everything under a name is gone. */
  freed(name: string): void {
    for (const [claim, refused] of this.#refused) if (refused === name) this.#refused.delete(claim)
  }

  /** Another attempt later, each time later than the last. */
  failed(infoHash: InfoHash, nowMs: number): void {
    const failures = (this.#retries.get(infoHash)?.failures ?? 0) + 1
    const waitMs = Math.min(RETRY_MIN_MS * 2 ** (failures - 1), RETRY_MAX_MS)
    remember(this.#retries, infoHash, { failures, atMs: nowMs + waitMs })
  }

  /** Another attempt at a time; this was no failure. */
  postpone(infoHash: InfoHash, atMs: number): void {
    remember(this.#retries, infoHash, { failures: this.#retries.get(infoHash)?.failures ?? 0, atMs })
  }

  /** When to try again; 0 for now. */
  retryAtMs(infoHash: InfoHash): number {
    return this.#retries.get(infoHash)?.atMs ?? 0
  }

  /** It arrived, or somebody else has it now: whatever happened before does not count. */
  forgive(infoHash: InfoHash): void {
    this.#retries.delete(infoHash)
  }

  /** A host offered a shard and could not be fetched from. */
  strike(hostId: string): void {
    remember(this.#strikes, hostId, this.strikesOf(hostId) + 1)
  }

  strikesOf(hostId: string): number {
    return this.#strikes.get(hostId) ?? 0
  }

  absolve(hostId: string): void {
    this.#strikes.delete(hostId)
  }

  /** False when the same was told less than `everyMs` ago. */
  mayTell(what: string, nowMs: number, everyMs: number = Number.POSITIVE_INFINITY): boolean {
    const toldAtMs = this.#told.get(what)
    if (toldAtMs !== undefined && nowMs - toldAtMs < everyMs) return false
    remember(this.#told, what, nowMs)
    return true
  }
}

function claimOf({ infoHash, name, length, pieceLength, sha256 }: OfferedShard): string {
  return JSON.stringify([infoHash, name, length, pieceLength, sha256])
}

function remember<K, V>(map: Map<K, V>, key: K, value: V): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= MAX_REMEMBERED) return
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}
