/** The check that goes with every read of a file that is served in place: is it still what was hashed? */
import type { FileHandle } from 'node:fs/promises'
import { type FileIdentity, identityOf, sameIdentity } from './identity.ts'

/**
 * A check of one shard: throws, saying why, unless the open file and what stands at the path now both are the
 * file that was hashed. The descriptor alone would not do: after a rename over it, it still reads the old
 * file.
 */
export function checkServed(shard: {
  readonly path: string
  readonly identity: FileIdentity
}): (handle: FileHandle) => Promise<void> {
  return async (handle) => {
    if (!sameIdentity(await identityOf(handle), shard.identity)) throw new Error('it was changed')
    if (!sameIdentity(await identityOf(shard.path), shard.identity))
      throw new Error('another file took its place')
  }
}
