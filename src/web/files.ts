/**
 * The shards themselves by HTTP, as any download program and every web seed client (BEP 19) wants them: whole or by
 * one range. A path of a request is looked up among the shards that were hashed, and never reaches the file system.
 *
 *   /files                     what there is, as JSON
 *   /files/<name>              a shard
 *   /files/<infohash>/<name>   the same where several have that name
 */
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { messageOf } from '../errors.ts'
import { type FileShelf, openShard, type ShelfShard } from '../fleet/file-shelf.ts'
import type { Log } from '../log.ts'
import { type Answer, errorAnswer, jsonAnswer, send } from './answer.ts'
import { type ByteRange, readRange } from './range.ts'
import { Transfers } from './transfers.ts'

export const FILES_PATH = '/files'

/** Read and sent at once; its identity is looked at for each. */
const WINDOW_BYTES = 1024 * 1024
const RETRY_AFTER_SECONDS = '5'

type Headers = Readonly<Record<string, string>>

/** Answers a GET or HEAD that was admitted; false when the path is none of these. */
export type FileRoutes = (
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  headers: Headers,
) => boolean

/** Whether a path asks for one file, and not for the list. */
export const isFilePath = (path: string): boolean =>
  path.startsWith(`${FILES_PATH}/`) && path.length > FILES_PATH.length + 1

export function createFileRoutes(shelf: FileShelf, log: Log): FileRoutes {
  const transfers = new Transfers()
  return (request, response, path, headers) => {
    if (path !== FILES_PATH && !path.startsWith(`${FILES_PATH}/`)) return false
    const refuse = (answer: Answer): void => send(request, response, answer, headers)
    const run = async (): Promise<void> => {
      if (path === FILES_PATH || path === `${FILES_PATH}/`) return refuse(await listing(shelf))
      const found = await find(shelf, path.slice(FILES_PATH.length + 1))
      if ('status' in found) return refuse(found)
      const address = request.socket.remoteAddress ?? ''
      if (!transfers.begin(address)) return refuse(busy())
      try {
        await give(found, request, response, headers)
      } finally {
        transfers.end(address)
      }
    }
    run().catch((error: unknown) => {
      // The reader is gone, or the file changed under it: what was sent is not the whole, and that shows.
      if (!response.destroyed) log.warn(`[WEB] ${path}: ${messageOf(error)}`)
      response.destroy()
    })
    return true
  }
}

/** A row of the list. */
export interface ServedFile {
  readonly name: string
  readonly length: number
  readonly infoHash: string
  readonly sha256: string
  /** Below the server's address. */
  readonly path: string
}

async function listing(shelf: FileShelf): Promise<Answer> {
  const files: readonly ServedFile[] = (await shelf.shards()).map(({ infoHash, name, length, sha256 }) => ({
    ...{ name, length, infoHash, sha256 },
    path: `${FILES_PATH}/${infoHash}/${encodeURIComponent(name)}`,
  }))
  return jsonAnswer({ files })
}

async function find(shelf: FileShelf, rest: string): Promise<ShelfShard | Answer> {
  const parts = rest.split('/').map(decoded)
  const name = parts.at(-1)
  const infoHash = parts.length === 2 ? parts[0]?.toLowerCase() : undefined
  const nothing = {
    code: 'not-found',
    message: `No such shard is served here; ${FILES_PATH} lists them all.`,
  }
  if (name === undefined || parts.length > 2) return errorAnswer(404, nothing)
  const all = (await shelf.shards()).filter((shard) => shard.name === name)
  const found = parts.length === 1 ? all : all.filter((shard) => shard.infoHash === infoHash)
  const [first] = found
  if (first === undefined) return errorAnswer(404, nothing)
  if (found.every((shard) => shard.infoHash === first.infoHash)) return first
  const message = `Several shards are called so; ask for ${FILES_PATH}/INFOHASH/NAME, as ${FILES_PATH} lists them.`
  return errorAnswer(404, { code: 'ambiguous', message })
}

function decoded(part: string): string | undefined {
  try {
    return decodeURIComponent(part)
  } catch {
    return undefined
  }
}

const busy = (): Answer =>
  errorAnswer(
    503,
    { code: 'busy', message: 'Too many downloads run here; try again in a few seconds.' },
    { 'Retry-After': RETRY_AFTER_SECONDS },
  )

async function give(
  shard: ShelfShard,
  request: IncomingMessage,
  response: ServerResponse,
  headers: Headers,
): Promise<void> {
  await using file = await openShard(shard)
  // Gone meanwhile: nothing would ever tell of it again (nodejs/node#39988).
  if (request.socket.destroyed) return
  if (file === null) {
    const message = 'It is not, or no longer, what was hashed; it is served again when that is done anew.'
    return send(request, response, errorAnswer(404, { code: 'changed', message }), headers)
  }
  const { length, sha256 } = shard
  const etag = `"${sha256}"`
  const common = { ...headers, ...fileHeaders(shard), ETag: etag }
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, common).end()
    return
  }
  const condition = request.headers['if-range']
  const isSame = condition === undefined || condition === etag
  // Ranges are of GET alone (RFC 9110, section 14.2): a HEAD tells of the whole.
  const range = readRange(request.method === 'GET' && isSame ? request.headers.range : undefined, length)
  if (range === 'unsatisfiable') {
    response.writeHead(416, { ...headers, 'Content-Range': `bytes */${length}`, 'Content-Length': '0' }).end()
    return
  }
  const { start, end }: ByteRange = range ?? { start: 0, end: length }
  response.writeHead(range === null ? 200 : 206, {
    ...common,
    'Content-Length': String(end - start),
    ...(range !== null && { 'Content-Range': `bytes ${start}-${end - 1}/${length}` }),
  })
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  for (let at = start; at < end && !gone.signal.aborted; at += WINDOW_BYTES) {
    const bytes = await file.read(at, Math.min(WINDOW_BYTES, end - at))
    if (!response.write(bytes)) await once(response, 'drain', gone)
  }
  response.end()
}

/** Nothing of it is looked at by a browser: it is saved, under a name that cannot end the header. */
function fileHeaders({ name, sha256 }: ShelfShard): Headers {
  const plain = name.replace(/[^\w.+-]/g, '_')
  const encoded = encodeURIComponent(name).replace(
    /['()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  )
  return {
    'Content-Type': 'application/octet-stream',
    'Accept-Ranges': 'bytes',
    'Cache-Control': 'no-cache, no-transform',
    'Content-Disposition': `attachment; filename="${plain}"; filename*=UTF-8''${encoded}`,
    // Of the whole file, whatever part of it is sent (RFC 9530).
    'Repr-Digest': `sha-256=:${Buffer.from(sha256, 'hex').toString('base64')}:`,
  }
}
