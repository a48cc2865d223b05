/**
 * The folder that replicated files go to: how much room there is in it, and whether a name is free.
 */
import { lstat, stat, statfs } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { LibraryEntry } from '../../library/shard-library.ts'
import { formatBytes } from '../../log.ts'
import { RESERVED_FREE_BYTES } from '../download/partial.ts'

/**
 * Left free where nothing else is said: 5 %, as file systems keep back for root, because a full disk breaks more than
 * this host; but of a large disk no more than 10 GB, which is room for logs, not for a model.
 */
const DEFAULT_FREE_SHARE = 0.05
const DEFAULT_FREE_BYTES = 10e9

/** Whether a file may get a name. `undecided`: something stands there that the library has not judged yet. */
export type Standing = 'free' | 'undecided' | 'occupied'

export class ReplicaRoom {
  readonly folder: string
  readonly minFreeBytes: number
  readonly #dev: bigint
  readonly #ino: bigint
  #isGone = false

  private constructor(folder: string, minFreeBytes: number, { dev, ino }: { dev: bigint; ino: bigint }) {
    this.folder = folder
    this.minFreeBytes = minFreeBytes
    this.#dev = dev
    this.#ino = ino
  }

  /** @param minFreeBytes null for the default */
  static async open(folder: string, minFreeBytes: number | null): Promise<ReplicaRoom> {
    const { blocks, bsize } = await statfs(folder)
    const share = Math.min(blocks * bsize * DEFAULT_FREE_SHARE, DEFAULT_FREE_BYTES)
    // A download itself does not begin with less.
    const bytes = Math.max(minFreeBytes ?? share, RESERVED_FREE_BYTES)
    return new ReplicaRoom(folder, Math.ceil(bytes), await stat(folder, { bigint: true }))
  }

  /**
   * Null while the folder is gone, or is another one: where a disk is no longer mounted, the folder below it would be
   * filled instead.
   */
  async freeBytes(): Promise<number | null> {
    this.#isGone = true
    try {
      const { dev, ino } = await stat(this.folder, { bigint: true })
      if (dev !== this.#dev || ino !== this.#ino) return null
      this.#isGone = false
      const { bavail, bsize } = await statfs(this.folder)
      return bavail * bsize
    } catch {
      return null
    }
  }

  /** Why there is no room, and what to do; by the state of the folder when it was last looked at. */
  lacking(limit: 'max-bytes' | 'min-free', missingBytes: number): string {
    const missing = formatBytes(missingBytes)
    if (limit === 'max-bytes')
      return `--max-bytes is ${missing} too little for it; what is smaller may still fit`
    if (this.#isGone)
      return `${this.folder} is not the folder it was at the start; mount it again, or restart this host`
    const left = formatBytes(this.minFreeBytes)
    return `${missing} more must be free on the disk besides the ${left} that are left to others (--min-free)`
  }

  /** @param entries what the library knows */
  async standing(name: string, entries: readonly LibraryEntry[]): Promise<Standing> {
    const path = join(this.folder, name)
    const same = entries.filter((entry) => basename(entry.path) === name)
    if (same.some(({ state }) => state === 'settling' || state === 'hashing')) return 'undecided'
    const stats = await lstat(path).catch(() => null)
    if (stats === null) return 'free'
    const isKnown = same.some((entry) => entry.path === path)
    return isKnown || stats.isDirectory() ? 'occupied' : 'undecided'
  }
}
