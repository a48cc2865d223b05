/**
 * One file under several paths: links to it, hard links, a blob of a store that lies elsewhere under its own name. It
 * is hashed once and is one torrent, named by one of its paths; the others only follow. Which one, says `naming`.
 */
import { type FileIdentity, identityOfStats, sameIdentity } from './identity.ts'
import { lookAt } from './look.ts'
import type { LookLoop } from './look-loop.ts'
import type { Naming } from './naming.ts'
import { recordAs, type ShardRecord, type ShardRecords } from './records.ts'
import { shardNameProblem } from './shard-name.ts'
import type { LibraryListener, ShardFile, Verdict } from './shard-state.ts'
import type { ShardStates } from './shard-states.ts'

export interface TwinsOptions {
  readonly naming: Naming
  readonly records: Pick<ShardRecords, 'keep' | 'remove'>
  readonly loop: Pick<LookLoop, 'mark' | 'run'>
  readonly listener: Pick<LibraryListener, 'onAlias' | 'onGone'>
  readonly relative: (path: string) => string
  readonly rootOf: (path: string) => string
  readonly onDecided: (path: string) => void
  readonly seed: (path: string, record: ShardRecord) => void
  readonly withdraw: (path: string, shard: ShardFile, reason: string) => void
  readonly reject: (path: string, identity: FileIdentity, verdict: Verdict) => void
  /** Whether something is held against the file at `path`, which only its own record can tell right from wrong. */
  readonly isSuspect: (path: string) => boolean
  readonly signal: AbortSignal
}

export class Twins {
  readonly #states: ShardStates
  readonly #options: TwinsOptions

  constructor(states: ShardStates, options: TwinsOptions) {
    this.#states = states
    this.#options = options
  }

  /** True when the file at `path` is known, or was judged, under another path, and all that follows from it is done. */
  follow(path: string, identity: FileIdentity): boolean {
    const { naming, reject } = this.#options
    if (shardNameProblem(naming.called(path)) !== undefined) return false
    const leader = this.#states.leaderOf(path, identity)
    if (leader !== undefined) return this.#followLeader(path, identity, leader)
    const verdict = this.#states.verdictOn(path, identity)
    if (verdict !== undefined) reject(path, identity, verdict)
    return verdict !== undefined
  }

  #followLeader(path: string, identity: FileIdentity, leader: string): boolean {
    const { naming, withdraw, isSuspect } = this.#options
    const state = this.#states.get(leader)
    const needsBoth = naming.needBoth(path, leader)
    if (state?.kind === 'seeding' && sameIdentity(state.identity, identity)) {
      const isBetter = naming.isMadeUp(leader) && !naming.isMadeUp(path)
      if (isBetter) withdraw(leader, state.shard, 'it is there under a name of its own, too')
      if (isBetter || needsBoth) {
        this.#seedAs(path, state.shard, identity)
        if (isBetter) this.#alias(leader, state.identity, path)
        return true
      }
    } else if (
      state?.kind === 'settling' &&
      !needsBoth &&
      naming.precedes(path, leader) &&
      !isSuspect(leader)
    ) {
      // That one was only seen first.
      this.#states.set(leader, { kind: 'alias', identity: state.identity, of: path, isTold: false })
      return false
    }
    this.#alias(path, identity, leader)
    return true
  }

  /** A store calls the file at `path` otherwise now, if it does. */
  rename(path: string, shard: ShardFile): void {
    const name = this.#options.naming.nameOf(path)
    if (name === null || name === shard.name) return
    this.#options.listener.onGone(shard, `it is called ${name} now`)
    this.#seedAs(path, shard, shard.identity)
  }

  /** The name of `path` was made up, and `shard` has the same content under a name of its own. */
  yieldTo(path: string, shard: ShardFile): void {
    const state = this.#states.get(path)
    if (state?.kind !== 'seeding') return
    this.#options.withdraw(path, state.shard, `it is the same as ${shard.relativePath}`)
    this.#alias(path, state.identity, shard.path)
  }

  /** The file of a shard that is gone may still stand under another path: then it is served from there. */
  async passOn(path: string, shard: ShardFile): Promise<void> {
    for (const heir of this.#states.followersOf(path)) {
      const sight = await lookAt(heir, this.#options.rootOf(heir))
      const stands = sight.kind === 'file' && sameIdentity(identityOfStats(sight.stats), shard.identity)
      const isFree = this.#states.get(heir)?.kind === 'alias' && !this.#options.signal.aborted
      if (stands && isFree) return this.#seedAs(heir, shard, shard.identity)
    }
  }

  /** The path that these followed is not what it was. */
  stir(followers: readonly string[]): void {
    for (const path of followers) this.#options.loop.mark(path)
  }

  /** `path` is one more of the file that `of` stands for; said once that is seeded. */
  #alias(path: string, identity: FileIdentity, of: string): void {
    const { naming, listener, records, loop, relative, onDecided } = this.#options
    const before = this.#states.get(path)
    const leader = this.#states.get(of)
    const wasTold = before?.kind === 'alias' && before.of === of && before.isTold
    const isNews = !wasTold && leader?.kind === 'seeding' && !naming.needBoth(path, of)
    this.#states.set(path, { kind: 'alias', identity, of, isTold: wasTold || isNews })
    loop.run(records.remove(path))
    if (isNews) listener.onAlias(relative(path), leader.shard)
    onDecided(path)
  }

  /** Seeds the content of `shard`, whose file also stands at `path`, under that path's name; nothing is read. */
  #seedAs(path: string, shard: ShardFile, identity: FileIdentity): void {
    const { naming, records, loop, seed } = this.#options
    const record = recordAs(shard, { path, name: naming.called(path), identity })
    loop.run(records.keep(record))
    seed(path, record)
  }
}
