/**
 * A process that makes torrents, as a host does: it is up, its threads are warm, and it is told of a new file.
 * `node maker.ts pool|create-torrent`; reads `{"path", "pieceLength", "to"}` a line, answers `{"event":"made","tookMs"}`.
 */
import { writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { createInterface } from 'node:readline'
import createTorrent from 'create-torrent'
import { HashPool } from '../../../src/library/hash-pool.ts'
import { composeTorrentFile } from '../../../src/metainfo/create.ts'

interface Order {
  readonly path: string
  readonly pieceLength: number
  readonly to: string
}

const pool = new HashPool()

/** SHA-256 too, and checked against the file's identity. */
async function byPool({ path, pieceLength }: Order): Promise<Uint8Array> {
  const hashed = await pool.hash({ path, name: basename(path), pieceLength })
  if (hashed.kind !== 'hashed') throw new Error(`${path} changed`)
  return composeTorrentFile({ info: hashed.info })
}

/** The package as its documentation shows it. */
function byPackage({ path, pieceLength }: Order): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    createTorrent(path as never, { pieceLength, announceList: [] } as never, (error, bytes) => {
      if (bytes === undefined) reject(error)
      else resolve(bytes)
    })
  })
}

const make = process.argv[2] === 'pool' ? byPool : byPackage
for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as Order
  const startedAt = performance.now()
  const bytes = await make(order)
  await writeFile(order.to, bytes)
  console.log(JSON.stringify({ event: 'made', to: order.to, tookMs: performance.now() - startedAt }))
}
await pool.stop()
