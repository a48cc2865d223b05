/** Folders that live as long as one test. */
import { rmSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { afterTest, atExit } from './after-test.ts'

/** A new empty folder, removed after the test and after everything that was started in it since. */
export async function temporaryFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'gguf-swarm-test-'))
  const options = { recursive: true, force: true, maxRetries: 3 }
  afterTest(t, () => rm(folder, options))
  afterTest(
    t,
    atExit(() => rmSync(folder, options)),
  )
  return folder
}
