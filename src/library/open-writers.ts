/**
 * Who holds a file open for writing, as far as Linux lets us see: the open files of every process we may look
 * into. Best effort: other users' processes, other machines and other systems stay unseen.
 */
import { readdir, readFile, stat } from 'node:fs/promises'
import type { FileIdentity } from './identity.ts'

/** A machine with more than this has other worries; the scan is a hint and may end early. */
const MAX_OPEN_FILES = 50_000

/** Files that become whole together, such as a folder moved in, share one scan. */
const CACHE_MS = 1_000

/** O_ACCMODE; O_WRONLY is 1 and O_RDWR is 2. */
const ACCESS_MODE = 3

let cached: { readonly at: number; readonly writers: Promise<ReadonlyMap<string, number>> } | undefined

/**
 * The id of a process that has the file open for writing, if one is seen.
 * @param quietMs how long the file has been quiet; what was seen before that time says nothing about it.
 */
export async function writerOf(identity: FileIdentity, quietMs: number): Promise<number | undefined> {
  if (process.platform !== 'linux') return undefined
  const now = performance.now()
  if (cached === undefined || now - cached.at > Math.min(CACHE_MS, quietMs))
    cached = { at: now, writers: scan() }
  return (await cached.writers).get(keyOf(identity))
}

async function scan(): Promise<ReadonlyMap<string, number>> {
  const writers = new Map<string, number>()
  let left = MAX_OPEN_FILES
  for (const entry of await listed('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const descriptors = (await listed(`/proc/${entry}/fd`)).slice(0, left)
    left -= descriptors.length
    await Promise.all(
      descriptors.map(async (descriptor) => {
        const key = await writableFile(entry, descriptor)
        if (key !== undefined) writers.set(key, Number(entry))
      }),
    )
    if (left <= 0) break
  }
  return writers
}

/** The file behind a descriptor, if it is a regular one and open for writing; it may be gone by now. */
async function writableFile(process: string, descriptor: string): Promise<string | undefined> {
  try {
    const stats = await stat(`/proc/${process}/fd/${descriptor}`, { bigint: true })
    if (!stats.isFile()) return undefined
    const flags = /^flags:\s*([0-7]+)/m.exec(
      await readFile(`/proc/${process}/fdinfo/${descriptor}`, 'utf8'),
    )?.[1]
    return flags !== undefined && (Number.parseInt(flags, 8) & ACCESS_MODE) !== 0 ? keyOf(stats) : undefined
  } catch {
    return undefined
  }
}

async function listed(folder: string): Promise<string[]> {
  return await readdir(folder).catch(() => [])
}

function keyOf({ dev, ino }: { readonly dev: bigint; readonly ino: bigint }): string {
  return `${dev}:${ino}`
}
