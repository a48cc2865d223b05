/**
 * Where a download lives until it is whole: a hidden folder beside the target, one for each infohash, with
 * the data, the metainfo and a note of the pieces that are there. Nothing else ever sees half a file.
 *
 *   <out>/.gguf-swarm/<infohash>/{data, metainfo.torrent, pieces.json, lock}
 */
import { link, lstat, open, readFile, rename, rm, rmdir, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { asDiskError, DiskError, FailedError, systemCode } from '../../errors.ts'
import { syncFolder, writeFileAtomic } from '../../library/atomic-file.ts'
import { formatBytes } from '../../log.ts'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { type Metainfo, parseMetainfo } from '../../metainfo/metainfo.ts'
import { pieceCountOf } from '../../metainfo/piece-length.ts'
import { DATA_FLAGS } from '../../open-flags.ts'
import type { PartialFile, ResumeNote } from '../../swarm/lane/download-store.ts'
import { type FolderLock, lockFolder } from '../folder-lock.ts'

const HIDDEN_FOLDER = '.gguf-swarm'
const NOTE_VERSION = 1
/** Left free on the disk, so that a download never takes the last byte from everybody else. */
export const RESERVED_FREE_BYTES: number = 16 * 1024 * 1024
/** What `stat` counts in, whatever the file system's own block is. */
const STAT_BLOCK_BYTES = 512

async function requireNoLink(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => null)
  if (stats === null || stats.isDirectory()) return
  throw new FailedError(
    'link',
    `${path} is no folder; downloads are kept there until they are whole. Remove it, or choose another --out`,
  )
}

/** Bytes on disk of a download into `out` that may not be under way; 0 for none. */
export async function heldBytes(out: string, infoHash: InfoHash): Promise<number> {
  const data = await stat(join(out, HIDDEN_FOLDER, infoHash, 'data')).catch(() => null)
  return (data?.blocks ?? 0) * STAT_BLOCK_BYTES
}

/** What one torrent's hidden folder holds. */
export class Partial {
  readonly #folder: string
  readonly #hidden: string
  readonly #out: string
  readonly #lock: FolderLock

  private constructor(out: string, infoHash: InfoHash, lock: FolderLock) {
    this.#out = out
    this.#hidden = join(out, HIDDEN_FOLDER)
    this.#folder = join(this.#hidden, infoHash)
    this.#lock = lock
  }

  /**
   * Takes the hidden folder of a torrent.
   * @throws {FailedError} `locked` when another process downloads the same into the same folder; `link` when somebody
   *   laid a link where it is to be
   */
  static async open(out: string, infoHash: InfoHash): Promise<Partial> {
    const folder = join(out, HIDDEN_FOLDER, infoHash)
    for (const path of [join(out, HIDDEN_FOLDER), folder]) await requireNoLink(path)
    const lock = await lockFolder(
      folder,
      (pid) =>
        `process ${pid} downloads ${infoHash} into ${out} already; wait for it, or choose another --out`,
    )
    return new Partial(out, infoHash, lock)
  }

  /** The folder the file is to land in. */
  get out(): string {
    return this.#out
  }

  /** The data file. */
  get path(): string {
    return join(this.#folder, 'data')
  }

  /** Metainfo of an earlier run, if any that still fits. */
  async metainfo(infoHash: InfoHash): Promise<Metainfo | undefined> {
    try {
      const metainfo = parseMetainfo(await readFile(join(this.#folder, 'metainfo.torrent')))
      return metainfo.infoHash === infoHash ? metainfo : undefined
    } catch {
      return undefined // none, or damaged: it comes from the peers again
    }
  }

  async saveMetainfo({ torrentFile }: Metainfo): Promise<void> {
    await writeFileAtomic(join(this.#folder, 'metainfo.torrent'), torrentFile)
  }

  /**
   * The pieces an earlier run left. The data file must have its full length, or nothing of it counts.
   */
  async note({ length, pieceLength, infoHash }: Metainfo): Promise<ResumeNote> {
    const bytes = Math.ceil(pieceCountOf(length, pieceLength) / 8)
    const empty = { synced: new Uint8Array(bytes), written: new Uint8Array(bytes) }
    const data = await stat(this.path).catch(() => null)
    if (data?.size !== length) return empty // no earlier run
    try {
      const note = JSON.parse(await readFile(this.#notePath, 'utf8')) as Record<string, unknown>
      const bitfield = (value: unknown): Uint8Array => new Uint8Array(Buffer.from(String(value), 'base64'))
      const [synced, written] = [bitfield(note['synced']), bitfield(note['written'])]
      const fits = note['version'] === NOTE_VERSION && note['infoHash'] === infoHash
      return fits && synced.length === bytes && written.length === bytes ? { synced, written } : empty
    } catch {
      // A note that a power cut damaged: every piece is hashed before it counts.
      return { synced: empty.synced, written: new Uint8Array(bytes).fill(0xff) }
    }
  }

  /**
   * Opens the data file at its full length (sparse), after making sure that the rest fits on the disk.
   * @throws {DiskError} `ENOSPC` before a byte is fetched, or the system's reason
   */
  async openData(metainfo: Metainfo, note: ResumeNote): Promise<Omit<PartialFile, 'put'>> {
    const { length } = metainfo
    try {
      await this.#requireSpace(metainfo)
      // First the note: data without one is taken for a download whose note was damaged.
      await this.saveNote(metainfo, note)
      const handle = await open(this.path, DATA_FLAGS).catch((error: unknown) => {
        if (systemCode(error) === 'ENOENT') return open(this.path, 'w+', 0o644)
        throw error
      })
      try {
        if ((await handle.stat()).size !== length) await handle.truncate(length)
      } catch (error) {
        await handle.close()
        throw error
      }
      return { handle, length, note, saveNote: (note) => this.saveNote(metainfo, note) }
    } catch (error) {
      throw asDiskError(error, this.#out)
    }
  }

  /** Keeps what pieces are there; not flushed, as it is written often and can be made again by hashing. */
  async saveNote({ infoHash, pieceLength }: Metainfo, { synced, written }: ResumeNote): Promise<void> {
    const base64 = (bitfield: Uint8Array): string => Buffer.from(bitfield).toString('base64')
    const bitfields = { synced: base64(synced), written: base64(written) }
    const text = JSON.stringify({ version: NOTE_VERSION, infoHash, pieceLength, ...bitfields })
    await writeFileAtomic(this.#notePath, text, { sync: false })
  }

  /**
   * Gives the whole, flushed file its final name, which must not exist unless it is to `replace` what stands there;
   * afterwards nothing hidden is left.
   * @throws {DiskError}; `EEXIST` comes as it is
   */
  async publish(target: string, { replace = false }: { readonly replace?: boolean } = {}): Promise<void> {
    try {
      if (replace) await rename(this.path, target)
      // link() refuses an existing name, which rename() would replace without a word.
      else
        await link(this.path, target).catch(async (error: unknown) => {
          if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'].includes(systemCode(error))) throw error
          await rename(this.path, target) // a file system without hard links; the caller has looked before
        })
      await syncFolder(dirname(target))
    } catch (error) {
      throw asDiskError(error, target)
    }
    await this.discard()
  }

  /** Removes everything that is kept of this download. */
  async discard(): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true })
    await rmdir(this.#hidden).catch(() => undefined) // other downloads are still in it
  }

  /** Lets go of the folder and keeps it for the next run, unless there is nothing in it worth keeping. */
  async release(): Promise<void> {
    await this.#lock.release()
    await rmdir(this.#folder).catch(() => undefined) // not empty: a download to go on with
    await rmdir(this.#hidden).catch(() => undefined)
  }

  get #notePath(): string {
    return join(this.#folder, 'pieces.json')
  }

  async #requireSpace({ name, length }: Metainfo): Promise<void> {
    const allocated = await stat(this.path).then(
      ({ blocks }) => blocks * STAT_BLOCK_BYTES,
      () => 0,
    )
    const missing = Math.max(0, length - allocated)
    const { bavail, bsize } = await statfs(this.#folder)
    const free = bavail * bsize
    if (free >= missing + RESERVED_FREE_BYTES) return
    throw new DiskError(
      'ENOSPC',
      `${name} needs ${formatBytes(missing)} more and ${this.#out} has ${formatBytes(free)} free; ` +
        'free some space or choose another --out',
    )
  }
}
