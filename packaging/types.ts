/** The types of the library: what its entry can reach, and nothing else. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const TSC = join(ROOT, 'node_modules/.bin/tsc')

const RELATIVE_IMPORT = /(\bfrom |\bimport\()(['"])(\.[^'"]+)\.ts\2/g

/**
 * Writes the declarations that `index.d.ts` names, directly or through others, to `folder`.
 * @throws Error when the compiler finds a fault
 */
export function writeTypes(folder: string): void {
  const all = mkdtempSync(join(tmpdir(), 'gguf-swarm-types-'))
  try {
    const args = ['-p', join(ROOT, 'tsconfig.build.json'), '--outDir', all]
    execFileSync(TSC, args, { stdio: ['ignore', 'inherit', 'inherit'], shell: process.platform === 'win32' })
    const waiting = [join(all, 'index.d.ts')]
    const seen = new Set<string>()
    for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
      if (seen.has(path)) continue
      seen.add(path)
      const text = readFileSync(path, 'utf8')
      for (const [, , , from] of text.matchAll(RELATIVE_IMPORT)) {
        waiting.push(join(dirname(path), `${from}.d.ts`))
      }
      const target = join(folder, relative(all, path))
      mkdirSync(dirname(target), { recursive: true })
      writeFileSync(target, text.replace(RELATIVE_IMPORT, '$1$2$3.js$2'))
    }
  } finally {
    rmSync(all, { recursive: true, force: true })
  }
}
