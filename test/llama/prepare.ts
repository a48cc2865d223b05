/**
 * Puts llama.cpp (the prebuilt one of node-llama-cpp) into this folder's own node_modules when a test first
 * needs it. It is apart from the project's lock because it is 85 MB that nothing else needs. Binaries for other
 * platforms are overridden to 3.21.1 in its package.json: not every registry has them at 3.22.1, and `npm ci`
 * fails on a lock that lacks one, though none of them is ever installed.
 */
import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { copyFile, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

const FOLDER = import.meta.dirname
const MODULES = join(FOLDER, 'node_modules')

/** The one platform whose binary is in the lock. */
const PLATFORM = 'linux-x64'

const INSTALL_TIMEOUT_MS = 5 * 60_000

/**
 * Makes llama.cpp ready. Gives undefined when it is, or else why the test cannot run here and must be
 * skipped; with CI=true nothing is skipped and the reason is thrown.
 */
export async function prepareLlama(): Promise<string | undefined> {
  const { CI } = process.env
  try {
    const platform = `${process.platform}-${process.arch}`
    if (platform !== PLATFORM) throw new Error(`llama.cpp is locked for ${PLATFORM}, this is ${platform}`)
    if (!isInstalled()) await install()
    return undefined
  } catch (error) {
    if (CI === 'true') throw error
    return error instanceof Error ? error.message : String(error)
  }
}

/** What is installed is a copy of what it was installed from, so that a changed lock is installed anew. */
const SOURCES = ['package.json', 'package-lock.json', '.npmrc']
const INSTALLED_FROM = '.installed-from'

/** The copy is made last, so a folder that has it is complete. */
function isInstalled(): boolean {
  try {
    return readFileSync(join(MODULES, INSTALLED_FROM), 'utf8') === sources()
  } catch {
    return false // not there, or from before it was written down
  }
}

function sources(): string {
  return SOURCES.map((file) => readFileSync(join(FOLDER, file), 'utf8')).join('\n')
}

/** Installs beside and renames, so that two tests at once, or an interrupted one, leave no half of it. */
async function install(): Promise<void> {
  const temporary = await mkdtemp(join(FOLDER, '.install-'))
  try {
    const from = sources()
    for (const file of SOURCES) {
      await copyFile(join(FOLDER, file), join(temporary, file))
    }
    await promisify(execFile)('npm', ['ci'], { cwd: temporary, timeout: INSTALL_TIMEOUT_MS }).catch(
      (error) => {
        const reason = gist(String(error.stderr)) || error.message
        throw new Error(`npm ci could not install llama.cpp into ${FOLDER}: ${reason}`)
      },
    )
    await writeFile(join(temporary, 'node_modules', INSTALLED_FROM), from)
    if (isInstalled()) return
    await rm(MODULES, { recursive: true, force: true })
    await rename(join(temporary, 'node_modules'), MODULES).catch((error) => {
      if (!isInstalled()) throw error
    })
  } finally {
    await rm(temporary, { recursive: true, force: true })
  }
}

/** npm surrounds an error with warnings before and pages of help after; what is wrong stands between. */
function gist(stderr: string): string {
  const lines = stderr.split('\n').filter((line) => line.startsWith('npm error'))
  return lines
    .slice(0, 5)
    .map((line) => line.replace('npm error', '').trim())
    .join('; ')
}
