/** The built program: bundle, page and sample model, in one folder. */
import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { VENDOR } from '../src/web/page-files.ts'
import { bundle } from './bundle.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** Writes it anew into `folder`, and gives the paths of every file of others that went into it. */
export async function writeDist(folder: string): Promise<readonly string[]> {
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  const bundled = await bundle(folder)
  const vendor = Object.entries(VENDOR).map(([name, locate]) => [name, fileURLToPath(locate())] as const)
  for (const [name, path] of vendor) cpSync(path, join(folder, 'page-vendor', name))
  cpSync(join(ROOT, 'src/web/page'), join(folder, 'page'), {
    recursive: true,
    filter: (path) => !path.endsWith('tsconfig.json'),
  })
  cpSync(join(ROOT, 'fixtures/shards'), join(folder, 'sample'), { recursive: true })
  // The bundler puts some lines of its own in.
  return [...bundled, ...vendor.map(([, path]) => path), join(ROOT, 'node_modules/rolldown/package.json')]
}
