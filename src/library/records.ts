/**
 * What is remembered of each shard, so that a restart reads none of them again: one JSON file a shard in
 * `<stateDir>/shards/`. A record is only believed if its parts fit each other: the infohash is computed again
 * from the hashes it holds. What does not fit is put aside, and its shard hashed anew.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { asDiskError, messageOf, systemCode } from '../errors.ts'
import type { Log } from '../log.ts'
import { buildInfo, type TorrentInfo } from '../metainfo/create.ts'
import { pieceLengthFor } from '../metainfo/piece-length.ts'
import { TEMPORARY_FILE, writeFileAtomic } from './atomic-file.ts'
import { type FileIdentity, identityFromJson, identityToJson, sameIdentityAfterRestart } from './identity.ts'
import { shardNameProblem } from './shard-name.ts'

/** One shard as it was when it was hashed. */
export interface ShardRecord extends TorrentInfo {
  /** Absolute, as found under the root; a symbolic link stays the link. */
  readonly path: string
  readonly identity: FileIdentity
  readonly sha256: string
  /** A read found other bytes, and the file system saw no change: not to be believed before it is hashed again. */
  readonly isSuspect?: true
}

/**
 * Whether a hash of the file, were it done now, would make the same torrent: its rules may have changed.
 * @param called what its torrent is to be called
 */
export function isAsMade(
  { path, name, length, pieceLength }: ShardRecord,
  called: string = basename(path),
): boolean {
  return name === called && pieceLength === pieceLengthFor(length) && shardNameProblem(name) === undefined
}

/** The record of the same content under another path and name: nothing is read for it. */
export function recordAs(
  { length, pieceLength, pieces, sha256 }: ShardRecord,
  { path, name, identity }: Pick<ShardRecord, 'path' | 'name' | 'identity'>,
): ShardRecord {
  return { ...buildInfo({ name, length, pieceLength, pieces }), sha256, path, identity }
}

/** Another number is another format: such a record is put aside like a damaged one. */
const VERSION = 1

/** A record of a 8 TB file has 14 MB; more is no record. */
const MAX_RECORD_BYTES = 32_000_000

/** Records read at once at start: one after the other, a thousand take longer to ask for than to read. */
const PARALLEL_LOADS = 4

export const RECORD_FILE: RegExp = /^[0-9a-f]{40}\.json$/

/** Where the records of a state folder are. */
export const recordsFolder = (stateDir: string): string => join(stateDir, 'shards')

/** The records of one state folder, in memory and on disk. */
export class ShardRecords {
  readonly #folder: string
  readonly #log: Log
  readonly #byPath = new Map<string, ShardRecord>()

  constructor(stateDir: string, log: Log) {
    this.#folder = recordsFolder(stateDir)
    this.#log = log
  }

  /**
   * Reads all records; damaged ones are renamed to `.damaged` with one warning for all of them.
   * @throws DiskError when the folder cannot be made or read
   */
  async load(): Promise<void> {
    this.#byPath.clear()
    const names = await this.#list()
    const damaged: string[] = []
    const lane = async (): Promise<void> => {
      for (let name = names.pop(); name !== undefined; name = names.pop()) await this.#loadOne(name, damaged)
    }
    await Promise.all(Array.from({ length: PARALLEL_LOADS }, lane))
    if (damaged.length === 0) return
    const shown = damaged.slice(0, 3).join(', ')
    this.#log.warn(
      `${damaged.length} damaged record(s) in ${this.#folder} put aside, their shards are hashed again: ${shown}`,
    )
  }

  async #loadOne(name: string, damaged: string[]): Promise<void> {
    const file = join(this.#folder, name)
    if (TEMPORARY_FILE.test(name)) {
      // Left by a process that was killed while it wrote.
      await rm(file, { force: true }).catch(() => {})
      return
    }
    if (!RECORD_FILE.test(name)) return
    try {
      const record = parseRecord(await readLimited(file))
      if (fileNameOf(record.path) !== name) throw new Error('it is the record of another path')
      this.#byPath.set(record.path, record)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return
      damaged.push(`${name} (${messageOf(error)})`)
      await rename(file, `${file}.damaged`).catch(() => {})
    }
  }

  get(path: string): ShardRecord | undefined {
    return this.#byPath.get(path)
  }

  /** The record of the file that stands at `path`; undefined when that was changed since, or is another. */
  of(path: string, identity: FileIdentity): ShardRecord | undefined {
    const record = this.#byPath.get(path)
    return record && sameIdentityAfterRestart(record.identity, identity) ? record : undefined
  }

  /** The paths that have a record. */
  paths(): readonly string[] {
    return [...this.#byPath.keys()]
  }

  /** @throws DiskError naming the record; the shard can be served without it. */
  async save(record: ShardRecord): Promise<void> {
    this.#byPath.set(record.path, record)
    const { path, name, infoHash, sha256, length, pieceLength } = record
    const json = {
      version: VERSION,
      path,
      name,
      identity: identityToJson(record.identity),
      infoHash,
      sha256,
      length,
      pieceLength,
      pieces: Buffer.from(record.pieces).toString('base64'),
      ...(record.isSuspect && { suspect: true }),
    }
    await writeFileAtomic(this.#fileOf(path), `${JSON.stringify(json)}\n`)
  }

  /** Saves a record; where that fails, says so, and the shard is hashed again after a restart. */
  async keep(record: ShardRecord): Promise<void> {
    try {
      await this.save(record)
    } catch (error) {
      this.#log.warn(`${messageOf(error)}; ${record.path} is seeded, but hashed again after a restart`)
    }
  }

  /** A read of the file found other bytes than were hashed: a restart is to know that, too. */
  async suspect(path: string): Promise<void> {
    const record = this.#byPath.get(path)
    if (record === undefined) return
    try {
      await this.save({ ...record, isSuspect: true })
    } catch (error) {
      this.#log.warn(
        `${messageOf(error)}; after a restart nothing would be known of what is wrong with ${path}`,
      )
    }
  }

  /** Forgets a path; a record that cannot be removed only costs its shard another look after a restart. */
  async remove(path: string): Promise<void> {
    if (!this.#byPath.delete(path)) return
    await rm(this.#fileOf(path), { force: true }).catch(() => {})
  }

  #fileOf(path: string): string {
    return join(this.#folder, fileNameOf(path))
  }

  async #list(): Promise<string[]> {
    try {
      await mkdir(this.#folder, { recursive: true, mode: 0o700 })
      return await readdir(this.#folder)
    } catch (error) {
      throw asDiskError(error, this.#folder)
    }
  }
}

/** A path may be longer than a file name, and holds separators; its hash does not. */
function fileNameOf(path: string): string {
  return `${createHash('sha1').update(path).digest('hex')}.json`
}

/** @throws Error for a file that is too long for a record; what reading throws */
export async function readLimited(file: string): Promise<string> {
  const { size } = await stat(file)
  if (size > MAX_RECORD_BYTES) throw new Error(`it has ${size} bytes`)
  return await readFile(file, 'utf8')
}

/** @throws Error saying what is wrong with it */
export function parseRecord(text: string): ShardRecord {
  const {
    version,
    path,
    name,
    identity: times,
    infoHash,
    sha256,
    length,
    pieceLength,
    pieces,
    suspect,
  } = JSON.parse(text)
  if (version !== VERSION) throw new Error(`it has version ${version}, not ${VERSION}`)
  const identity = identityFromJson(times)
  const wellFormed =
    identity !== undefined &&
    [path, name, pieces].every((value) => typeof value === 'string') &&
    [length, pieceLength].every((value) => Number.isSafeInteger(value) && value > 0) &&
    typeof sha256 === 'string' &&
    /^[0-9a-f]{64}$/.test(sha256)
  if (!wellFormed || identity.size !== BigInt(length)) throw new Error('a value is missing or out of range')
  const info = buildInfo({ name, length, pieceLength, pieces: Buffer.from(pieces, 'base64') })
  if (info.infoHash !== infoHash) throw new Error('its infohash is not that of its hashes')
  return { ...info, path, identity, sha256, ...(suspect === true && { isSuspect: true }) }
}
