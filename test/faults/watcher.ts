/**
 * A process that watches folders while others are killed: `node watcher.ts FOLDER…`. Every visible file of the folders
 * is held, as soon as it shows, against the hash its name must have, by the JSON in WATCHED_FILES, `{ [name]: sha256 }`;
 * every JSON and .torrent file below them is read again and again. Prints what is wrong, and when its standard input
 * ends, how often it looked.
 */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, watch } from 'node:fs'
import { basename, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parseMetainfo } from '../../src/metainfo/metainfo.ts'

/** Between two looks besides those that an event of the file system causes. */
const LOOK_MS = 10

const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`)
const folders = process.argv.slice(2)
const wanted = JSON.parse(process.env['WATCHED_FILES'] ?? '{}') as Readonly<Record<string, string>>
const judged = new Map<string, string>()
let looks = 0
let files = 0
let states = 0

function look(): void {
  looks++
  for (const folder of folders) lookInto(folder, true)
}

function lookInto(folder: string, isTop: boolean): void {
  for (const entry of entriesOf(folder)) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) lookInto(path, false)
    else if (/^\..*\.tmp$/.test(entry.name)) continue
    else if (/\.(json|torrent)$/.test(entry.name)) judgeState(path)
    else if (isTop && !entry.name.startsWith('.')) judgeFile(path)
  }
}

function entriesOf(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return [] // not there now
  }
}

/** A file under its final name: whole and right from the moment it is seen. */
function judgeFile(path: string): void {
  const version = versionOf(path)
  if (version === undefined || judged.get(path) === version) return
  const sha256 = contentOf(path, (bytes) => createHash('sha256').update(bytes).digest('hex'))
  if (sha256 === undefined) return
  judged.set(path, version)
  files++
  if (sha256 !== wanted[basename(path)]) say({ event: 'wrong', path, version, sha256 })
}

/** A state file: readable whenever it is there. */
function judgeState(path: string): void {
  const version = versionOf(path)
  if (version === undefined || judged.get(path) === version) return
  const problem = contentOf(path, (bytes) => {
    try {
      if (path.endsWith('.json')) JSON.parse(bytes.toString())
      else parseMetainfo(bytes)
      return ''
    } catch (error) {
      return String(error)
    }
  })
  if (problem === undefined) return
  judged.set(path, version)
  states++
  if (problem !== '') say({ event: 'wrong', path, version, problem })
}

function versionOf(path: string): string | undefined {
  const stats = statSync(path, { throwIfNoEntry: false })
  return stats && `${stats.ino} ${stats.size} ${stats.mtimeMs}`
}

function contentOf<T>(path: string, judge: (bytes: Buffer) => T): T | undefined {
  try {
    return judge(readFileSync(path))
  } catch {
    return undefined // removed meanwhile
  }
}

for (const folder of folders) watch(folder, look)
const timer = setInterval(look, LOOK_MS)
say({ event: 'watching' })
await text(process.stdin)
clearInterval(timer)
look()
say({ event: 'watched', looks, files, states })
process.exit()
