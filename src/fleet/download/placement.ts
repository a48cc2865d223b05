/** Where a download ends up: how the path is found, and how the whole file gets there. */
import { join, resolve } from 'node:path'
import type { Partial } from './partial.ts'

export interface Placement {
  /** Where it is kept until it is whole; on the same file system as its place. */
  readonly folder: string
  /** The path that a file of this name will have, and an equal one may have already. */
  pathOf(name: string): Promise<string>
  /**
   * Gives the whole, verified file its place and resolves with its path.
   * @throws {DiskError}; `EEXIST`, as it comes, when something else stands there
   */
  publish(partial: Partial, name: string, sha256: string): Promise<string>
}

/** A plain folder, the file under its own name. */
export function inFolder(out: string): Placement {
  const folder = resolve(out)
  const pathOf = (name: string): string => join(folder, name)
  return {
    folder,
    pathOf: async (name) => pathOf(name),
    publish: async (partial, name) => {
      await partial.publish(pathOf(name))
      return pathOf(name)
    },
  }
}
