/** The states of a library's paths, and which of the paths lead to one file: by links, or because copies are equal. */
import { ollamaDigestOf } from './blob-name.ts'
import { type FileIdentity, sameIdentity } from './identity.ts'
import type { Naming } from './naming.ts'
import type { Rejected, ShardState } from './shard-state.ts'

/** States by path. */
export class ShardStates extends Map<string, ShardState> {
  /** Paths by what they have in common: the inode, or the content of a shard that is seeded. */
  readonly #shared = new Map<string, Set<string>>()
  readonly #naming: Naming

  constructor(naming: Naming) {
    super()
    this.#naming = naming
  }

  override set(path: string, state: ShardState): this {
    this.delete(path)
    for (const key of keysOf(state)) this.#shared.set(key, (this.#shared.get(key) ?? new Set()).add(path))
    return super.set(path, state)
  }

  override delete(path: string): boolean {
    const state = this.get(path)
    for (const key of state === undefined ? [] : keysOf(state)) {
      const paths = this.#shared.get(key)
      paths?.delete(path)
      if (paths?.size === 0) this.#shared.delete(key)
    }
    return super.delete(path)
  }

  /** The path under which the file that stands at `path` is settling, hashed or seeded already. */
  leaderOf(path: string, identity: FileIdentity): string | undefined {
    const leads = (other: string): boolean =>
      other !== path && ['settling', 'hashing', 'seeding'].includes(this.get(other)?.kind ?? '')
    const leaders = this.#paths(inodeKey(identity)).filter(leads)
    const name = this.#naming.nameOf(path)
    const isSeeding = (other: string): boolean => this.get(other)?.kind === 'seeding'
    const leader =
      leaders.find((other) => this.#naming.nameOf(other) === name) ?? leaders.find(isSeeding) ?? leaders[0]
    if (leader !== undefined || !this.#naming.isMadeUp(path)) return leader
    // A name that was made up is only used where the content has no other.
    const digest = ollamaDigestOf(path)
    if (digest === null) return undefined
    return this.#paths(contentKey(digest)).find((other) => leads(other) && !this.#naming.isMadeUp(other))
  }

  /** Why this very file is not seeded under another path; its name aside. */
  verdictOn(path: string, identity: FileIdentity): Rejected | undefined {
    for (const other of this.#paths(inodeKey(identity))) {
      const state = this.get(other)
      const isVerdict = other !== path && state?.kind === 'rejected' && state.isOfContent
      if (isVerdict && state.identity !== undefined && sameIdentity(state.identity, identity)) return state
    }
    return undefined
  }

  /** The paths whose file is seeded, or will be, under `path`. */
  followersOf(path: string): readonly string[] {
    const state = this.get(path)
    const linked = state?.identity === undefined ? [] : this.#paths(inodeKey(state.identity))
    return [...new Set([...linked, ...this.#naming.madeUpPaths])].filter((other) => {
      const follower = this.get(other)
      return follower?.kind === 'alias' && follower.of === path
    })
  }

  /** Seeded paths of this content whose names were made up. */
  madeUpWith(sha256: string): readonly string[] {
    return this.#paths(contentKey(sha256)).filter((path) => this.#naming.isMadeUp(path))
  }

  #paths(key: string): readonly string[] {
    return [...(this.#shared.get(key) ?? [])]
  }
}

const inodeKey = ({ dev, ino }: FileIdentity): string => `${dev}:${ino}`
const contentKey = (sha256: string): string => `sha256:${sha256}`

function keysOf(state: ShardState): readonly string[] {
  const keys = state.identity === undefined ? [] : [inodeKey(state.identity)]
  return state.kind === 'seeding' ? [...keys, contentKey(state.shard.sha256)] : keys
}
