/**
 * Bundles the program and every package that it uses into plain JavaScript for the oldest Node promised, so that
 * the published package depends on nothing: what is installed is what was tested, and no install script, compiler
 * or further download can fail.
 */
import { globSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type OutputChunk, type Plugin, rolldown } from 'rolldown'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** The lowest of `engines.node`; newer syntax (`using`) is written in older words. */
const TARGET = 'node20.19'

/** A worker is started by its file's name, so each is an entry of its own, all in one folder. */
const WORKERS = globSync('src/**/*-worker.ts', { cwd: ROOT }).map(
  (path) => [basename(path, '.ts'), path] as const,
)
const ENTRIES = { cli: 'src/cli.ts', index: 'src/index.ts', ...Object.fromEntries(WORKERS) }

/** What the oldest Node lacks and the code uses; `lib` in tsconfig.json lets it use nothing else. */
const POLYFILLS: Readonly<Record<string, [string, string]>> = Object.fromEntries(
  ['Promise.withResolvers', 'Map.groupBy'].map((name) => [
    name,
    [`${ROOT}packaging/polyfills.ts`, name.split('.')[1] ?? name],
  ]),
)

/** A library that is not there says so to those that can do without it. */
const missing = (name: string): string => `throw new Error('${name} is not part of this package')`

/** What the bundle has in place of packages whose parts are never used here. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  // Native: a binary of megabytes for each platform. Without them there is no WebRTC and no uTP, both off anyway.
  'webrtc-polyfill': 'export let RTCPeerConnection, RTCSessionDescription, RTCIceCandidate',
  'utp-native': 'module.exports = {}', // missing, it would be warned of at each start
  // Native, and their users do without them.
  'fs-native-extensions': missing('fs-native-extensions'),
  bufferutil: missing('bufferutil'),
  'utf-8-validate': missing('utf-8-validate'),
  // The engine does without these in a browser; here nobody opens ports of routers or reads block lists.
  '@silentbot1/nat-api': 'export default undefined',
  'load-ip-set': 'export default undefined',
  // Off in every torrent of this program, and a fifth of all code that a start has to read.
  'bittorrent-tracker': 'export let Client',
  'bittorrent-lsd': 'export default undefined',
  'cross-fetch-ponyfill': 'export default undefined', // the library's own web seeds, and torrents given as a link
  '@thaunknown/simple-peer/lite.js': 'export default { WEBRTC_SUPPORT: false }',
  'webtorrent/lib/server.js': 'export let NodeServer, BrowserServer',
}

/** What is loaded late: a module of our own that stands for it and asks for it when it must. */
const LOADED_LATE: Readonly<Record<string, string>> = { 'string-width': `${ROOT}packaging/string-width.ts` }

/** A file of a package as one would import it. */
const packagePath = (path: string): string =>
  path
    .split(/node_modules[\\/]/)
    .at(-1)!
    .replaceAll('\\', '/')

const leaveOut: Plugin = {
  name: 'leave-out',
  resolveId(id, importer) {
    const name = id.startsWith('.') && importer !== undefined ? packagePath(join(dirname(importer), id)) : id
    return name in LEFT_OUT ? `\0${name}` : null
  },
  load: (id) => LEFT_OUT[id.replace(/^\0/, '')] ?? null,
}

const loadLate: Plugin = {
  name: 'load-late',
  resolveId(id, importer) {
    const standIn = LOADED_LATE[id]
    if (standIn === undefined) return null
    // One version of the library for all, which is the one that this project depends on.
    return importer === standIn ? this.resolve(id, standIn, { skipSelf: true }) : standIn
  },
}

/** Writes the bundle to `folder` and gives the paths of every file that went into it. */
export async function bundle(folder: string): Promise<readonly string[]> {
  await using build = await rolldown({
    cwd: ROOT,
    input: ENTRIES,
    platform: 'node',
    plugins: [leaveOut, loadLate],
    transform: { target: TARGET, inject: { ...POLYFILLS } },
  })
  const { output } = await build.write({ dir: folder, format: 'esm', chunkFileNames: 'chunk-[hash].js' })
  const chunks = output.filter((file): file is OutputChunk => file.type === 'chunk')
  return chunks.flatMap(({ moduleIds }) => moduleIds).filter((id) => !id.startsWith('\0'))
}
