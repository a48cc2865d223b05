/** The downloads of one `get`: each shard once, a model's few at a time, and what is printed of them. */

import { type GetListener, type GetResult, Getter } from '../fleet/download/getter.ts'
import type { WebSeedChoice } from '../fleet/download/getter-options.ts'
import type { Placement } from '../fleet/download/placement.ts'
import { eachOf, MAX_SHARDS_AT_ONCE } from '../fleet/each-of.ts'
import type { GetEvent } from '../fleet/events.ts'
import type { Found, FoundShard } from '../fleet/names/name-search.ts'
import type { Network } from '../fleet/network.ts'
import type { HashPool } from '../library/hash-pool.ts'
import { formatBytes } from '../log.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'
import type { TorrentId } from '../metainfo/parse.ts'
import type { PeerAddress } from '../metainfo/peer-address.ts'
import { type CommandContext, jsonWriter } from './context.ts'
import { formatSeconds, ProgressDisplay } from './progress.ts'

/** Missing shards that are named; each has had its own error before. */
const MAX_NAMED = 3

/** Complete settings of all downloads. */
export interface DownloadsOptions {
  readonly network: Network
  readonly pool: HashPool
  readonly out: string
  /** Where the files go, if not into `out` under their own names. */
  readonly place?: Placement
  readonly webSeeds?: WebSeedChoice
  readonly peers: readonly PeerAddress[]
  readonly timeoutMs: number | null
  readonly signal: AbortSignal
}

/** Runs downloads; failures are reported, never thrown. */
export class Downloads {
  readonly #options: DownloadsOptions
  readonly #report: Reporter
  readonly #getters = new Map<InfoHash, Getter>()
  readonly #running = new Map<InfoHash, Promise<GetResult | null>>()

  constructor(options: DownloadsOptions, report: Reporter) {
    this.#options = options
    this.#report = report
  }

  /** A peer of a torrent was heard of by the network. */
  heardOf(infoHash: InfoHash, peer: PeerAddress): void {
    this.#getters.get(infoHash)?.heardOf(peer)
  }

  /** Fetches one torrent and prints its path. */
  async one(id: TorrentId): Promise<void> {
    const result = await this.#fetch(id)
    if (result !== null) this.#report.path(result.path)
  }

  /** Fetches what a name stands for, and prints the one path that a program needs to load it. */
  async named(found: Found): Promise<void> {
    const { kind, name, shards } = found
    const [first] = shards
    if (first === undefined) return
    if (kind === 'shard') {
      const result = await this.#shard(first)
      if (result !== null) this.#report.path(result.path)
      return
    }
    if (shards.length > 1) this.#report.follow(name, shards)
    const { signal } = this.#options
    const results = await eachOf(shards, MAX_SHARDS_AT_ONCE, async (shard) =>
      signal.aborted ? null : this.#shard(shard),
    )
    if (signal.aborted) return
    const missing = shards.filter((_, at) => results[at] === null)
    this.#report.model(
      name,
      results.flatMap((result) => result?.path ?? []),
      missing,
    )
  }

  /** The files that were fetched, or stood there already. */
  async results(): Promise<readonly GetResult[]> {
    return (await Promise.all(this.#running.values())).filter((result) => result !== null)
  }

  #shard({ infoHash, name, length, sha256, peers }: FoundShard): Promise<GetResult | null> {
    return this.#fetch(
      { kind: 'magnet', infoHash, name, length, peers },
      { expectedName: name, expectedSha256: sha256 },
    )
  }

  /** A torrent that several names stand for is fetched once. */
  #fetch(
    id: TorrentId,
    expected: { expectedName?: string; expectedSha256?: string } = {},
  ): Promise<GetResult | null> {
    const running = this.#running.get(id.infoHash) ?? this.#run(id, expected)
    this.#running.set(id.infoHash, running)
    return running
  }

  async #run(
    id: TorrentId,
    expected: { expectedName?: string; expectedSha256?: string },
  ): Promise<GetResult | null> {
    const { network, pool, signal, out, place, webSeeds, peers, timeoutMs } = this.#options
    const { infoHash } = id
    const ways = { ...(place && { place }), ...(webSeeds && { webSeeds }) }
    const options = { id, out, ...ways, peers, timeoutMs, ...expected }
    const getter = new Getter(network, pool, options, this.#report.listener)
    this.#getters.set(infoHash, getter)
    try {
      const result = await getter.run(signal)
      this.#report.done(result)
      return result
    } catch (error) {
      this.#report.failed(id, error, signal)
      return null
    }
  }
}

/** What is told of the downloads, to people or programs. */
export interface Reporter {
  readonly listener: GetListener
  /** A path for scripts. */
  path(path: string): void
  done(result: GetResult): void
  failed(id: TorrentId, error: unknown, signal: AbortSignal): void
  follow(name: string, shards: readonly FoundShard[]): void
  model(name: string, paths: readonly string[], missing: readonly FoundShard[]): void
  /** A name that cannot be fetched. */
  refused(error: unknown): void
  say(line: string): void
}

/** The reporter of a command. */
export function reporter({ json }: { readonly json: boolean }, context: CommandContext): Reporter {
  const write = json ? jsonWriter(context.out) : null
  const { err, isInteractive, columns } = context
  const display = new ProgressDisplay({ write: err, isInteractive, columns })
  const startedAt = performance.now()
  const seconds = (): string => formatSeconds((performance.now() - startedAt) / 1000)
  const told = new Set<string>()
  const path = (path: string): void => {
    if (!json && !told.has(path)) context.out(`${path}\n`)
    told.add(path)
  }
  return {
    listener: {
      onEvent: (event) => {
        write?.(event)
        if (!json && event.event === 'web-seed') display.print(webSeedLine(event))
      },
      onState: (state) => json || display.update(state),
    },
    path,
    done: ({ metainfo: { infoHash, name, length }, hashed }) => {
      if (json) return
      display.finish(
        infoHash,
        `✓ ${name}: ${formatBytes(length)} verified in ${seconds()} (SHA-256 ${hashed.sha256})`,
      )
    },
    failed: (id, error, signal) => {
      const name = id.kind === 'infoHash' ? undefined : id.name
      if (!json) display.finish(id.infoHash, `✗ ${name ?? id.infoHash}`, false)
      display.clear()
      if (!signal.aborted || error !== signal.reason) context.fail(error)
    },
    follow: (name, shards) => json || display.follow(name, shards),
    model: (name, paths, missing) => {
      display.unfollow(name)
      const [first] = paths
      if (missing.length > 0 || first === undefined) {
        const named = missing.slice(0, MAX_NAMED).map((shard) => shard.name)
        if (missing.length > named.length) named.push(`${missing.length - named.length} more`)
        const all = paths.length + missing.length
        display.print(
          `✗ ${name}: ${paths.length} of ${all} shards are there, missing: ${named.join(', ')}; the same command ` +
            'fetches the rest',
        )
        return
      }
      write?.({ event: 'model', ...{ name, path: first, shards: paths } })
      if (!json && paths.length > 1) display.print(`✓ ${name}: ${paths.length} shards in ${seconds()}`)
      path(first)
    },
    refused: (error) => {
      display.clear()
      context.fail(error)
    },
    say: (line) => display.print(line),
  }
}

function webSeedLine({ url, state, reason }: Extract<GetEvent, { event: 'web-seed' }>): string {
  return state === 'joined' ? `asking the web server ${url}, too` : `✗ no longer asking ${url}: ${reason}`
}
