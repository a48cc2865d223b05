/**
 * Which file names are shards, which are half-finished downloads of one, and which folders are passed over.
 */
import { nameProblem } from '../metainfo/file-name.ts'

const SHARD = /\.gguf$/i

/**
 * `model.part.gguf` and the like: the extension is right, the file says of itself that it is not finished.
 */
const UNFINISHED = /\.(part|partial|tmp|temp|incomplete|download|crdownload|aria2)\.gguf$/i

/** aria2 writes the file itself, perhaps from its end, and keeps this beside it until the file is whole. */
const IN_PLACE_SUFFIX = '.aria2'

/**
 * What other programs lay beside a file they are at (browsers, curl wrappers, torrent clients), and some
 * leave there.
 */
const COMPANION_SUFFIXES = [
  '.part',
  '.partial',
  '.tmp',
  '.incomplete',
  '.crdownload',
  '.download',
  '.lock',
] as const

/** Whether a file of this base name is to be looked at: `*.gguf` in any case, and not hidden. */
export function isShardName(name: string): boolean {
  return SHARD.test(name) && !isHiddenName(name)
}

/** Hidden files and folders are passed over: caches, `.git`, and what `get` has not finished. */
export function isHiddenName(name: string): boolean {
  return name.startsWith('.')
}

/** Why a shard of this name is never seeded, or undefined. */
export function shardNameProblem(
  name: string,
): { readonly code: string; readonly reason: string } | undefined {
  if (UNFINISHED.test(name)) {
    return { code: 'unfinished', reason: 'its name says that it is not finished; rename it when it is' }
  }
  const problem = nameProblem(name)
  if (problem === undefined) return undefined
  return { code: 'bad-name', reason: `a torrent cannot carry its name: ${problem}; rename it` }
}

/** The names of files whose presence beside `name` says that somebody is still at it. */
export function companionsOf(
  name: string,
): readonly { readonly name: string; readonly mayBeStale: boolean }[] {
  return [
    { name: name + IN_PLACE_SUFFIX, mayBeStale: false },
    ...COMPANION_SUFFIXES.map((suffix) => ({ name: name + suffix, mayBeStale: true })),
  ]
}

/** The shard that a file of this name is or stands beside; undefined when it has to do with none. */
export function shardNameOf(name: string): string | undefined {
  if (isHiddenName(name)) return undefined
  if (isShardName(name)) return name
  const suffix = [IN_PLACE_SUFFIX, ...COMPANION_SUFFIXES].find((ending) => name.endsWith(ending))
  const shard = suffix && name.slice(0, -suffix.length)
  return shard !== undefined && isShardName(shard) ? shard : undefined
}
