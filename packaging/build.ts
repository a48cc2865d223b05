/**
 * Makes what `npm pack` publishes: `dist` with the bundled program, the types of its library, the page and the
 * sample model, and the notices of what is bundled. `npm run build` runs it, and npm before it packs.
 */
import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { VENDOR } from '../src/web/page-files.ts'
import { bundle } from './bundle.ts'
import { noticesOf } from './notices.ts'
import { writeTypes } from './types.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const DIST = join(ROOT, 'dist')

rmSync(DIST, { recursive: true, force: true })
mkdirSync(DIST)
const bundled = await bundle(DIST)

const vendor = Object.entries(VENDOR).map(([name, locate]) => [name, fileURLToPath(locate())] as const)
for (const [name, path] of vendor) cpSync(path, join(DIST, 'page-vendor', name))
cpSync(join(ROOT, 'src/web/page'), join(DIST, 'page'), {
  recursive: true,
  filter: (path) => !path.endsWith('tsconfig.json'),
})
cpSync(join(ROOT, 'fixtures/shards'), join(DIST, 'sample'), { recursive: true })

writeTypes(join(DIST, 'types'))
// The bundler puts some lines of its own in.
const files = [
  ...bundled,
  ...vendor.map(([, path]) => path),
  join(ROOT, 'node_modules/rolldown/package.json'),
]
writeFileSync(join(ROOT, 'THIRD-PARTY-NOTICES.txt'), noticesOf(files))
