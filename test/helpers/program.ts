/** The program under test and under the clock: as it is built for publishing, or, run by hand, its sources. */
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeDist } from '../../packaging/dist.ts'
import { atExit } from './after-test.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CACHE = join(ROOT, 'node_modules/.cache')
/** Names the built program for the processes that a runner starts. */
const VARIABLE = 'GGUF_TEST_CLI'

/** Its script, for node. */
export function programPath(): string {
  return process.env[VARIABLE] ?? join(ROOT, 'bin/gguf-swarm.js')
}

/**
 * Builds it for this process and its children: what is tested and measured is what people install. It also starts
 * four times as fast as its sources do, and the tests start it some thousand times.
 */
export async function buildProgram(): Promise<void> {
  if (process.env[VARIABLE] !== undefined) return // by the process that started this one
  // A folder of its own: several runs may go on in one checkout.
  mkdirSync(CACHE, { recursive: true })
  const built = mkdtempSync(join(CACHE, 'gguf-swarm-tested-'))
  atExit(() => rmSync(built, { recursive: true, force: true }))
  await writeDist(join(built, 'dist'))
  cpSync(join(ROOT, 'bin'), join(built, 'bin'), { recursive: true })
  writeFileSync(join(built, 'package.json'), '{ "type": "module" }')
  process.env[VARIABLE] = join(built, 'bin/gguf-swarm.js')
}
