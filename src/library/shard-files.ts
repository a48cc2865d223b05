/**
 * The files of a library, each in one state; `look` moves one to its next (drawn in shard-state.ts). Every
 * look starts from what stands on disk now, so it does not matter which event caused it, or how many were
 * lost.
 */
import type { BigIntStats } from 'node:fs'
import { type Adoption, Adoptions } from './adoptions.ts'
import { hashShard } from './hash-shard.ts'
import { type FileIdentity, identityOfStats, sameIdentity } from './identity.ts'
import { lookAt, type Sight } from './look.ts'
import { isAsMade, type ShardRecord } from './records.ts'
import { decideOn, rejectionKey, restOf, settlingOf } from './settling.ts'
import type { ShardFilesOptions } from './shard-files-options.ts'
import type { Hashing, Rejected, Settling, ShardFile, ShardState, Verdict } from './shard-state.ts'
import { ShardStates } from './shard-states.ts'
import { Suspects } from './suspects.ts'
import { Twins } from './twins.ts'
import { MAX_SHARDS } from './walk.ts'
import type { WaitReason } from './wholeness.ts'

export class ShardFiles {
  readonly #options: ShardFilesOptions
  readonly #states: ShardStates
  readonly #twins: Twins
  readonly #suspects = new Suspects()
  readonly #adoptions: Adoptions

  constructor(options: ShardFilesOptions) {
    this.#options = options
    this.#states = new ShardStates(options.naming)
    this.#twins = new Twins(this.#states, {
      ...options,
      seed: (path, record) => this.#seed(path, record),
      withdraw: (path, shard, reason) => this.#withdraw(path, shard, reason),
      reject: (path, identity, verdict) => this.#reject(path, identity, verdict),
      isSuspect: (path) => this.#options.records.get(path)?.isSuspect === true,
    })
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
    const sight = await lookAt(path, this.#options.rootOf(path))
    const unwanted = !known && sight.kind !== 'nothing' && !(await this.#isWanted(path))
    if (this.#options.signal.aborted) return
    if (unwanted) return this.#options.onDecided(path)
    if (adoption !== undefined && (await this.#adopt(path, adoption, sight))) return
    switch (sight.kind) {
      case 'nothing':
        return await this.#lose(path)
      case 'unusable':
        return this.#reject(path, undefined, { ...sight, retry: true, isOfContent: false })
      case 'file':
        // A blob of a store that calls it nothing any more.
        if (this.#options.naming.nameOf(path) === null) return await this.#lose(path)
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
      case 'alias':
        if (this.#takeUp(path, identity)) return
        this.#settle(path, stats)
        break
      case 'seeding':
        if (same && suspicion === undefined) return this.#twins.rename(path, state.shard)
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
        if (state.identity === undefined) {
          // It could not be looked at (a disk that was away): it may be just what it was.
          if (suspicion !== undefined) await this.#options.records.suspect(path)
          if (this.#options.signal.aborted || this.#takeUp(path, identity)) return
        } else if (!same) this.#suspects.clear(path)
        this.#settle(path, stats, state)
        break
      case 'settling':
        if (!same) this.#settle(path, stats, state)
        break
    }
    const isSuspect = this.#options.records.of(path, identity)?.isSuspect === true
    const mayFollow = this.#states.get(path)?.kind === 'settling' && !isSuspect
    if (this.#options.signal.aborted || (mayFollow && this.#twins.follow(path, identity))) return
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

  /** True when what is known of the file, under this path or another, is all there is to it; a suspect is read again. */
  #takeUp(path: string, identity: FileIdentity): boolean {
    const record = this.#options.records.of(path, identity)
    if (record?.isSuspect) {
      this.#suspects.withdraw(path, { ...record, identity })
      return false
    }
    if (this.#twins.follow(path, identity)) return true
    // Hashed before, and not changed since: it needs no look inside, and no rest.
    if (record === undefined || !isAsMade(record, this.#options.naming.called(path))) return false
    this.#seed(path, { ...record, identity })
    return true
  }

  #settle(path: string, stats: BigIntStats, before?: Settling | Rejected): void {
    const known = this.#states.get(path)?.identity
    const restMs = restOf(this.#suspects, path, this.#options.times.settleMs)
    const followers = this.#states.followersOf(path)
    this.#states.set(path, settlingOf({ stats, known, before, restMs }))
    this.#twins.stir(followers)
  }

  /** Takes a settling file as far as it can go now, and says when to look again. */
  async #advance(path: string, stats: BigIntStats): Promise<void> {
    const state = this.#states.get(path)
    if (state?.kind !== 'settling') return
    const { times, loop, signal } = this.#options
    const step = await decideOn(
      { path, name: this.#options.naming.called(path), stats },
      state,
      times,
      signal,
    )
    if (signal.aborted || this.#states.get(path) !== state) return
    switch (step.kind) {
      case 'whole':
        return this.#hash(path, state)
      case 'refused':
        return this.#reject(path, state.identity, step.verdict)
      case 'wait':
        if (step.because) this.#wait(path, state, step.because)
        return loop.mark(path, step.forMs)
    }
  }

  #wait(path: string, { told }: Settling, { kind, reason }: WaitReason): void {
    if (told.has(kind)) return
    told.add(kind)
    this.#options.listener.onWaiting(this.#relative(path), reason)
    this.#options.onDecided(path)
  }

  #hash(path: string, { identity, rejectedAs }: Settling): void {
    const abort = new AbortController()
    const state: Hashing = { kind: 'hashing', identity, abort, rejectedAs, hashedBytes: 0 }
    this.#states.set(path, state)
    this.#options.loop.run(this.#hashAndSeed(path, state))
  }

  async #hashAndSeed(path: string, state: Hashing): Promise<void> {
    const { pool, listener, signal } = this.#options
    const { identity } = state
    const hashed = await hashShard(
      { path, name: this.#options.naming.called(path), identity },
      pool,
      (hashes) => this.#suspects.isRotten(path, hashes),
      {
        signal: state.abort.signal,
        onStart: () => listener.onHashing(this.#relative(path), Number(identity.size)),
        onProgress: (hashedBytes) => {
          state.hashedBytes = hashedBytes
        },
      },
    )
    const isCurrent = (): boolean => !signal.aborted && this.#states.get(path) === state
    if (!isCurrent()) return
    if (hashed.kind === 'changed') return this.#restart(path)
    if (hashed.kind === 'refused') {
      if (hashed.isLateFailure) this.#suspects.readFailed(path)
      return this.#reject(path, identity, hashed.verdict)
    }
    await this.#options.records.keep(hashed.record)
    if (isCurrent()) this.#seed(path, hashed.record)
  }

  /** The file changed while it was hashed: all that was known of it is void, and the next look begins anew. */
  #restart(path: string): void {
    const followers = this.#states.followersOf(path)
    this.#states.delete(path)
    this.#twins.stir([path, ...followers])
  }

  #seed(path: string, record: ShardRecord): void {
    const shard: ShardFile = { ...record, relativePath: this.#relative(path) }
    const madeUp = this.#options.naming.isMadeUp(path) ? [] : this.#states.madeUpWith(record.sha256)
    this.#states.set(path, { kind: 'seeding', identity: record.identity, shard })
    this.#suspects.readWell(path)
    this.#options.listener.onShard(shard)
    for (const other of madeUp) this.#twins.yieldTo(other, shard)
    this.#twins.stir(this.#states.followersOf(path))
    this.#options.onDecided(path)
  }

  #withdraw(path: string, shard: ShardFile, reason: string): void {
    this.#options.loop.run(this.#options.records.remove(path))
    this.#options.listener.onGone(shard, reason)
  }

  #reject(
    path: string,
    identity: FileIdentity | undefined,
    { code, reason, retry, isOfContent }: Verdict,
  ): void {
    const before = this.#states.get(path)
    const followers = this.#states.followersOf(path)
    // Its record stays: who cannot be looked at now may be the same file later.
    if (before?.kind === 'seeding') this.#options.listener.onGone(before.shard, reason)
    if (before?.kind === 'hashing') before.abort.abort(new Error(reason))
    const state: Rejected = { kind: 'rejected', identity, code, reason, retry, isOfContent }
    const earlier = before !== undefined && 'rejectedAs' in before ? before.rejectedAs : undefined
    const toldAs = before?.kind === 'rejected' ? rejectionKey(before) : earlier
    this.#states.set(path, state)
    if (toldAs !== rejectionKey(state)) this.#options.listener.onRejected(this.#relative(path), code, reason)
    this.#twins.stir(followers)
    this.#options.onDecided(path)
  }

  /** Nothing stands there any more. */
  async #lose(path: string): Promise<void> {
    const before = this.#states.get(path)
    if (before?.kind === 'seeding') await this.#twins.passOn(path, before.shard)
    if (this.#options.signal.aborted) return
    const state = this.#states.get(path)
    const followers = this.#states.followersOf(path)
    this.#states.delete(path)
    this.#suspects.clear(path)
    if (state?.kind === 'hashing') state.abort.abort(new Error('the file is gone'))
    if (state?.kind === 'seeding') this.#options.listener.onGone(state.shard, 'it was removed')
    this.#twins.stir(followers)
    this.#options.onDecided(path)
    // With the root itself gone (a disk that is not mounted), the files may be back unchanged: then a record
    // saves hours.
    if (await this.#options.isMounted(path)) await this.#options.records.remove(path)
  }

  #relative(path: string): string {
    return this.#options.relative(path)
  }
}
