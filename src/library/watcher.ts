/**
 * Watches a folder and says which shards may have changed; the only file that meets chokidar. What it says is
 * a hint: whoever listens looks at the file, so an event too many or too few (there is a slow rescan) does no
 * harm.
 */
import { basename, dirname, join, relative, sep } from 'node:path'
import { type ChokidarOptions, type FSWatcher, watch } from 'chokidar'
import { messageOf, systemCode } from '../errors.ts'
import type { Log } from '../log.ts'
import { ollamaDigestOf } from './blob-name.ts'
import { MANIFESTS_FOLDER } from './ollama.ts'
import { isHiddenName, shardNameOf } from './shard-name.ts'
import { MAX_DEPTH } from './walk.ts'

/**
 * Often enough for a file that takes minutes to copy, and a thousand `stat` calls cost a few milliseconds.
 */
const POLLING_INTERVAL_MS = 2_000

/**
 * The system has no more watches (ENOSPC: max_user_watches) or instances (EMFILE: max_user_instances) to
 * give.
 */
const EXHAUSTED = new Set(['ENOSPC', 'EMFILE'])

export interface WatcherOptions {
  readonly root: string
  readonly log: Log
  /** A shard was added, changed or removed, or something beside it was. */
  readonly onDirty: (path: string) => void
  /** What the files of a store are called may have changed. */
  readonly onNames?: () => void
  /** chokidar's `watch`; only tests give another. */
  readonly watch?: (root: string, options: ChokidarOptions) => FSWatcher
}

export class FolderWatcher {
  readonly #options: WatcherOptions
  readonly #warned = new Set<string>()
  #watcher: FSWatcher | undefined
  #polling = false
  #stopped: Promise<void> | undefined

  constructor(options: WatcherOptions) {
    this.#options = options
  }

  /** Begins to watch. Everything that is there already is reported once too. */
  start(): void {
    if (this.#watcher || this.#stopped) return
    this.#open()
  }

  /** Ends watching; no call of `onDirty` comes after it. */
  stop(): Promise<void> {
    this.#stopped ??= Promise.resolve(this.#watcher?.close())
    return this.#stopped
  }

  #open(): void {
    const { root } = this.#options
    const watcher = (this.#options.watch ?? watch)(root, {
      backend: this.#polling ? 'polling' : 'auto',
      pollingInterval: POLLING_INTERVAL_MS,
      pollingBinaryInterval: POLLING_INTERVAL_MS,
      // We look at the file itself each time; merged or delayed events would only cost time.
      atomic: false,
      ignorePermissionErrors: true,
      depth: MAX_DEPTH,
      ignored: (path, stats) => this.#isIgnored(path, stats?.isFile() ?? false),
    })
    this.#watcher = watcher
    watcher.on('all', (_event, path) => {
      if (watcher !== this.#watcher || this.#stopped) return
      if (this.#below(path).includes(MANIFESTS_FOLDER)) this.#options.onNames?.()
      else if (ollamaDigestOf(path) !== null) this.#options.onDirty(path)
      const shard = shardNameOf(basename(path))
      if (shard !== undefined) this.#options.onDirty(join(dirname(path), shard))
    })
    watcher.on('error', (error) => this.#onError(error, watcher))
  }

  /** The names on the way from the root to `path`; none for the root itself. */
  #below(path: string): readonly string[] {
    const below = relative(this.#options.root, path)
    return below === '' || below.startsWith('..') ? [] : below.split(sep)
  }

  #isIgnored(path: string, isFile: boolean): boolean {
    const names = this.#below(path)
    if (names.some(isHiddenName)) return true
    const isOfStore = names.includes(MANIFESTS_FOLDER) || ollamaDigestOf(path) !== null
    return names.length > 0 && isFile && !isOfStore && shardNameOf(basename(path)) === undefined
  }

  #onError(error: unknown, watcher: FSWatcher): void {
    if (watcher !== this.#watcher || this.#stopped) return
    const { root, log } = this.#options
    if (EXHAUSTED.has(systemCode(error)) && !this.#polling) {
      this.#polling = true
      log.warn(
        `the system has no file watches left (${systemCode(error)}), so ${root} is polled; ` +
          'raise fs.inotify.max_user_watches and max_user_instances to have changes seen at once',
      )
      void watcher.close()
      this.#open()
      return
    }
    const line = `watching ${root}: ${messageOf(error)}`
    if (this.#warned.has(line)) return
    this.#warned.add(line)
    log.warn(line)
  }
}
