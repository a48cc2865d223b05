/** Writes the man page from the commands' own descriptions: `npm run man`. A test holds that it is fresh. */
import { writeFile } from 'node:fs/promises'
import { MANUALS } from '../src/commands/all.ts'
import { manPage } from '../src/manual/man-page.ts'
import { GENERAL_PARAMETERS } from '../src/manual/shared.ts'

export const MAN_PAGE: URL = new URL('gguf-swarm.1', import.meta.url)

export const freshManPage = (): string => manPage(MANUALS, GENERAL_PARAMETERS)

if (import.meta.main) await writeFile(MAN_PAGE, freshManPage())
