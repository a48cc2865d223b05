/**
 * Whether what a host seeds is still what it hashed: the periodic re-check of its library, and what the fleet is told
 * of it.
 */
import { Rechecker } from '../library/rechecker.ts'
import type { ShardLibrary } from '../library/shard-library.ts'
import { ROTTEN } from '../library/suspects.ts'
import type { IntegrityInfo } from '../swarm/catalogue/catalogue-entry.ts'
import type { SeedEvent } from './events.ts'

export interface IntegrityOptions {
  readonly library: ShardLibrary
  readonly stateDir: string
  /** null re-checks nothing; what goes bad is still found when a peer asks for it. */
  readonly bytesPerSecond: number | null
  readonly onEvent: (event: SeedEvent) => void
}

/** A running watch over one library. Made by {@link Integrity.start}. */
export class Integrity implements AsyncDisposable {
  readonly #library: ShardLibrary
  readonly #rechecker: Rechecker | null

  private constructor(library: ShardLibrary, rechecker: Rechecker | null) {
    this.#library = library
    this.#rechecker = rechecker
  }

  static async start({ library, stateDir, bytesPerSecond, onEvent }: IntegrityOptions): Promise<Integrity> {
    if (bytesPerSecond === null) return new Integrity(library, null)
    const rechecker = await Rechecker.start({
      bytesPerSecond,
      stateDir,
      shards: () => library.entries().flatMap(({ shard }) => shard ?? []),
      isSeeded: (shard) => library.shardAt(shard.path) === shard,
      onBad: ({ path }, reason) => library.recheck(path, reason),
      onPass: (pass) => onEvent({ event: 'rechecked', ...pass }),
    })
    return new Integrity(library, rechecker)
  }

  /** As other members are told. */
  get info(): IntegrityInfo {
    const rottenShards = this.#library.entries().filter(({ code }) => code === ROTTEN.code).length
    return { rottenShards, recheckedAt: this.#rechecker?.endedAt ?? null }
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    await this.#rechecker?.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }
}
