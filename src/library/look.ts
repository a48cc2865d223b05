/** One look at a path: what stands there now, without reading it. */
import type { BigIntStats } from 'node:fs'
import { lstat, stat } from 'node:fs/promises'
import { messageOf, systemCode } from '../errors.ts'
import { mayReach } from './links.ts'

/** `nothing` also stands for folders, whatever they are called: what is in them is found by itself. */
export type Sight =
  | { readonly kind: 'file'; readonly stats: BigIntStats }
  | { readonly kind: 'nothing' }
  | { readonly kind: 'unusable'; readonly code: string; readonly reason: string }

/** Why hashing failed before much was read: permissions, a thread that ran out of memory. */
export const FAILED_EARLY: ReadonlySet<string> = new Set(['EACCES', 'EPERM', 'hash-worker'])

const MISSING = new Set(['ENOENT', 'ENOTDIR'])

/** Looks at `path` below `root`, through symbolic links. Never throws. */
export async function lookAt(path: string, root: string): Promise<Sight> {
  try {
    const stats = await stat(path, { bigint: true })
    if (stats.isFile()) return (await mayReach(path, root, stats)) ? { kind: 'file', stats } : foreignLink
    if (stats.isDirectory()) return { kind: 'nothing' }
    return { kind: 'unusable', code: 'not-a-file', reason: 'it is a device, a pipe or a socket' }
  } catch (error) {
    if (!MISSING.has(systemCode(error))) return unreadable(error)
    const isLink = await lstat(path).then(
      (stats) => stats.isSymbolicLink(),
      () => false,
    )
    return isLink ? unusableLink : { kind: 'nothing' }
  }
}

const foreignLink: Sight = {
  kind: 'unusable',
  code: 'foreign-link',
  reason:
    'a link that another user laid leads to it, and it is somebody else’s; remove that, or lay it yourself if it is meant',
}

const unusableLink: Sight = {
  kind: 'unusable',
  code: 'unreadable',
  reason: 'it is a link to something that is not there; repair or remove the link',
}

/** Why a file that stands there cannot be opened or read. */
export function unreadable(error: unknown): Extract<Sight, { kind: 'unusable' }> {
  const code = systemCode(error)
  const why: Readonly<Record<string, string>> = {
    EACCES: 'permission denied; give this user the right to read it',
    EPERM: 'permission denied; give this user the right to read it',
    ELOOP: 'its link leads in a circle; repair or remove the link',
    EIO: 'the disk reported a read error; check the disk',
    ESTALE: 'the network file system lost sight of it; mount it again',
    EUCLEAN: 'the file system is damaged; check it',
  }
  return {
    kind: 'unusable',
    code: 'unreadable',
    reason: why[code] ?? `it cannot be read: ${messageOf(error)}`,
  }
}
