/**
 * What a replicating host has: the shards it seeds, those that are gone, and the files and half-fetched files it owes
 * to its fleet, whose bytes `--max-bytes` counts.
 */
import { join } from 'node:path'
import type { Log } from '../../log.ts'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import type { OfferedShard } from '../../swarm/catalogue/catalogue-entry.ts'
import { heldBytes, Partial } from '../download/partial.ts'
import { lengthOf } from '../download/pieces.ts'
import { type Replica, ReplicaLedger } from './replica-ledger.ts'

export interface ReplicaStockOptions {
  readonly folder: string
  readonly stateDir: string
  readonly log: Log
}

export class ReplicaStock {
  readonly #folder: string
  readonly #ledger: ReplicaLedger
  readonly #seeded = new Set<InfoHash>()
  /**
   * Seeded once and then removed or changed: somebody did that, so they are not fetched again before the next start.
   */
  readonly #gone = new Set<InfoHash>()
  /** Bytes on disk of fetches that are not under way. */
  readonly #held = new Map<InfoHash, number>()

  private constructor(folder: string, ledger: ReplicaLedger) {
    this.#folder = folder
    this.#ledger = ledger
  }

  /** Reads what earlier runs left; what a person removed since is no longer counted. */
  static async open({ folder, stateDir, log }: ReplicaStockOptions): Promise<ReplicaStock> {
    const stock = new ReplicaStock(folder, await ReplicaLedger.load(stateDir, log))
    for (const replica of stock.#ledger.all()) {
      const { infoHash, name, length, state } = replica
      const isNamed = (await lengthOf(join(folder, name)).catch(() => null)) === length
      if (state === 'fetching') await stock.#hold(infoHash)
      // A kill between the naming of a file and the note of it.
      if (state === 'fetching' && isNamed && !stock.#held.has(infoHash))
        stock.#ledger.put({ ...replica, state: 'kept' })
      else if (state === 'fetching' ? !stock.#held.has(infoHash) : !isNamed) stock.#ledger.remove(infoHash)
    }
    return stock
  }

  /** The library seeds it. */
  came(infoHash: InfoHash): void {
    this.#seeded.add(infoHash)
    this.#gone.delete(infoHash)
  }

  /** The library does not seed it any more. */
  went(infoHash: InfoHash): void {
    this.#seeded.delete(infoHash)
    this.#gone.add(infoHash)
  }

  isClosed(infoHash: InfoHash): boolean {
    return this.#seeded.has(infoHash) || this.#gone.has(infoHash)
  }

  isSeeded(infoHash: InfoHash): boolean {
    return this.#seeded.has(infoHash)
  }

  begun({ infoHash, name, model, length }: OfferedShard): void {
    this.#held.delete(infoHash)
    this.#ledger.put({ infoHash, name, model, length, state: 'fetching' })
  }

  kept({ infoHash, name, model, length }: OfferedShard): void {
    this.#ledger.put({ infoHash, name, model, length, state: 'kept' })
  }

  /** A fetch ended, and what there is of it is kept. */
  async paused(infoHash: InfoHash): Promise<void> {
    await this.#hold(infoHash)
    if (!this.#held.has(infoHash)) this.#ledger.remove(infoHash)
  }

  /** Nothing of a fetch is kept. Never throws: what cannot be removed now is found again at the next start. */
  async discard(infoHash: InfoHash): Promise<void> {
    try {
      const partial = await Partial.open(this.#folder, infoHash)
      await partial.discard().finally(() => partial.release())
      this.#held.delete(infoHash)
      this.#ledger.remove(infoHash)
    } catch {
      await this.#hold(infoHash)
    }
  }

  /** Removes what is half-fetched, and is here whole or not needed any more. */
  async tidy(isNeeded: (replica: Replica) => boolean): Promise<void> {
    for (const replica of this.#ledger.all()) {
      const { infoHash } = replica
      if (!this.#held.has(infoHash)) continue // it is under way, or kept
      if (this.isSeeded(infoHash) || !isNeeded(replica)) await this.discard(infoHash)
    }
  }

  heldBytes(infoHash: InfoHash): number {
    return this.#held.get(infoHash) ?? 0
  }

  /** All but what is under way. */
  keptBytes(): number {
    let bytes = 0
    for (const { infoHash, length, state } of this.#ledger.all()) {
      if (state === 'kept' && !this.#gone.has(infoHash)) bytes += length
    }
    for (const held of this.#held.values()) bytes += held
    return bytes
  }

  /** Resolves when what is to be remembered is written. */
  saved(): Promise<void> {
    return this.#ledger.saved()
  }

  async #hold(infoHash: InfoHash): Promise<void> {
    const bytes = await heldBytes(this.#folder, infoHash)
    if (bytes > 0) this.#held.set(infoHash, bytes)
    else this.#held.delete(infoHash)
  }
}
