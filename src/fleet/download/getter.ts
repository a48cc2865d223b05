/**
 * One download from infohash to a verified file: metadata, pieces, a check of the whole, its final name.
 */
import { InvalidDataError, NotFoundError, systemCode } from '../../errors.ts'
import { inspectGguf } from '../../gguf/inspect.ts'
import { makeFolder } from '../../library/atomic-file.ts'
import { withInfo } from '../../library/hash-file.ts'
import type { HashedFile, HashPool } from '../../library/hash-pool.ts'
import { identityOf, sameIdentity } from '../../library/identity.ts'
import type { Metainfo } from '../../metainfo/metainfo.ts'
import type { PeerAddress } from '../../metainfo/peer-address.ts'
import type { WebSeedNews, WebSeedRequest } from '../../swarm/web-seed/web-seeds.ts'
import type { Network } from '../network.ts'
import { type Attempted, attempt, readsBackWrong } from './attempt.ts'
import { requireName, requireSha256 } from './expected.ts'
import type { GetListener, GetOptions, GetState } from './getter-options.ts'
import { Partial } from './partial.ts'
import { lengthOf, matchingPieces, samePieces } from './pieces.ts'
import { inFolder, type Placement } from './placement.ts'
import { StallWatch } from './stall.ts'

export type { GetListener, GetOptions, GetState } from './getter-options.ts'

/** A file whose pieces all matched and whose content does not is fetched again in part, so often. */
const MAX_REPAIRS = 2

/** A whole file under its final name. */
interface Present {
  readonly path: string
  readonly hashed: HashedFile
}

/** A verified file. */
export interface GetResult extends Present {
  readonly metainfo: Metainfo
}

/** Runs one download to its end. */
export class Getter {
  readonly #network: Network
  readonly #pool: HashPool
  readonly #options: GetOptions
  readonly #listener: GetListener
  readonly #place: Placement
  readonly #stall: StallWatch
  #metainfo: Metainfo | undefined
  #phase: GetState['phase'] = 'metadata'
  #looksLikeGguf = false

  constructor(network: Network, pool: HashPool, options: GetOptions, listener: GetListener) {
    this.#network = network
    this.#pool = pool
    this.#options = options
    this.#listener = listener
    this.#place = options.place ?? inFolder(options.out)
    this.#stall = new StallWatch(options.timeoutMs)
  }

  /** A peer of this torrent was heard of by the network. */
  heardOf(peer: PeerAddress): void {
    this.#stall.heardOf(peer)
  }

  /**
   * Fetches, verifies and names the file; an equal one that stands there already is the result at once.
   * @throws {NotFoundError} nobody has it; {@link InvalidDataError} what arrived or stood there is wrong;
   *   {@link DiskError}; {@link UsageError} for metadata that cannot be fetched safely; the signal's reason
   */
  async run(signal: AbortSignal): Promise<GetResult> {
    const { id } = this.#options
    const { folder } = this.#place
    await makeFolder(folder)
    const partial = await Partial.open(folder, id.infoHash)
    try {
      return await this.#fetch(partial, signal)
    } finally {
      await this.#network.remove(id.infoHash)
      await partial.release()
    }
  }

  async #fetch(partial: Partial, signal: AbortSignal): Promise<GetResult> {
    const { id } = this.#options
    const known = id.kind === 'metainfo' ? id.metainfo : await partial.metainfo(id.infoHash)
    if (known !== undefined) this.#accept(known)
    for (let repairs = 0; repairs <= MAX_REPAIRS; repairs++) {
      const attempted = await this.#download(partial, signal)
      const { metainfo } = attempted
      if (attempted.present !== null) {
        await partial.discard()
        return this.#done(metainfo, attempted.present)
      }
      this.#phase = 'verifying'
      this.#report()
      const hashed = withInfo({ ...metainfo, path: partial.path }, await attempted.readBack.end(signal))
      if (hashed.kind === 'changed' || !(await this.#isWhole(partial, metainfo, hashed))) {
        this.#phase = 'downloading'
        continue
      }
      await this.#requireGguf(partial, metainfo)
      requireSha256(this.#options, metainfo, hashed.sha256)
      await this.#options.beforeNaming?.(hashed)
      return this.#done(metainfo, await this.#publish(partial, metainfo, hashed, signal))
    }
    throw readsBackWrong(this.#metainfo!, this.#place.folder)
  }

  /** Gives the file its name; when another file took that name meanwhile, it must be an equal one. */
  async #publish(
    partial: Partial,
    metainfo: Metainfo,
    hashed: HashedFile,
    signal: AbortSignal,
  ): Promise<Present> {
    try {
      const path = await this.#place.publish(partial, metainfo.name, hashed.sha256)
      return { path, hashed: await underItsName(path, hashed) }
    } catch (error) {
      const present = systemCode(error) === 'EEXIST' ? await this.#present(metainfo, signal) : null
      if (present === null) throw error
      await partial.discard()
      return present
    }
  }

  #download(partial: Partial, signal: AbortSignal): Promise<Attempted<Present>> {
    const { id, peers: named } = this.#options
    const peers = [...named, ...id.peers]
    for (const peer of peers) this.#stall.heardOf(peer)
    return attempt<Present>(
      {
        network: this.#network,
        pool: this.#pool,
        partial,
        infoHash: id.infoHash,
        metainfo: this.#metainfo,
        peers,
        ...this.#webSeeds(),
        onMetainfo: (metainfo) => this.#accept(metainfo),
        findPresent: (metainfo) => this.#present(metainfo, signal),
        watch: () => this.#watch(partial),
      },
      signal,
    )
  }

  /** The web servers that may be asked, if any. */
  #webSeeds(): { webSeeds?: WebSeedRequest } {
    const { id, webSeeds } = this.#options
    if (webSeeds === undefined) return {}
    const linked = id.kind === 'metainfo' ? id.metainfo.webSeeds : id.kind === 'magnet' ? id.webSeeds : []
    const sources = [
      ...webSeeds.urls.map((url) => ({ url, isTrusted: true })),
      ...(webSeeds.ofLinks ? (linked ?? []) : []).map((url) => ({ url, isTrusted: false })),
    ]
    const { infoHash } = id
    const onNews = ({ kind: state, ...news }: WebSeedNews): void =>
      this.#listener.onEvent({ event: 'web-seed', infoHash, state, ...news })
    return { webSeeds: { sources, onNews } }
  }

  #accept(metainfo: Metainfo): void {
    requireName(this.#options, metainfo)
    this.#metainfo = metainfo
    this.#phase = 'downloading'
    const { infoHash, name, length, pieceLength } = metainfo
    this.#listener.onEvent({ event: 'metadata', infoHash, name, length, pieceLength })
  }

  /** Progress, the reason when there is none, the time limit, and an early look at what arrives. */
  async #watch(partial: Partial): Promise<void> {
    this.#report()
    const { id } = this.#options
    const torrent = this.#network.torrent(id.infoHash)
    const stats = torrent?.stats()
    // While a file that stands there is hashed, nothing is fetched: nobody is to blame for that.
    if (stats === undefined || this.#phase === 'verifying') return
    const stall = this.#stall.observe(stats, this.#network, this.#metainfo !== undefined)
    if (stall?.expired)
      throw new NotFoundError('not-found', `${this.#label()}: ${stall.reason}; ${stall.advice}`)
    if (!this.#looksLikeGguf && stats.prefixBytes > 0 && this.#metainfo !== undefined) {
      const verdict = await inspectGguf(partial.path, { length: stats.prefixBytes })
      if (verdict.kind === 'invalid') await this.#refuseContent(partial, this.#metainfo, verdict.reason)
      this.#looksLikeGguf = true
    }
  }

  #report(): void {
    const { infoHash } = this.#options.id
    const stats = this.#network.torrent(infoHash)?.stats()
    const { verifiedBytes = 0, downloadBytesPerSecond = 0, peers = 0, webSeeds = 0 } = stats ?? {}
    const length = this.#metainfo?.length ?? null
    const isFetching = stats !== undefined && this.#phase !== 'verifying'
    const stall = isFetching ? this.#stall.current(this.#network) : null
    const name =
      this.#metainfo?.name ?? (this.#options.id.kind === 'magnet' ? (this.#options.id.name ?? null) : null)
    const phase = this.#phase
    this.#listener.onState?.({
      infoHash,
      name,
      verifiedBytes,
      length,
      downloadBytesPerSecond,
      peers,
      webSeeds,
      phase,
      stall,
    })
    if (phase !== 'downloading' || length === null) return
    this.#listener.onEvent({
      event: 'progress',
      infoHash,
      verifiedBytes,
      length,
      downloadBytesPerSecond,
      peers,
    })
  }

  /** An equal file under the final name is the result; a different one is never touched. */
  async #present(metainfo: Metainfo, signal: AbortSignal): Promise<Present | null> {
    const path = await this.#place.pathOf(metainfo.name)
    const length = await lengthOf(path)
    if (length === null) return null
    if (length === metainfo.length) {
      this.#phase = 'verifying'
      const hashed = await this.#hash(path, metainfo, signal)
      if (hashed !== null && samePieces(hashed, metainfo)) {
        requireSha256(this.#options, metainfo, hashed.sha256)
        return { path, hashed }
      }
    }
    throw new InvalidDataError(
      'occupied',
      `${path} exists and is not this shard (${metainfo.infoHash}); move it away or choose another --out`,
    )
  }

  async #hash(
    path: string,
    { name, pieceLength }: Metainfo,
    signal: AbortSignal,
  ): Promise<HashedFile | null> {
    const result = await this.#pool.hash({ path, name, pieceLength }, { signal })
    return result.kind === 'hashed' ? result : null
  }

  /** True when the whole file is right; else only its right pieces are noted for the next attempt. */
  async #isWhole(partial: Partial, metainfo: Metainfo, hashed: HashedFile): Promise<boolean> {
    if (samePieces(hashed, metainfo)) return true
    const good = matchingPieces(hashed.pieces, metainfo.pieces)
    await partial.saveNote(metainfo, { synced: good, written: good })
    return false
  }

  async #requireGguf(partial: Partial, metainfo: Metainfo): Promise<void> {
    const verdict = await inspectGguf(partial.path)
    if (verdict.kind === 'invalid' || verdict.kind === 'incomplete') {
      await this.#refuseContent(partial, metainfo, verdict.reason)
    }
  }

  async #refuseContent(partial: Partial, { name, infoHash }: Metainfo, reason: string): Promise<never> {
    await this.#network.remove(infoHash)
    await partial.discard()
    // What is wrong, without the advice that follows it and is meant for whoever holds the file.
    const [what] = reason.split(';')
    throw new InvalidDataError(
      'not-gguf',
      `${name} (${infoHash}) is not a whole GGUF file: ${what}. It arrived as it was published; ask whoever published it`,
    )
  }

  #done(metainfo: Metainfo, { path, hashed }: Present): GetResult {
    const { infoHash, length } = metainfo
    this.#listener.onEvent({ event: 'done', infoHash, path, length, sha256: hashed.sha256 })
    return { metainfo, path, hashed }
  }

  #label(): string {
    const { id } = this.#options
    return this.#metainfo === undefined ? id.infoHash : `${this.#metainfo.name} (${id.infoHash})`
  }
}

/** Naming a file moves its ctime; as long as that is all that moved, it is the file that was hashed. */
async function underItsName(path: string, hashed: HashedFile): Promise<HashedFile> {
  const identity = await identityOf(path).catch(() => hashed.identity)
  const { ctimeNs } = identity
  return sameIdentity(identity, { ...hashed.identity, ctimeNs }) ? { ...hashed, identity } : hashed
}
