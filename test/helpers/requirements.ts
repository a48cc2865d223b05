/** What a test needs on the machine, and what happens where it is missing. */
import { spawnSync } from 'node:child_process'
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

/** Debian's Python modules belong to the system's Python, which need not be the first in PATH. */
export const PYTHON = '/usr/bin/python3'

/** A module of {@link PYTHON}, by its package's name and its own. */
export function pythonModule(name: string, module: string): Requirement {
  return { name, isThere: () => spawnSync(PYTHON, ['-c', `import ${module}`]).status === 0 }
}

/** The names of those that are not there. */
export function lacking(requirements: readonly Requirement[]): readonly string[] {
  return requirements.filter((needed) => !needed.isThere()).map(({ name }) => name)
}

/** The `skip` option of a test: a reason at a desk, and an error where CI=true promises that everything is there. */
export function skipUnless(...requirements: readonly Requirement[]): string | false {
  const names = lacking(requirements)
  if (names.length === 0) return false
  const reason = `needs ${names.join(', ')}; .ci/run installs what is missing`
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
