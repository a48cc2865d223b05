/** `web --serve`: options that let the web server hand out the shards themselves. */
import { resolve } from 'node:path'
import { DEFAULTS } from '../config.ts'
import { FileShelf } from '../fleet/file-shelf.ts'
import type { Log } from '../log.ts'
import { FILES_PATH } from '../web/files.ts'

export const SERVE_OPTIONS = {
  serve: {
    type: 'boolean',
    default: false,
    describe: `also serve the shards of this machine's host by HTTP, under ${FILES_PATH}, as a web seed for any client`,
  },
  'state-dir': {
    type: 'string',
    default: DEFAULTS.stateDir,
    requiresArg: true,
    describe:
      'with --serve: state folder of that host (its `seed --state-dir`); what it has hashed is served',
  },
} as const

/** The shards to serve; null for none. */
export function fileShelf({ serve, stateDir }: { readonly serve: boolean; readonly stateDir: string }) {
  return serve ? new FileShelf(resolve(stateDir)) : null
}

/** Says what is served, and what to give to `seed` so that others know of it. */
export async function sayServed(shelf: FileShelf, url: string, stateDir: string, log: Log): Promise<void> {
  const count = (await shelf.shards()).length
  log.info(`[WEB] ✓ Serving ${count} shard(s) of ${stateDir} by HTTP: seed --web-seed ${url}${FILES_PATH}/`)
  if (count > 0) return
  log.warn(
    `[WEB] ! No host has hashed anything with the state folder ${stateDir} yet; start \`gguf-swarm seed\` with it, ` +
      'or name another with --state-dir. What comes later is served then.',
  )
}
