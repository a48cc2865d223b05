/**
 * What the files of a library are called, and which of several paths of one file comes first. Most files have a name
 * of their own; a blob of Ollama is called what its manifests say.
 */
import { basename } from 'node:path'
import { parseShardName } from '../gguf/shards.ts'
import { isShardName } from './shard-name.ts'
import type { FoundShard } from './walk.ts'

export class Naming {
  #madeUp: ReadonlyMap<string, string> = new Map()
  #ranks: ReadonlyMap<string, number> = new Map()

  /** Takes what a scan found, folder by folder. Gives the paths that are called otherwise now. */
  update(found: readonly FoundShard[]): readonly string[] {
    const before = this.#madeUp
    this.#madeUp = new Map(
      found.flatMap(({ path, madeUpName }) => (madeUpName === undefined ? [] : [[path, madeUpName]])),
    )
    // The name of the file itself comes before that of a link to it, and any before one that was made up.
    const weight = ({ madeUpName, isLink }: FoundShard): number => (madeUpName ? 2 : isLink ? 1 : 0)
    const order = [...found].sort((a, b) => weight(a) - weight(b))
    this.#ranks = new Map(order.map(({ path }, rank) => [path, rank]))
    return [...before].flatMap(([path, name]) => (this.#madeUp.get(path) === name ? [] : [path]))
  }

  /** The paths of the last scan, those whose names count first. */
  get paths(): readonly string[] {
    return [...this.#ranks.keys()]
  }

  has(path: string): boolean {
    return this.#ranks.has(path)
  }

  /** What its torrent is called; null for a path that is no shard, such as a blob that no manifest names any more. */
  nameOf(path: string): string | null {
    const name = basename(path)
    return this.#madeUp.get(path) ?? (isShardName(name) ? name : null)
  }

  /** The same for a path that is one. */
  called(path: string): string {
    return this.nameOf(path) ?? basename(path)
  }

  get madeUpPaths(): readonly string[] {
    return [...this.#madeUp.keys()]
  }

  isMadeUp(path: string): boolean {
    return this.#madeUp.has(path)
  }

  /** Whether `path` is to name a file rather than `other`; a path that came after the scan is last. */
  precedes(path: string, other: string): boolean {
    const last = Number.POSITIVE_INFINITY
    return (this.#ranks.get(path) ?? last) < (this.#ranks.get(other) ?? last)
  }

  /**
   * Whether both paths, of one file, need a torrent each: shards of split models under other names belong to other
   * sets, and a set is only whole with all its names.
   */
  needBoth(path: string, other: string): boolean {
    const [a, b] = [this.nameOf(path), this.nameOf(other)]
    if (a === b || a === null || b === null) return false
    return parseShardName(a) !== null || parseShardName(b) !== null
  }
}
