/** Which symbolic links of a library are followed. */
import type { BigIntStats } from 'node:fs'
import { lstat, stat } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * May `path` be read through? True for what is no link, and for a link laid by this user, by root, or by the owner of
 * what it leads to. Who else may write into a folder of shards could have this host publish files that he cannot read
 * himself.
 */
export async function mayFollow(path: string, target?: Pick<BigIntStats, 'uid'>): Promise<boolean> {
  const link = await lstat(path, { bigint: true })
  if (!link.isSymbolicLink() || process.geteuid === undefined) return true // Windows lets administrators lay links only
  if (link.uid === 0n || link.uid === BigInt(process.geteuid())) return true
  return link.uid === (target ?? (await stat(path, { bigint: true }))).uid
}

/** The same for `path` and every folder on the way to it from `root`: what was a folder may be a link by now. */
export async function mayReach(
  path: string,
  root: string,
  target: Pick<BigIntStats, 'uid'>,
): Promise<boolean> {
  for (let folder = dirname(path); folder.length > root.length; folder = dirname(folder)) {
    if (!(await mayFollow(folder))) return false
  }
  return mayFollow(path, target)
}
