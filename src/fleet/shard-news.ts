/**
 * The news of a host's shards, in the right order: the `.torrent` file is written before `seeding` is told, and
 * `announced` comes after it.
 */
import { messageOf } from '../errors.ts'
import type { ShardFile } from '../library/shard-library.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'
import { magnetFor } from '../metainfo/magnet.ts'
import type { PeerAddress } from '../metainfo/peer-address.ts'
import { webSeedsFor } from '../metainfo/web-seed.ts'
import type { SeedEvent } from './events.ts'
import { TorrentFiles } from './torrent-files.ts'

/** Enough to keep a disk busy; a restart with a thousand shards looks at a thousand `.torrent` files. */
const PARALLEL_WRITES = 8

export interface ShardNewsOptions {
  readonly torrentsDir: string
  /** Addresses for the magnets. */
  readonly advertise: readonly PeerAddress[]
  readonly webSeeds: readonly string[]
  readonly torrentFileOf: (shard: ShardFile) => Uint8Array
  /** Whether it is still served when its turn comes. */
  readonly isServed: (infoHash: InfoHash, shard?: ShardFile) => boolean
  readonly onEvent: (event: SeedEvent) => void
}

export class ShardNews {
  readonly #options: ShardNewsOptions
  readonly #files: TorrentFiles
  readonly #lanes: Promise<void>[] = Array.from({ length: PARALLEL_WRITES }, () => Promise.resolve())
  /** Shards whose `.torrent` file could not be written. */
  readonly #unwritten = new Map<InfoHash, ShardFile>()
  #told = 0

  constructor(options: ShardNewsOptions) {
    this.#options = options
    this.#files = new TorrentFiles(options.torrentsDir)
  }

  /** Writes its `.torrent` file and tells `seeding`. */
  seeding(shard: ShardFile): void {
    const lane = this.#told++ % PARALLEL_WRITES
    this.#lanes[lane] = this.#lanes[lane]!.then(() => this.#tell(shard))
  }

  announced(infoHash: InfoHash, nodes: number): void {
    void this.allTold().then(() => {
      if (this.#options.isServed(infoHash)) this.#options.onEvent({ event: 'announced', infoHash, nodes })
    })
  }

  /** It is not served any more; the name of its `.torrent` file is free for another. */
  forget(infoHash: InfoHash): void {
    this.#unwritten.delete(infoHash)
    this.#files.forget(infoHash)
  }

  /** Writes the files that could not be written before: the disk may have room by now. */
  async retry(): Promise<void> {
    for (const [infoHash, shard] of [...this.#unwritten]) {
      if (!this.#options.isServed(infoHash, shard)) this.#unwritten.delete(infoHash)
      else {
        await this.#write(shard).then(
          () => this.#unwritten.delete(infoHash),
          () => undefined, // told when it failed first
        )
      }
    }
  }

  /** Resolves when everything asked for so far is written and told. */
  async allTold(): Promise<void> {
    await Promise.all(this.#lanes)
  }

  async #tell(shard: ShardFile): Promise<void> {
    const { infoHash, name, length, pieceLength, sha256, relativePath: file } = shard
    const { isServed, advertise, webSeeds, onEvent } = this.#options
    // Withdrawn before its turn came: it must not take the name from the file that replaced it.
    if (!isServed(infoHash, shard)) return
    const torrentFile = this.#files.pathOf(name, infoHash)
    await this.#write(shard).catch((error: unknown) => {
      // It is served all the same.
      onEvent({ event: 'error', code: 'torrent-file', message: messageOf(error) })
      this.#unwritten.set(infoHash, shard)
    })
    if (!isServed(infoHash, shard)) return
    const mirrors = webSeedsFor(webSeeds, name)
    const magnet = magnetFor({ infoHash, name, length, peers: advertise, webSeeds: mirrors })
    onEvent({ event: 'seeding', file, name, infoHash, magnet, length, pieceLength, sha256, torrentFile })
  }

  async #write(shard: ShardFile): Promise<void> {
    await this.#files.write(shard.name, shard.infoHash, this.#options.torrentFileOf(shard))
  }
}
