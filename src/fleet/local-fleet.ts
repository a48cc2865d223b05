/**
 * The reference configuration on one machine: a bootstrap node and some hosts as real processes, each with
 * its own state and its own share of the shards. Shares are folders of symbolic links, so nothing is copied.
 */
import { mkdir, readdir, rm, symlink } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
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
  /** Everything this fleet keeps: `bootstrap/`, `shard-0/`, … */
  readonly stateDir: string
  readonly torrentsDir: string
  /** How to start a gguf-swarm process. */
  readonly self: readonly [string, ...string[]]
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
      const { bind, bootstrapPort, stateDir, torrentsDir } = options
      const listening = await fleet
        .#spawn(
          'bootstrap',
          [
            'bootstrap',
            '--bind',
            bind,
            '--port',
            String(bootstrapPort),
            '--state-dir',
            join(stateDir, 'bootstrap'),
          ],
          listener,
        )
        .catch((error: unknown) => {
          throw error instanceof FailedError ? withOurOption(error) : error
        })
      fleet.#bootstrap = { host: bind === '0.0.0.0' ? '127.0.0.1' : bind, port: Number(listening['port']) }
      const common = [
        '--bind',
        bind,
        '--bootstrap',
        formatPeerAddress(fleet.bootstrap),
        '--torrents-dir',
        torrentsDir,
      ]
      await Promise.all(
        fleet.hostNames.map(async (name) => {
          await emptyShare(fleet.#shareOf(name))
          await fleet.#spawn(
            name,
            ['seed', fleet.#shareOf(name), ...common, '--state-dir', join(stateDir, name, 'state')],
            listener,
          )
        }),
      )
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

  get hostNames(): readonly string[] {
    return Array.from({ length: this.#options.hosts }, (_, index) => `shard-${index}`)
  }

  /** The process id of a host or of `bootstrap`. */
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

  /** Stops the hosts, then the bootstrap; idempotent. */
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

  #shareOf(host: string): string {
    return resolve(this.#options.stateDir, host, 'shards')
  }

  #leastLoaded(): string {
    const load = new Map(this.hostNames.map((name) => [name, 0]))
    for (const { host } of this.#links.values()) load.set(host, (load.get(host) ?? 0) + 1)
    return [...load].reduce((least, next) => (next[1] < least[1] ? next : least))[0]
  }

  /** Starts one process and waits for its `listening` event. */
  #spawn(name: string, args: readonly string[], listener: LocalFleetListener): Promise<ChildEvent> {
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
        if (name !== 'bootstrap') listener.onHostEvent(name, event)
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

/** Removes what an earlier run dealt: only links, so that nothing a person put there is lost. */
async function emptyShare(share: string): Promise<void> {
  try {
    await mkdir(share, { recursive: true })
    for (const entry of await readdir(share, { withFileTypes: true, recursive: true })) {
      if (entry.isSymbolicLink()) await rm(join(entry.parentPath, entry.name), { force: true })
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
