/**
 * The files of a library, each in one state; `look` moves one to its next (drawn in shard-state.ts). Every
 * look starts from what stands on disk now, so it does not matter which event caused it, or how many were
 * lost.
 */
import type { BigIntStats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { systemCode } from '../errors.ts'
import { pieceLengthFor } from '../metainfo/piece-length.ts'
import { type Adoption, Adoptions } from './adoptions.ts'
import type { HashPool } from './hash-pool.ts'
import { type FileIdentity, identityOfStats, sameIdentity, sameIdentityAfterRestart } from './identity.ts'
import { FAILED_EARLY, lookAt, type Sight, unreadable } from './look.ts'
import type { LookLoop } from './look-loop.ts'
import { isAsMade, type ShardRecord, type ShardRecords } from './records.ts'
import { rejectionKey, restOf, settlingOf } from './settling.ts'
import { shardNameProblem } from './shard-name.ts'
import type { Hashing, LibraryListener, Rejected, Settling, ShardFile, ShardState } from './shard-state.ts'
import { ROTTEN, Suspects } from './suspects.ts'
import { MAX_SHARDS, relativeTo } from './walk.ts'
import { gatherEvidence, nextStep, type SettleTimes, type WaitKind } from './wholeness.ts'

export interface ShardFilesOptions {
  readonly root: string
  readonly pool: Pick<HashPool, 'hash'>
  readonly times: SettleTimes
  readonly records: ShardRecords
  readonly loop: Pick<LookLoop, 'mark' | 'run'>
  readonly listener: LibraryListener
  /** Whether a path that was not known before is one of this library's. */
  readonly admit: (path: string) => Promise<boolean>
  /** A file is seeding, rejected, gone, or was said to be waiting. */
  readonly onDecided: (path: string) => void
  /** Aborted when the library stops: nothing changes and nothing is told after that. */
  readonly signal: AbortSignal
}

export class ShardFiles {
  readonly #options: ShardFilesOptions
  readonly #states = new Map<string, ShardState>()
  readonly #suspects = new Suspects()
  readonly #adoptions: Adoptions

  constructor(options: ShardFilesOptions) {
    this.#options = options
    this.#adoptions = new Adoptions(options.signal)
    options.signal.addEventListener('abort', () => {
      for (const state of this.#states.values())
        if (state.kind === 'hashing') state.abort.abort(options.signal.reason)
    })
  }

  get states(): ReadonlyMap<string, ShardState> {
    return this.#states
  }

  /** The next look withdraws the shard and hashes it again, even if its identity is still the same. */
  suspect(path: string, reason: string): void {
    if (this.#states.get(path)?.kind === 'seeding') this.#suspects.accuse(path, reason)
  }

  /** The next look takes the file over if it is what the record says; resolves with whether it is seeded then. */
  adopt(record: ShardRecord): Promise<boolean> {
    return this.#adoptions.offer(record)
  }

  /** Looks at one path and does what follows from it. Never runs twice for one path at once. */
  async look(path: string): Promise<void> {
    const adoption = this.#adoptions.take(path)
    try {
      await this.#look(path, adoption)
    } finally {
      const state = this.#states.get(path)
      adoption?.decide(state?.kind === 'seeding' && state.shard.infoHash === adoption.record.infoHash)
    }
  }

  async #look(path: string, adoption: Adoption | undefined): Promise<void> {
    const known = this.#states.has(path)
    const sight = await lookAt(path)
    const unwanted = !known && sight.kind !== 'nothing' && !(await this.#isWanted(path))
    if (this.#options.signal.aborted) return
    if (unwanted) return this.#options.onDecided(path)
    if (adoption !== undefined && (await this.#adopt(path, adoption, sight))) return
    switch (sight.kind) {
      case 'nothing':
        return await this.#lose(path)
      case 'unusable':
        return this.#reject(path, undefined, { ...sight, retry: true })
      case 'file':
        return await this.#see(path, sight.stats)
    }
  }

  async #isWanted(path: string): Promise<boolean> {
    return this.#states.size < MAX_SHARDS && (await this.#options.admit(path))
  }

  /** A file stands there: is it news? */
  async #see(path: string, stats: BigIntStats): Promise<void> {
    const identity = identityOfStats(stats)
    const state = this.#states.get(path)
    const same = state?.identity !== undefined && sameIdentity(state.identity, identity)
    const suspicion = this.#suspects.take(path)
    switch (state?.kind) {
      case undefined:
        if (this.#resume(path, identity)) return
        this.#settle(path, stats)
        break
      case 'seeding':
        if (same && suspicion === undefined) return
        this.#options.listener.onGone(state.shard, same ? (suspicion ?? '') : 'it was changed on disk')
        if (same) this.#suspects.withdraw(path, state.shard)
        else this.#suspects.clear(path)
        this.#settle(path, stats)
        // What a suspect is hashed to next is compared with its record, after a restart too.
        await (same ? this.#options.records.suspect(path) : this.#options.records.remove(path))
        break
      case 'hashing':
        if (same) return
        state.abort.abort(new Error('the file changed'))
        this.#settle(path, stats)
        break
      case 'rejected':
        if (same && !state.retry) return
        if (!same) this.#suspects.clear(path)
        this.#settle(path, stats, state)
        break
      case 'settling':
        if (!same) this.#settle(path, stats, state)
        break
    }
    await this.#advance(path, stats)
  }

  /** False when the file is not, or no longer, what the record says: then it is a file like any other. */
  async #adopt(path: string, { record }: Adoption, sight: Sight): Promise<boolean> {
    if (sight.kind !== 'file' || !sameIdentity(record.identity, identityOfStats(sight.stats))) return false
    const state = this.#states.get(path)
    if (state?.kind === 'seeding') return false
    if (state?.kind === 'hashing') state.abort.abort(new Error('its hashes are known'))
    this.#settle(path, sight.stats) // ends what else was begun for it
    this.#suspects.clear(path)
    await this.#options.records.keep(record)
    if (!this.#options.signal.aborted) this.#seed(path, record)
    return true
  }

  /** A shard that was hashed before and did not change since needs no look inside, and no rest. */
  #resume(path: string, identity: FileIdentity): boolean {
    const record = this.#options.records.get(path)
    if (record === undefined || !sameIdentityAfterRestart(record.identity, identity)) return false
    if (record.isSuspect) this.#suspects.withdraw(path, { ...record, identity })
    if (record.isSuspect || !isAsMade(record)) return false
    this.#seed(path, { ...record, identity })
    return true
  }

  #settle(path: string, stats: BigIntStats, before?: Settling | Rejected): void {
    const known = this.#states.get(path)?.identity
    const restMs = restOf(this.#suspects, path, this.#options.times.settleMs)
    this.#states.set(path, settlingOf({ stats, known, before, restMs }))
  }

  /** Takes a settling file as far as it can go now, and says when to look again. */
  async #advance(path: string, stats: BigIntStats): Promise<void> {
    const state = this.#states.get(path)
    if (state?.kind !== 'settling') return
    const { times, loop, signal } = this.#options
    const name = basename(path)
    const problem = shardNameProblem(name)
    if (problem !== undefined) return this.#reject(path, state, { ...problem, retry: false })
    const nowMs = performance.now()
    const quietMs = nowMs - state.seenAtMs + state.quietBeforeMs
    const restMs = Math.max(times.momentMs - quietMs, state.notBeforeMs - nowMs)
    if (restMs > 0) {
      const changing = nowMs - state.sinceMs >= times.changingMs && state.told.size === 0
      if (changing) this.#wait(path, state, 'changing', 'it is still being written')
      return loop.mark(path, restMs)
    }
    try {
      state.evidence ??= await gatherEvidence(path, stats, signal)
      const step = await nextStep({ path, name, identity: state.identity }, state.evidence, quietMs, times)
      if (signal.aborted || this.#states.get(path) !== state) return
      if (step.kind === 'whole') return this.#hash(path, state)
      if (step.kind === 'reject') return this.#reject(path, state, { ...step, retry: false })
      if (step.because) this.#wait(path, state, step.because.kind, step.because.reason)
      loop.mark(path, step.forMs)
    } catch (error) {
      if (signal.aborted || this.#states.get(path) !== state) return
      if (systemCode(error) === 'ENOENT') loop.mark(path)
      else this.#reject(path, state, { ...unreadable(error), retry: true })
    }
  }

  #wait(path: string, { told }: Settling, kind: WaitKind, reason: string): void {
    if (told.has(kind)) return
    told.add(kind)
    this.#options.listener.onWaiting(this.#relative(path), reason)
    this.#options.onDecided(path)
  }

  #hash(path: string, { identity }: Settling): void {
    const state: Hashing = { kind: 'hashing', identity, abort: new AbortController(), hashedBytes: 0 }
    this.#states.set(path, state)
    this.#options.loop.run(this.#hashAndSeed(path, state))
  }

  async #hashAndSeed(path: string, state: Hashing): Promise<void> {
    const { pool, listener, signal } = this.#options
    const length = Number(state.identity.size)
    const isCurrent = (): boolean => !signal.aborted && this.#states.get(path) === state
    try {
      const hashed = await pool.hash(
        { path, name: basename(path), pieceLength: pieceLengthFor(length) },
        {
          signal: state.abort.signal,
          onStart: () => listener.onHashing(this.#relative(path), length),
          onProgress: (hashedBytes) => {
            state.hashedBytes = hashedBytes
          },
        },
      )
      if (!isCurrent()) return
      if (hashed.kind === 'changed' || !sameIdentity(hashed.identity, state.identity))
        return this.#restart(path)
      if (this.#suspects.isRotten(path, hashed)) return this.#reject(path, state, { ...ROTTEN, retry: false })
      const { kind: _, ...content } = hashed
      const record = { ...content, path }
      await this.#options.records.keep(record)
      if (isCurrent()) this.#seed(path, record)
    } catch (error) {
      if (!isCurrent()) return
      if (systemCode(error) === 'ENOENT') return this.#restart(path)
      // Again at a rescan, as the disk may be back; but one that fails is not read from end to end every minute.
      if (!FAILED_EARLY.has(systemCode(error))) this.#suspects.readFailed(path)
      this.#reject(path, state, { ...unreadable(error), retry: true })
    }
  }

  /**
   * The file changed while it was hashed: all that was known of it is void, and the next look begins anew.
   */
  #restart(path: string): void {
    this.#states.delete(path)
    this.#options.loop.mark(path)
  }

  #seed(path: string, record: ShardRecord): void {
    const shard: ShardFile = { ...record, relativePath: this.#relative(path) }
    this.#states.set(path, { kind: 'seeding', identity: record.identity, shard })
    this.#suspects.readWell(path)
    this.#options.listener.onShard(shard)
    this.#options.onDecided(path)
  }

  #withdraw(path: string, shard: ShardFile, reason: string): void {
    this.#options.loop.run(this.#options.records.remove(path))
    this.#options.listener.onGone(shard, reason)
  }

  #reject(
    path: string,
    from: Settling | Hashing | undefined,
    { code, reason, retry }: Pick<Rejected, 'code' | 'reason' | 'retry'>,
  ): void {
    const before = this.#states.get(path)
    if (before?.kind === 'seeding') this.#withdraw(path, before.shard, reason)
    if (before?.kind === 'hashing') before.abort.abort(new Error(reason))
    const state: Rejected = { kind: 'rejected', identity: from?.identity, code, reason, retry }
    const settlingAs = before?.kind === 'settling' ? before.rejectedAs : undefined
    const toldAs = before?.kind === 'rejected' ? rejectionKey(before) : settlingAs
    this.#states.set(path, state)
    if (toldAs !== rejectionKey(state)) this.#options.listener.onRejected(this.#relative(path), code, reason)
    this.#options.onDecided(path)
  }

  /** Nothing stands there any more. */
  async #lose(path: string): Promise<void> {
    const state = this.#states.get(path)
    this.#states.delete(path)
    this.#suspects.clear(path)
    if (state?.kind === 'hashing') state.abort.abort(new Error('the file is gone'))
    if (state?.kind === 'seeding') this.#options.listener.onGone(state.shard, 'it was removed')
    this.#options.onDecided(path)
    // With the root itself gone (a disk that is not mounted), the files may be back unchanged: then a record
    // saves hours.
    const rootStands = await stat(this.#options.root).then(
      () => true,
      () => false,
    )
    if (rootStands) await this.#options.records.remove(path)
  }

  #relative(path: string): string {
    return relativeTo(this.#options.root, path)
  }
}
