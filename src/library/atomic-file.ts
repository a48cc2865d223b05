/**
 * Writes a small file so that a reader, or this machine after a power cut, finds the old one or the new one
 * whole.
 */
import { randomUUID } from 'node:crypto'
import type { Stats } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { asDiskError, systemCode } from '../errors.ts'

/** How the names of half-written files begin and end; whoever lists a folder skips them. */
export const TEMPORARY_FILE: RegExp = /^\..*\.tmp$/

/**
 * Replaces `path` by `data`: a temporary file in the same folder, fsync, rename, fsync of the folder.
 * @param options.mode permissions of a new file; 0o600 unless told.
 * @param options.sync false for what is written often and may be lost in a power cut (not in a crash of this process).
 * @throws DiskError naming `path`; the half-written file is removed
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  { mode = 0o600, sync = true }: { readonly mode?: number; readonly sync?: boolean } = {},
): Promise<void> {
  const folder = dirname(path)
  // Cut so that the longest name the file system holds still leaves room for the rest.
  const temporary = join(folder, `.${basename(path).slice(0, 40)}.${randomUUID()}.tmp`)
  try {
    const file = await open(temporary, 'wx', mode)
    try {
      await file.writeFile(data)
      if (sync) await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    if (sync) await syncFolder(folder)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => {})
    throw asDiskError(error, path)
  }
}

/** A write takes milliseconds, on a disk that hangs a minute: what is older belongs to a process that was killed. */
const LEFTOVER_MS = 10 * 60_000

/** Removes half-written files that killed processes left in a folder. Never throws: they do no harm. */
export async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    if (!TEMPORARY_FILE.test(name)) continue
    const path = join(folder, name)
    const { mtimeMs = Number.POSITIVE_INFINITY } = await stat(path).catch(() => ({}) as Partial<Stats>)
    if (Date.now() - mtimeMs > LEFTOVER_MS) await rm(path, { force: true }).catch(() => undefined)
  }
}

/** Makes a folder that is for its owner alone: keys, tokens, what is known of others. One that is there stays as it is. */
export async function makePrivateFolder(folder: string): Promise<void> {
  await makeFolder(dirname(folder)) // those above it are anybody's
  await makeFolder(folder, 0o700)
}

/** Each round is lost to a process that removed a folder between two of our steps; more would be a fault of ours. */
const MAX_MAKE_ATTEMPTS = 50

/**
 * Makes a folder and those above it, where they are missing; step by step, because the recursive mkdir of Node fails
 * with ENOENT or ENOTDIR when somebody removes a folder meanwhile.
 * @throws DiskError naming `folder`, also when a file stands in its place
 */
export async function makeFolder(folder: string, mode = 0o777): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await mkdir(folder, { mode })
      return
    } catch (error) {
      const there = await stat(folder).catch(() => null)
      if (there?.isDirectory()) return
      const [code, parent] = [systemCode(error), dirname(folder)]
      const gone = there === null && attempt < MAX_MAKE_ATTEMPTS && parent !== folder
      if (gone && code === 'ENOENT') await makeFolder(parent)
      else if (!gone || code !== 'EEXIST') throw asDiskError(code === 'EEXIST' ? notAFolder() : error, folder)
    }
  }
}

/** mkdir says EEXIST of the last part, where it says ENOTDIR of those above. */
function notAFolder(): Error {
  return Object.assign(new Error('not a folder'), { code: 'ENOTDIR' })
}

/** What cannot sync a folder: Windows cannot open one, and some network file systems refuse to sync one. */
const CANNOT_SYNC_FOLDER = new Set(['EISDIR', 'EPERM', 'EACCES', 'EINVAL', 'ENOTSUP', 'ENOSYS'])

/** Makes the rename itself last; where the system has no way to do that, the rename stands as it is. */
export async function syncFolder(folder: string): Promise<void> {
  try {
    const handle = await open(folder, 'r')
    try {
      await handle.sync()
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (!CANNOT_SYNC_FOLDER.has(systemCode(error))) throw error
  }
}
