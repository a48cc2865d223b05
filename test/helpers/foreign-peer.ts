/** A peer that is none of the product's hosts: it publishes what a host would refuse, and may lie about it. */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { TestContext } from 'node:test'
import { buildInfo, composeTorrentFile } from '../../src/metainfo/create.ts'
import { SwarmClient } from '../../src/swarm/client.ts'
import { afterTest } from './after-test.ts'
import { piecesOf } from './pieces.ts'

export interface ForeignPeer {
  readonly infoHash: string
  /** As `--peer` wants it. */
  readonly address: string
}

/**
 * Seeds the file at `path`, which need not be a GGUF, from this process: an engine without DHT and without a
 * library's checks. With `lie`, it offers `path` by its true infohash and sends the bytes of `lie`.
 */
export async function startForeignPeer(
  t: TestContext,
  { path, lie = path }: { readonly path: string; readonly lie?: string },
): Promise<ForeignPeer> {
  const pieceLength = 256 * 1024
  const bytes = await readFile(path)
  const [pieces, sent] = [bytes, await readFile(lie)].map((content) => piecesOf(content, pieceLength))
  const info = buildInfo({ name: basename(path), length: bytes.length, pieceLength, pieces: pieces! })
  const client = await SwarmClient.start({
    port: 0,
    bind: '127.0.0.1',
    uploadLimit: null,
    maxConns: 10,
    dhtPort: null,
    onDhtNode: () => {},
    onFailed: () => {},
  })
  afterTest(t, () => client.stop())
  const { infoHash, length } = info
  const file = { infoHash, path: lie, length, pieceLength, pieces: sent! }
  const served = { ...file, check: async () => {}, onLost: () => {} }
  client.seed(composeTorrentFile({ info: info.info }), infoHash, served, () => {})
  return { infoHash, address: `127.0.0.1:${client.port}` }
}
