/** What a test needs on the machine, and what happens where it is missing. */
import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Something a test needs on the machine. */
export interface Requirement {
  readonly name: string
  isThere(): boolean
}

/** Namespaces, mounts and other users take it. */
export const ROOT_USER: Requirement = { name: 'root', isThere: () => process.getuid?.() === 0 }

/** A program in PATH. */
export function program(name: string): Requirement {
  return { name, isThere: () => isInPath(name) }
}

/** The `skip` option of a test: a reason at a desk, and an error where CI=true promises that everything is there. */
export function skipUnless(...requirements: readonly Requirement[]): string | false {
  const lacking = requirements.filter((needed) => !needed.isThere()).map(({ name }) => name)
  if (lacking.length === 0) return false
  const reason = `needs ${lacking.join(', ')}; .ci/run installs what is missing`
  const { CI } = process.env
  if (CI === 'true') throw new Error(reason)
  return reason
}

function isInPath(name: string): boolean {
  const { PATH = '' } = process.env
  return PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
