/**
 * The whole shards that the host of a state folder has hashed, for whoever hands them out as files: read from its
 * records and never changed, whether that host runs or not. A file that is not what was hashed is not opened.
 */
import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { type FileIdentity, identityOf, sameIdentityAfterRestart } from '../library/identity.ts'
import { parseRecord, RECORD_FILE, readLimited, recordsFolder } from '../library/records.ts'
import { checkServed } from '../library/served.ts'
import type { InfoHash } from '../metainfo/info-hash.ts'
import { READ_FLAGS } from '../open-flags.ts'

/** How old the picture of the records may be: asking for it again costs a `stat` a shard. */
const REFRESH_MS = 2_000

/** A file that may be handed out. */
export interface ShelfShard {
  readonly infoHash: InfoHash
  readonly name: string
  readonly length: number
  readonly sha256: string
  readonly path: string
  readonly identity: FileIdentity
}

interface Known {
  /** Of the record: another one is read again. */
  readonly mtimeMs: number
  readonly shard: ShelfShard | null
}

export class FileShelf {
  readonly #folder: string
  #known = new Map<string, Known>()
  #refreshedAt = Number.NEGATIVE_INFINITY
  #refreshing: Promise<void> | undefined

  constructor(stateDir: string) {
    this.#folder = recordsFolder(stateDir)
  }

  /** All shards, by name. */
  async shards(): Promise<readonly ShelfShard[]> {
    if (performance.now() - this.#refreshedAt > REFRESH_MS) {
      this.#refreshing ??= this.#refresh().finally(() => {
        this.#refreshedAt = performance.now()
        this.#refreshing = undefined
      })
    }
    await this.#refreshing
    const shards = [...this.#known.values()].flatMap(({ shard }) => shard ?? [])
    return shards.sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  async #refresh(): Promise<void> {
    const names = await readdir(this.#folder).catch(() => [])
    const known = new Map<string, Known>()
    for (const name of names) {
      const file = join(this.#folder, name)
      const stats = RECORD_FILE.test(name) ? await stat(file).catch(() => null) : null
      if (stats === null) continue
      const { mtimeMs } = stats
      const before = this.#known.get(name)
      known.set(name, before?.mtimeMs === mtimeMs ? before : { mtimeMs, shard: await readShard(file) })
    }
    this.#known = known
  }
}

/** A record that is damaged, or was removed meanwhile, is none. */
async function readShard(file: string): Promise<ShelfShard | null> {
  try {
    const { infoHash, name, length, sha256, path, identity, isSuspect } = parseRecord(await readLimited(file))
    return isSuspect ? null : { infoHash, name, length, sha256, path, identity }
  } catch {
    return null
  }
}

/** An open file that is what was hashed. */
export interface OpenShard extends AsyncDisposable {
  /**
   * So many bytes from `at` on.
   * @throws Error when the file is not, or no longer, what was hashed
   */
  read(at: number, length: number): Promise<Uint8Array>
}

/** Opens a shard; null when what stands there is another file by now. */
export async function openShard({ path, identity: hashed }: ShelfShard): Promise<OpenShard | null> {
  const handle = await open(path, READ_FLAGS).catch(() => null)
  if (handle === null) return null
  const identity = await identityOf(handle).catch(() => null)
  if (identity === null || !sameIdentityAfterRestart(hashed, identity)) {
    await handle.close()
    return null
  }
  const check = checkServed({ path, identity })
  return {
    read: async (at, length) => {
      const bytes = await readFully(handle, at, length)
      await check(handle) // after the bytes: what was read before a change is not given away either
      return bytes
    },
    [Symbol.asyncDispose]: () => handle.close(),
  }
}

async function readFully(handle: FileHandle, at: number, length: number): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafe(length)
  for (let filled = 0; filled < length; ) {
    const { bytesRead } = await handle.read(bytes, filled, length - filled, at + filled)
    if (bytesRead === 0) throw new Error('the file is shorter than it was')
    filled += bytesRead
  }
  return bytes
}
