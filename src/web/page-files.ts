/**
 * The page's own files and the packages it uses, read once at the start and served from memory: a path of a request is
 * only ever looked up in this table and never reaches the file system.
 */
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'
import { FailedError, messageOf } from '../errors.ts'
import { type Answer, fileAnswer } from './answer.ts'

/** The page has no build step: it stands beside this file, in the published package as in the sources. */
const PAGE_FOLDER = fileURLToPath(new URL('./page/', import.meta.url))
/** Where the published package, which depends on no other, has the files of the packages that the page uses. */
const VENDOR_FOLDER = new URL('./page-vendor/', import.meta.url)

/** By ending; whatever else lies in the folder is not served. */
const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  js: 'text/javascript; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml; charset=utf-8',
  png: 'image/png',
  webmanifest: 'application/manifest+json; charset=utf-8',
}

/** Those files, and where npm has them in a checkout; the build copies them from there. */
export const VENDOR: Readonly<Record<string, () => string>> = {
  'preact.js': () => import.meta.resolve('preact'),
  'uplot.js': () => import.meta.resolve('uplot/dist/uPlot.esm.js'),
  'uplot.css': () => import.meta.resolve('uplot/dist/uPlot.min.css'),
}

/**
 * Every path that gives a file.
 * @throws {FailedError} `no-page` when the installation lacks one
 */
export async function loadPageFiles(): Promise<ReadonlyMap<string, Answer>> {
  try {
    const entries = await readdir(PAGE_FOLDER, { recursive: true, withFileTypes: true })
    const own = entries
      .filter((entry) => entry.isFile() && typeOf(entry.name) !== undefined)
      .map((entry) => join(entry.parentPath, entry.name))
      .map((path) => [`/page/${relative(PAGE_FOLDER, path).split(sep).join('/')}`, path] as const)
    const vendor = Object.entries(VENDOR).map(([name, locate]) => {
      const packaged = new URL(name, VENDOR_FOLDER)
      return [`/vendor/${name}`, fileURLToPath(existsSync(packaged) ? packaged : locate())] as const
    })
    const files = new Map<string, Answer>()
    for (const [name, path] of [...own, ...vendor]) {
      files.set(name, fileAnswer(typeOf(name) ?? '', await readFile(path)))
    }
    const index = files.get('/page/index.html')
    if (index === undefined) throw new Error(`${PAGE_FOLDER} has no index.html`)
    return files.set('/', index)
  } catch (error) {
    throw new FailedError(
      'no-page',
      `the files of the web page cannot be read: ${messageOf(error)}; install gguf-swarm again`,
      { cause: error },
    )
  }
}

const typeOf = (name: string): string | undefined => TYPES[name.split('.').at(-1) ?? '']
