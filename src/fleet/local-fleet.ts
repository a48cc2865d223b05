/**
 * The reference configuration on one machine: a bootstrap node, the page, and some hosts as real processes, each
 * with its own state and its own share of the shards. A share begins as symbolic links; what a host fetches from
 * the others lies beside them.
 */
import { lstat, mkdir, readdir, rm, stat, symlink } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { asDiskError, FailedError, systemCode } from '../errors.ts'
import { formatPeerAddress, type PeerAddress } from '../metainfo/peer-address.ts'
import { Child, type ChildEvent } from './child.ts'
import { type FolderLock, lockFolder } from './folder-lock.ts'

/** Hosts and bootstrap are up within a second or two; this is for a machine under heavy load. */
const START_DEADLINE_MS = 30_000

/** Complete settings. */
export interface LocalFleetOptions {
  readonly hosts: number
  readonly bind: string
  readonly bootstrapPort: number
  readonly httpPort: number
  readonly livePort: number
  /** The key all of them hold. */
  readonly keyFile: string
  /** Everything this fleet keeps: `bootstrap/`, `shard-0/`, … */
  readonly stateDir: string
  readonly torrentsDir: string
  /** The shards that will be dealt (absolute paths): copies of them that an earlier run made go first. */
  readonly shards: readonly string[]
  /** How to start a gguf-swarm process. */
  readonly self: readonly [string, ...string[]]
}

/** The page on 8080, when it is up. */
export interface LocalPage {
  readonly url: string
  readonly liveUrl: string
}

/** What the owner hears. */
export interface LocalFleetListener {
  readonly onHostEvent: (host: string, event: ChildEvent) => void
  readonly onDied: (name: string, how: string) => void
}

/** A running local fleet. Made by {@link LocalFleet.start}. */
export class LocalFleet implements AsyncDisposable {
  readonly #options: LocalFleetOptions
  readonly #lock: FolderLock
  readonly #children: Child[] = []
  /** The link dealt for each shard, by the shard's own path. */
  readonly #links = new Map<string, { readonly host: string; readonly path: string }>()
  #bootstrap: PeerAddress = { host: '', port: 0 }
  #page: LocalPage = { url: '', liveUrl: '' }
  #stopping: Promise<void> | undefined

  private constructor(options: LocalFleetOptions, lock: FolderLock) {
    this.#options = options
    this.#lock = lock
  }

  /** Starts the bootstrap, then the hosts. Throws what keeps one of them from starting, by its name. */
  static async start(options: LocalFleetOptions, listener: LocalFleetListener): Promise<LocalFleet> {
    const lock = await lockFolder(
      options.stateDir,
      (pid) =>
        `${options.stateDir} is in use by process ${pid}; stop that one with Ctrl-C, or give this one its own --state-dir`,
    )
    const fleet = new LocalFleet(options, lock)
    try {
      await fleet.#startBootstrap(listener)
      await Promise.all([
        fleet.#startPage(listener),
        ...fleet.hostNames.map((name) => fleet.#startHost(name, listener)),
      ])
      return fleet
    } catch (error) {
      await fleet.stop()
      throw error
    }
  }

  /** Where its bootstrap node is reached on this machine. */
  get bootstrap(): PeerAddress {
    return this.#bootstrap
  }

  get page(): LocalPage {
    return this.#page
  }

  get hostNames(): readonly string[] {
    return Array.from({ length: this.#options.hosts }, (_, index) => `shard-${index}`)
  }

  /** The process id of a host, of `bootstrap` or of `web`. */
  pidOf(name: string): number | undefined {
    return this.#children.find((child) => child.name === name)?.pid
  }

  /**
   * Deals the shards of `folder` (absolute paths) out to the hosts: each new one to the host with the
   * fewest, so that a file that shows up later moves no other. Links to files that are gone go too.
   */
  async deal(folder: string, shards: readonly string[]): Promise<void> {
    const wanted = new Set(shards)
    for (const [shard, link] of this.#links) {
      if (wanted.has(shard)) continue
      this.#links.delete(shard)
      await rm(link.path, { force: true })
    }
    for (const shard of shards) {
      if (this.#links.has(shard)) continue
      const host = this.#leastLoaded()
      const path = join(this.#shareOf(host), relative(folder, shard))
      this.#links.set(shard, { host, path })
      await linkTo(shard, path)
    }
  }

  /** Stops the page and the hosts, then the bootstrap; idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= (async () => {
      const [bootstrap, ...hosts] = this.#children
      await Promise.all(hosts.map((child) => child.stop()))
      await bootstrap?.stop()
      await this.#lock.release()
    })()
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #startBootstrap(listener: LocalFleetListener): Promise<void> {
    const { bind, bootstrapPort, stateDir } = this.#options
    const folder = join(stateDir, 'bootstrap')
    const args = ['bootstrap', '--bind', bind, '--port', String(bootstrapPort), '--state-dir', folder]
    const listening = await this.#spawn('bootstrap', args, listener).catch((error: unknown) => {
      throw error instanceof FailedError ? withOurOption(error) : error
    })
    this.#bootstrap = { host: bind === '0.0.0.0' ? '127.0.0.1' : bind, port: Number(listening['port']) }
  }

  async #startPage(listener: LocalFleetListener): Promise<void> {
    const { httpPort, livePort } = this.#options
    const ports = ['--http-port', String(httpPort), '--live-port', String(livePort)]
    const listening = await this.#spawn('web', ['web', ...this.#membership, ...ports], listener)
    this.#page = { url: String(listening['url']), liveUrl: String(listening['liveUrl']) }
  }

  async #startHost(name: string, listener: LocalFleetListener): Promise<void> {
    const { stateDir, torrentsDir } = this.#options
    const share = this.#shareOf(name)
    await emptyShare(share, await sizesByName(this.#options.shards))
    const folders = ['--state-dir', join(stateDir, name, 'state'), '--torrents-dir', torrentsDir]
    const args = ['seed', share, ...this.#membership, ...folders, '--name', name, '--replicate']
    await this.#spawn(name, args, listener)
  }

  /** What makes a process one of this fleet. */
  get #membership(): readonly string[] {
    const { bind, keyFile } = this.#options
    return ['--bind', bind, '--bootstrap', formatPeerAddress(this.#bootstrap), '--fleet-key', keyFile]
  }

  #shareOf(host: string): string {
    return resolve(this.#options.stateDir, host, 'shards')
  }

  #leastLoaded(): string {
    const load = new Map(this.hostNames.map((name) => [name, 0]))
    for (const { host } of this.#links.values()) load.set(host, (load.get(host) ?? 0) + 1)
    return [...load].reduce((least, next) => (next[1] < least[1] ? next : least))[0]
  }

  /** Starts one process and waits for its `listening` event. */
  async #spawn(name: string, args: readonly string[], listener: LocalFleetListener): Promise<ChildEvent> {
    // Another one did not start: what is begun now, nobody would stop.
    if (this.#stopping !== undefined) throw new FailedError('stopped', `${name} was not started: stopping`)
    const { promise, resolve, reject } = Promise.withResolvers<ChildEvent>()
    let listening = false
    const child = new Child({
      name,
      command: [...this.#options.self, ...args, '--json'],
      onEvent: (event) => {
        if (event.event === 'listening') {
          listening = true
          resolve(event)
        }
        if (this.hostNames.includes(name)) listener.onHostEvent(name, event)
      },
      onDied: (how) => (listening ? listener.onDied(name, how) : reject(child.failure())),
    })
    this.#children.push(child)
    const deadline = setTimeout(() => reject(child.failure()), START_DEADLINE_MS)
    return promise.finally(() => clearTimeout(deadline))
  }
}

/** What a bootstrap says about its `--port` is about `--bootstrap-port` here. */
function withOurOption(error: FailedError): FailedError {
  return new FailedError(error.code, error.message.replaceAll('--port', '--bootstrap-port'), { cause: error })
}

async function sizesByName(paths: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const sizes = await Promise.all(
    paths.map(async (path) => [basename(path), (await stat(path).catch(() => null))?.size ?? -1] as const),
  )
  return new Map(sizes)
}

/**
 * Leaves a share as it was before the first run: links that were dealt go, and copies of shards whose originals
 * stand in the folder that is dealt from. Whatever else a person put there stays.
 */
async function emptyShare(share: string, originals: ReadonlyMap<string, number>): Promise<void> {
  try {
    await mkdir(share, { recursive: true })
    for (const entry of await readdir(share, { withFileTypes: true, recursive: true })) {
      const path = join(entry.parentPath, entry.name)
      const isCopy = entry.isFile() && (await lstat(path)).size === originals.get(entry.name)
      if (entry.isSymbolicLink() || isCopy) await rm(path, { force: true })
    }
  } catch (error) {
    throw asDiskError(error, share)
  }
}

async function linkTo(target: string, path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
    await symlink(target, path)
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw asDiskError(error, path) // a file of that name stands there: it is seeded
  }
}
