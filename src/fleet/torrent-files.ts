/** The `.torrent` files of a host, one a shard, in one folder where people and other clients find them. */
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { systemCode } from '../errors.ts'
import { writeFileAtomic } from '../library/atomic-file.ts'
import { MAX_NAME_BYTES, twinKey } from '../metainfo/file-name.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'

/** Writes `.torrent` files; two shards of one name in different folders get different file names. */
export class TorrentFiles {
  readonly #folder: string
  /** By twin key: two names that are one to the file system must not share a file. */
  readonly #names = new Map<string, InfoHash>()

  constructor(folder: string) {
    this.#folder = resolve(folder)
  }

  /** The absolute path of a shard's file, which is its own from now on. */
  pathOf(shardName: string, infoHash: InfoHash): string {
    return join(this.#folder, this.#nameFor(shardName, infoHash))
  }

  /** Writes the file unless it stands there already; resolves with its absolute path. */
  async write(shardName: string, infoHash: InfoHash, bytes: Uint8Array): Promise<string> {
    const path = this.pathOf(shardName, infoHash)
    const present = await readFile(path).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return null
      throw error
    })
    // Readable by everybody: a .torrent is what one hands to other programs.
    if (present === null || Buffer.compare(present, bytes) !== 0)
      await writeFileAtomic(path, bytes, { mode: 0o644 })
    return path
  }

  /**
   * The shard is no longer offered, and its file name is free for another. The file stays: it says what a
   * shard of that name is, and other hosts may still have it.
   */
  forget(infoHash: InfoHash): void {
    for (const [name, owner] of this.#names) if (owner === infoHash) this.#names.delete(name)
  }

  #nameFor(shardName: string, infoHash: InfoHash): string {
    const plain = `${shardName}.torrent`
    const owner = this.#names.get(twinKey(plain))
    const name =
      owner === undefined || owner === infoHash ? plain : `${shardName}.${infoHash.slice(0, 8)}.torrent`
    // A shard's own name may fill all of what a file system holds.
    if (Buffer.byteLength(name) > MAX_NAME_BYTES) return `${infoHash}.torrent`
    this.#names.set(twinKey(name), infoHash)
    return name
  }
}
