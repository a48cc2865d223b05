/**
 * One process at a time in a folder. The lock is a file with the holder's process id, put into place whole by
 * link(), so that nobody ever reads a lock that is still being written; a lock whose process is gone is replaced
 * by whoever holds the ticket for that.
 */
import { randomUUID } from 'node:crypto'
import { access, link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { asDiskError, FailedError, systemCode } from '../errors.ts'
import { makePrivateFolder, removeLeftovers } from '../library/atomic-file.ts'

const LOCK_FILE = 'lock'
/** Takers that find a dead lock at once settle it in a few rounds; more would be a fault of ours. */
const MAX_ATTEMPTS = 50
const RETRY_MS = 20

/** A folder held by this process until `release`. */
export interface FolderLock {
  release(): Promise<void>
}

/** Locks of this process, by path, each with its text: its own id in a lock file proves nothing, as ids are used again. */
const held = new Map<string, string>()

/**
 * Makes `folder` and takes its lock; a lock whose process is gone is taken over.
 * @param inUse says what is wrong and what to do, given the process that holds it
 * @throws {FailedError} `locked`; {@link DiskError} when the folder cannot be written
 */
export async function lockFolder(folder: string, inUse: (pid: number) => string): Promise<FolderLock> {
  const path = join(resolve(folder), LOCK_FILE)
  for (let attempt = 1; ; attempt++) {
    try {
      return await takeLock(path, inUse)
    } catch (error) {
      // Who is done with a folder may remove it, and those above it, between two steps of whoever comes next.
      if (systemCode(error) !== 'ENOENT' || attempt === MAX_ATTEMPTS) throw asDiskError(error, folder)
    }
  }
}

async function takeLock(path: string, inUse: (pid: number) => string): Promise<FolderLock> {
  const own = join(dirname(path), `.${LOCK_FILE}.${randomUUID()}.tmp`)
  try {
    await makePrivateFolder(dirname(path))
    // What stands behind the two numbers tells this lock from every other one of this process.
    const text = `${process.pid} ${await startOf(process.pid)} ${randomUUID()}\n`
    await writeFile(own, text, { mode: 0o600 })
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      const pid = await holderOf(path)
      if (pid !== null) throw new FailedError('locked', inUse(pid))
      if ((await put(own, path)) || (await takeOver(own, path))) {
        held.set(path, text)
        await removeLeftovers(dirname(path))
        return { release: () => release(path, text) }
      }
    }
    throw new FailedError('locked', `bug: ${path} could not be taken in ${MAX_ATTEMPTS} attempts`)
  } finally {
    await rm(own, { force: true }).catch(() => undefined) // a folder that cannot be is an error told already
  }
}

async function release(path: string, text: string): Promise<void> {
  if (held.get(path) === text) held.delete(path)
  // Whoever is done with a folder may have removed it, lock and all: what stands there now is the lock of the next one.
  if ((await readFile(path, 'utf8').catch(() => '')) !== text) return
  // On a disk that takes no writes it stays there, and is taken over as that of a process that is gone.
  await rm(path, { force: true }).catch(() => undefined)
}

/** False when a lock stands there. */
async function put(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path)
    return true
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    if (!['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS'].includes(systemCode(error))) throw error
  }
  // No hard links on this file system: a lock that is being written may be taken for a dead one.
  try {
    await writeFile(path, await readFile(own), { flag: 'wx', mode: 0o600 })
    return true
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false
    throw error
  }
}

/** The living process that holds a lock, or null. */
async function holderOf(path: string): Promise<number | null> {
  const text = await readFile(path, 'utf8').catch(() => '')
  const [pid = 0, start] = text.trim().split(' ').map(Number)
  if (pid === process.pid) return held.has(path) ? pid : null
  if (!isAlive(pid)) return null
  // Ids are used again, in containers at once: the time its process started tells one from another.
  const now = await startOf(pid)
  return start === undefined || start === 0 || now === 0 || start === now ? pid : null
}

/**
 * Replaces a dead lock by ours. Only the holder of the ticket may, and it looks again first: who found the
 * lock dead a moment ago may find a living one now.
 */
async function takeOver(own: string, path: string): Promise<boolean> {
  const ticket = `${path}.next`
  if (!(await put(own, ticket))) {
    if ((await holderOf(ticket)) === null) await rm(ticket, { force: true })
    await delay(RETRY_MS)
    return false
  }
  held.set(ticket, '')
  try {
    const isThere = await access(path).then(
      () => true,
      () => false,
    )
    // Gone: released, and anybody's to take. Nobody but us replaces one that is dead.
    if (!isThere || (await holderOf(path)) !== null) return false
    await rename(own, path)
    return true
  } finally {
    held.delete(ticket)
    await rm(ticket, { force: true })
  }
}

function isAlive(pid: number): boolean {
  if (!Number.isInteger(pid) || pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return systemCode(error) === 'EPERM' // it lives, and belongs to somebody else
  }
}

/** When a process started, in clock ticks since boot (proc(5), field 22); 0 where that is not known. */
async function startOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The second field is the program's name in brackets, which may hold spaces and brackets itself.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return Number(fields[19] ?? 0) || 0
}
