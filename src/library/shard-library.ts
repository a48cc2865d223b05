/**
 * Keeps the shards of some folders: which are there, which are whole, and what their torrents are made of. A
 * watcher's events and a slow rescan only mark paths as worth a look; a loop takes them up and moves each
 * file from state to state.
 */
import { stat } from 'node:fs/promises'
import { resolve } from 'node:path'
import { FailedError, messageOf } from '../errors.ts'
import type { Log } from '../log.ts'
import type { HashPool } from './hash-pool.ts'
import { LookLoop } from './look-loop.ts'
import { Naming } from './naming.ts'
import { type ShardRecord, ShardRecords } from './records.ts'
import { ShardFiles } from './shard-files.ts'
import { entryOf, type LibraryEntry, type LibraryListener, type ShardFile } from './shard-state.ts'
import {
  distinctRoots,
  type FoundShard,
  findShards,
  isStraight,
  isUnder,
  MAX_SHARDS,
  realPathOfRoot,
  relativeTo,
} from './walk.ts'
import { FolderWatcher } from './watcher.ts'
import { SETTLE_TIMES, type SettleTimes } from './wholeness.ts'

export type { LibraryEntry, LibraryListener, ScanSummary, ShardFile } from './shard-state.ts'

/** Enough that a slow disk answers several, few enough to leave the thread pool to others. */
const MAX_LOOKS = 4

/** Events can be lost (network file systems, exhausted watches); a look at each file this often finds out. */
const RESCAN_MS = 60_000

/** A file that is being written gives thousands of events a second; so many ms of them cost one look. */
const GATHER_MS = 50

/** New files behind a linked folder come in bursts; one scan finds them all. */
const EXTRA_RESCAN_MS = 300

export interface LibraryOptions {
  /** The folders; each must exist when the library starts. */
  readonly roots: readonly string[]
  /** Records go to `shards/` in it. */
  readonly stateDir: string
  /** Only used, not stopped. */
  readonly hashPool: Pick<HashPool, 'hash'>
  readonly log: Log
  /** Only tests give other times. */
  readonly times?: SettleTimes
  readonly rescanMs?: number
}

export class ShardLibrary implements AsyncDisposable {
  #roots: readonly string[]
  readonly #log: Log
  readonly #rescanMs: number
  readonly #listener: LibraryListener
  readonly #records: ShardRecords
  readonly #naming = new Naming()
  readonly #watchers: FolderWatcher[] = []
  readonly #loop: LookLoop
  readonly #files: ShardFiles
  readonly #stopping = new AbortController()
  readonly #warned = new Set<string>()
  /** What was asked for since the last scan, and not among what it found. */
  readonly #refused = new Set<string>()
  /**
   * The files that were there at start: how many, and which are not decided yet; undefined once that was
   * told.
   */
  #scan: { readonly files: number; readonly undecided: Set<string> } | undefined
  #isRescanning = false
  #rescanTimer: NodeJS.Timeout | undefined
  #extraRescanTimer: NodeJS.Timeout | undefined
  #started: Promise<void> | undefined
  #stopped: Promise<void> | undefined

  constructor(options: LibraryOptions, listener: LibraryListener) {
    const { log, hashPool: pool, times = SETTLE_TIMES } = options
    this.#roots = options.roots.map((root) => resolve(root))
    this.#log = log
    this.#rescanMs = options.rescanMs ?? RESCAN_MS
    this.#listener = listener
    this.#records = new ShardRecords(options.stateDir, log)
    this.#loop = new LookLoop({
      maxLooks: MAX_LOOKS,
      look: (path) => this.#files.look(path),
      onError: (error) => this.#warnOnce(`looking at ${this.#label}: ${messageOf(error)}`),
    })
    this.#files = new ShardFiles({
      relative: (path) => this.#relative(path),
      rootOf: (path) => this.#rootOf(path),
      isMounted: (path) => stands(this.#rootOf(path)),
      naming: this.#naming,
      pool,
      times,
      listener,
      records: this.#records,
      loop: this.#loop,
      admit: (path) => this.#admit(path),
      onDecided: (path) => this.#decided(path),
      signal: this.#stopping.signal,
    })
  }

  /**
   * Begins to watch and to look; resolves when it is known which files are there, long before all are hashed.
   * When `signal` is aborted later, the library stops.
   * @throws UsageError `bad-folder`; DiskError when the records cannot be read
   */
  start({ signal }: { readonly signal?: AbortSignal } = {}): Promise<void> {
    this.#started ??= this.#start(signal)
    return this.#started
  }

  /** Ends watching, looking and hashing; nothing is told any more. Files and records stay. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop()
    return this.#stopped
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** All files known now, in no order. */
  entries(): readonly LibraryEntry[] {
    return [...this.#files.states].map(([path, state]) => entryOf(path, this.#relative(path), state))
  }

  /** The shard that is seeded from `path` now. */
  shardAt(path: string): ShardFile | undefined {
    const state = this.#files.states.get(path)
    return state?.kind === 'seeding' ? state.shard : undefined
  }

  /** Says that the shard at `path` was found not to be what was hashed: it is withdrawn, and hashed again. */
  recheck(path: string, reason = 'it is not what was hashed'): void {
    this.#files.suspect(path, reason)
    this.#loop.mark(path)
  }

  /**
   * Takes over a file that this process fetched, hashed and named itself below the root: it is seeded at once and
   * not read again. Resolves with whether it is; a file that is not what `record` says is treated like any other.
   */
  async adopt(record: ShardRecord): Promise<boolean> {
    if (!this.#holds(record.path)) return false
    const adopted = this.#files.adopt(record)
    this.#loop.mark(record.path)
    return adopted
  }

  async #start(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    signal?.addEventListener('abort', () => void this.stop(), { once: true, signal: this.#stopping.signal })
    try {
      this.#roots = await distinctRoots(this.#roots)
      const found = await this.#list(true)
      await this.#records.load()
      this.#stopping.signal.throwIfAborted()
      this.#scan = { files: found.length, undecided: new Set(found) }
      // Of several paths of a file the one that named it before does so again: those with a record come first.
      for (const path of found) {
        if (this.#records.get(path) !== undefined) await this.#files.look(path)
      }
      this.#stopping.signal.throwIfAborted()
      for (const root of this.#roots) this.#watch(root)
      for (const path of found) this.#loop.mark(path)
      // Shards that are remembered but gone are looked at too, which removes their records. One state folder
      // may have served another root before: its records are none of our business.
      for (const path of this.#records.paths()) if (this.#holds(path)) this.#loop.mark(path)
      this.#rescanTimer = setInterval(() => {
        this.#refused.clear()
        this.#loop.run(this.#rescan())
      }, this.#rescanMs)
      this.#tellScanned()
    } catch (error) {
      await this.stop()
      throw error
    }
  }

  async #stop(): Promise<void> {
    this.#stopping.abort(new FailedError('stopped', `${this.#label}: stopping`))
    clearInterval(this.#rescanTimer)
    clearTimeout(this.#extraRescanTimer)
    await Promise.all([...this.#watchers.map((watcher) => watcher.stop()), this.#loop.stop()])
  }

  #watch(root: string): void {
    const watcher = new FolderWatcher({
      root,
      log: this.#log,
      onDirty: (path) => this.#loop.mark(path, GATHER_MS),
      onNames: () => this.#rescanSoon(),
    })
    this.#watchers.push(watcher)
    watcher.start()
  }

  /** One at a time: on a slow server one may take longer than the time to the next, and end after it. */
  async #rescan(): Promise<void> {
    if (this.#isRescanning) return this.#rescanSoon()
    this.#isRescanning = true
    const found = await this.#list().finally(() => {
      this.#isRescanning = false
    })
    for (const path of found) this.#loop.mark(path)
    for (const path of this.#files.states.keys()) this.#loop.mark(path)
  }

  /** The shards of all folders; one that cannot be read is looked for again, but must be there at the start. */
  async #list(isStart = false): Promise<readonly string[]> {
    const found: FoundShard[] = []
    const linked = new Set<string>()
    const real = this.#roots.map((root) => realPathOfRoot(root).catch(() => root))
    const around = { realRoots: await Promise.all(real), linked }
    for (const root of this.#roots) {
      try {
        found.push(...(await findShards(root, around, (line) => this.#warnOnce(line))))
        this.#warned.delete(root)
      } catch (error) {
        if (isStart) throw error
        this.#warnOnce(`${messageOf(error)}; it is looked for again`, root)
      }
    }
    for (const path of this.#naming.update(found)) this.#loop.mark(path)
    return this.#naming.paths
  }

  /**
   * Links can lead to one file by many ways, and a watcher follows them all; a scan takes one of them. So a
   * path behind a linked folder is one of ours if a scan found it, and a new one causes a scan soon.
   */
  async #admit(path: string): Promise<boolean> {
    if (this.#naming.has(path)) return true
    if (this.#naming.nameOf(path) !== null && (await isStraight(path, this.#rootOf(path)))) return true
    if (this.#refused.has(path) || this.#refused.size > MAX_SHARDS) return false
    this.#refused.add(path)
    this.#rescanSoon()
    return false
  }

  #rescanSoon(): void {
    if (this.#stopping.signal.aborted) return
    this.#extraRescanTimer ??= setTimeout(() => {
      this.#extraRescanTimer = undefined
      this.#loop.run(this.#rescan())
    }, EXTRA_RESCAN_MS)
  }

  #holds(path: string): boolean {
    return this.#roots.some((root) => isUnder(root, path))
  }

  /** The folder that a path was found in; of one within another, the inner. */
  #rootOf(path: string): string {
    const around = this.#roots.filter((root) => isUnder(root, path))
    return around.sort((a, b) => b.length - a.length)[0] ?? this.#roots[0] ?? path
  }

  /** For messages: below the folder; of several folders, whole, so that it is clear which is meant. */
  #relative(path: string): string {
    return this.#roots.length === 1 ? relativeTo(this.#rootOf(path), path) : path
  }

  get #label(): string {
    return this.#roots.join(', ')
  }

  #decided(path: string): void {
    if (this.#scan?.undecided.delete(path)) this.#tellScanned()
  }

  #tellScanned(): void {
    if (this.#scan === undefined || this.#scan.undecided.size > 0) return
    const count = (...kinds: readonly LibraryEntry['state'][]): number =>
      [...this.#files.states.values()].filter(({ kind }) => kinds.includes(kind)).length
    const waiting = count('settling', 'hashing')
    const files = this.#scan.files - count('alias')
    this.#scan = undefined
    this.#listener.onScanned({ files, seeding: count('seeding'), rejected: count('rejected'), waiting })
  }

  #warnOnce(line: string, key = line): void {
    if (this.#warned.has(key) || this.#stopping.signal.aborted) return
    this.#warned.add(key)
    this.#log.warn(line)
  }
}

const stands = (folder: string): Promise<boolean> =>
  stat(folder).then(
    () => true,
    () => false,
  )
