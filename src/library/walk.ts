/**
 * Lists the shards under folders: sub-folders too, hidden ones not, symbolic links followed, each folder
 * once however many links lead to it. Bounded, because a folder given by mistake can be a whole disk.
 */
import type { Dirent } from 'node:fs'
import { lstat, readdir, realpath, stat } from 'node:fs/promises'
import { basename, dirname, join, relative, sep } from 'node:path'
import { systemCode, UsageError } from '../errors.ts'
import { mayFollow } from './links.ts'
import { isOllamaStore, listOllama, MANIFESTS_FOLDER } from './ollama.ts'
import { isHiddenName, isShardName } from './shard-name.ts'

/** Deeper than any model folder; the watcher stops there too. */
export const MAX_DEPTH = 16

/** Ten thousand shards are some hundred TB; more is a folder given by mistake. */
export const MAX_SHARDS = 10_000

/** Files of any kind that one walk looks at. */
const MAX_ENTRIES = 500_000

/** Told about what could not be looked at; the walk goes on. */
export type Warn = (line: string) => void

/** A file to look at. */
export interface FoundShard {
  readonly path: string
  /** What it is called where its own name says nothing: a blob of Ollama. */
  readonly madeUpName?: string
  readonly isLink: boolean
}

/** What a scan of several folders shares. */
export interface Surroundings {
  /** The real paths of all folders. */
  readonly realRoots: readonly string[]
  /** Linked folders that were looked into. */
  readonly linked: Set<string>
}

/**
 * Absolute paths of all shards under `root` that have a name of their own, sorted.
 * @throws UsageError `bad-folder` when the root itself is missing, no folder, or unreadable
 */
export async function listShards(root: string, warn: Warn): Promise<readonly string[]> {
  const realRoots = [await realPathOfRoot(root)]
  const found = await findShards(root, { realRoots, linked: new Set() }, warn)
  return found.filter(({ madeUpName }) => madeUpName === undefined).map(({ path }) => path)
}

/**
 * All shards under `root`, sorted by path.
 * @throws UsageError as {@link listShards}
 */
export async function findShards(
  root: string,
  around: Surroundings,
  warn: Warn,
): Promise<readonly FoundShard[]> {
  const shards: FoundShard[] = []
  const folders = [{ path: root, depth: 0 }]
  let entries = 0
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    const { path, depth } = folder
    const list = await readFolder(path, root, warn)
    entries += list.length
    const isStore = isOllamaStore(new Set(list.map(({ name }) => name)))
    if (isStore) shards.push(...(await modelsOf(path, warn)))
    for (const entry of list) {
      if (isHiddenName(entry.name) || (isStore && entry.name === MANIFESTS_FOLDER)) continue
      const child = join(path, entry.name)
      if (await isUndecodable(entry, child)) {
        if (entry.isDirectory() || isShardName(entry.name))
          warn(`${child} cannot be opened: its name is not UTF-8; rename it`)
      } else if (await isFolder(entry, child)) {
        if (depth + 1 > MAX_DEPTH) warn(`${child} is not looked into: more than ${MAX_DEPTH} folders deep`)
        else if (!entry.isSymbolicLink() || (await isNewFolder(child, around))) {
          folders.push({ path: child, depth: depth + 1 })
        }
      } else if (isShardName(entry.name)) shards.push({ path: child, isLink: entry.isSymbolicLink() })
    }
    if (shards.length > MAX_SHARDS || entries > MAX_ENTRIES) {
      warn(
        `${root} holds too much (over ${MAX_SHARDS} shards or ${MAX_ENTRIES} files); only a part of it is seeded`,
      )
      break
    }
  }
  return shards.slice(0, MAX_SHARDS).sort((a, b) => (a.path < b.path ? -1 : 1))
}

async function modelsOf(store: string, warn: Warn): Promise<readonly FoundShard[]> {
  const models = await listOllama(store, warn)
  return models.map(({ path, name }) => ({ path, madeUpName: name, isLink: false }))
}

/**
 * The folders without those that are given twice, or lie in another and are found there anyway.
 * @throws UsageError as {@link listShards}
 */
export async function distinctRoots(roots: readonly string[]): Promise<readonly string[]> {
  const real = await Promise.all(roots.map(realPathOfRoot))
  return roots.filter((_, at) => {
    const isFoundIn = (other: string, otherAt: number): boolean =>
      other === real[at] ? otherAt < at : otherAt !== at && isVisibleIn(other, real[at]!)
    return !real.some(isFoundIn)
  })
}

/** Whether no link leads from `root` to the folder of `path`, so that there is but one way to it. */
export async function isStraight(path: string, root: string): Promise<boolean> {
  const folder = dirname(path)
  try {
    const [realRoot, real] = await Promise.all([realpath(root), realpath(folder)])
    return real === join(realRoot, relative(root, folder))
  } catch {
    return true // It is going; a look at the file itself will tell.
  }
}

/**
 * The real path of a folder that can be listed.
 * @throws UsageError `bad-folder` when it is missing, no folder, or out of reach
 */
export async function realPathOfRoot(root: string): Promise<string> {
  try {
    const real = await realpath(root)
    if ((await stat(real)).isDirectory()) return real
  } catch (error) {
    throw badRoot(root, error)
  }
  throw new UsageError('bad-folder', `${root} is not a folder; give the folder that holds the shards`)
}

function badRoot(root: string, cause: unknown): UsageError {
  const code = systemCode(cause)
  const why =
    code === 'ENOENT'
      ? 'is not there; make it, or give the folder that holds the shards'
      : `cannot be read (${code || cause}); give this user the right to read it`
  return new UsageError('bad-folder', `the folder ${root} ${why}`, { cause })
}

async function readFolder(path: string, root: string, warn: Warn): Promise<readonly Dirent[]> {
  try {
    return await readdir(path, { withFileTypes: true })
  } catch (error) {
    if (path === root) throw badRoot(root, error)
    // Removed since its parent was read: nothing to say.
    if (systemCode(error) !== 'ENOENT') {
      warn(`the folder ${path} cannot be read (${systemCode(error)}); what is in it is not seeded`)
    }
    return []
  }
}

/** Node replaces what is not UTF-8 in a name, and the name it gives then leads to no file. */
async function isUndecodable({ name }: Dirent, path: string): Promise<boolean> {
  if (!name.includes('\ufffd')) return false
  return await lstat(path).then(
    () => false,
    (error) => systemCode(error) === 'ENOENT',
  )
}

async function isFolder(entry: Dirent, path: string): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory()
  // A link to nothing counts as a file, so that its name can be told to be broken.
  return await stat(path).then(
    (target) => target.isDirectory(),
    () => false,
  )
}

async function isNewFolder(link: string, { realRoots, linked }: Surroundings): Promise<boolean> {
  const real = await realpath(link).catch(() => undefined)
  if (real === undefined || !(await mayFollow(link).catch(() => false))) return false
  if (linked.has(real) || realRoots.some((root) => isReachedAnyway(real, root))) return false
  linked.add(real)
  return true
}

/**
 * A folder inside a root is found by its own name; one around a root would lead to everything else on the
 * disk.
 */
function isReachedAnyway(real: string, realRoot: string): boolean {
  return isUnder(real, realRoot) || isVisibleIn(realRoot, real)
}

/** Whether `path` is `folder` or below it, and nothing on the way is hidden. */
function isVisibleIn(folder: string, path: string): boolean {
  return isUnder(folder, path) && !relative(folder, path).split(sep).some(isHiddenName)
}

/** Whether `path` is `folder` itself or below it, as text. */
export function isUnder(folder: string, path: string): boolean {
  return path === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep)
}

/** The path below the root, for messages. */
export function relativeTo(root: string, path: string): string {
  return relative(root, path) || basename(path)
}
