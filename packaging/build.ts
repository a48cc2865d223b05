/**
 * Makes what `npm pack` publishes: `dist` with the bundled program, the types of its library, the page and the
 * sample model, and the notices of what is bundled. `npm run build` runs it, and npm before it packs.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeDist } from './dist.ts'
import { noticesOf } from './notices.ts'
import { writeTypes } from './types.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const DIST = join(ROOT, 'dist')

const files = await writeDist(DIST)
writeTypes(join(DIST, 'types'))
writeFileSync(join(ROOT, 'THIRD-PARTY-NOTICES.txt'), noticesOf(files))
