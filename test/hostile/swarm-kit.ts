/** Real engines on loopback with one small file, for tests that attack them. */
import { hash } from 'node:crypto'
import { open, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { buildInfo, composeTorrentFile, type TorrentInfo } from '../../src/metainfo/create.ts'
import type { PeerAddress } from '../../src/metainfo/peer-address.ts'
import { type ClientOptions, SwarmClient, type SwarmTorrent } from '../../src/swarm/client.ts'
import type { PartialFile } from '../../src/swarm/lane/download-store.ts'
import type { WebSeedRequest } from '../../src/swarm/web-seed/web-seeds.ts'
import { afterTest } from '../helpers/after-test.ts'
import { piecesOf } from '../helpers/pieces.ts'
import { SeededBytes } from '../helpers/seeded-bytes.ts'
import { temporaryFolder } from '../helpers/temp.ts'
import { until } from '../helpers/until.ts'

/** A file, its torrent, and where it lies. */
export interface Content extends TorrentInfo {
  readonly bytes: Buffer
  readonly path: string
  readonly folder: string
  readonly torrentFile: Uint8Array
}

/** Makes a file of seeded bytes and its torrent. */
export async function makeContent(
  t: TestContext,
  { length = 300_000, pieceLength = 32 * 1024, seed = 1 } = {},
): Promise<Content> {
  const folder = await temporaryFolder(t)
  const bytes = Buffer.from(new SeededBytes(seed).next(length))
  const path = join(folder, 'content.bin')
  await writeFile(path, bytes)
  const info = buildInfo({
    name: 'content.bin',
    length,
    pieceLength,
    pieces: new Uint8Array(piecesOf(bytes, pieceLength)),
  })
  return { ...info, bytes, path, folder, torrentFile: composeTorrentFile({ info: info.info }) }
}

/** An engine on a free loopback port, stopped after the test. */
export async function startClient(
  t: TestContext,
  options: Partial<ClientOptions> = {},
): Promise<SwarmClient> {
  const client = await SwarmClient.start({
    port: 0,
    bind: '127.0.0.1',
    uploadLimit: null,
    maxConns: 200,
    dhtPort: null,
    onDhtNode: () => undefined,
    onFailed: (error) => {
      throw error
    },
    ...options,
  })
  afterTest(t, () => client.stop())
  return client
}

/** Seeds the content from where it lies. */
export function seedContent(client: SwarmClient, content: Content): SwarmTorrent {
  const { infoHash, torrentFile, path, length, pieceLength, pieces } = content
  const fail = (reason: unknown): never => {
    throw new Error(`the seed failed: ${reason}`)
  }
  const file = { infoHash, path, length, pieceLength, pieces, check: async () => undefined, onLost: fail }
  return client.seed(torrentFile, infoHash, file, fail)
}

/** A file at `path` for a download to write to; nothing of it is there yet. */
export async function emptyPartial(
  path: string,
  { length, pieceLength, pieces }: Pick<TorrentInfo, 'length' | 'pieceLength' | 'pieces'>,
): Promise<PartialFile> {
  const handle = await open(path, 'w+')
  await handle.truncate(length)
  const bitfield = (): Uint8Array => new Uint8Array(Math.ceil(Math.ceil(length / pieceLength) / 8))
  return {
    handle,
    length,
    note: { synced: bitfield(), written: bitfield() },
    put: async (index, bytes) => {
      await handle.write(bytes, 0, bytes.length, index * pieceLength)
      return hash('sha1', bytes, 'buffer').equals(pieces.subarray(index * 20, (index + 1) * 20))
    },
    saveNote: async () => undefined,
  }
}

/** A download under way. */
export interface Download {
  readonly torrent: SwarmTorrent
  readonly path: string
  /** Errors the engine reported for it. */
  readonly failures: readonly unknown[]
  metadata(): boolean
  /** Resolves with the bytes on disk once every piece is verified. */
  done(timeoutMs?: number): Promise<Buffer>
}

export interface FetchOptions {
  readonly known?: boolean
  readonly from?: readonly PeerAddress[]
  readonly webSeeds?: WebSeedRequest
}

/** Fetches `content`, by its infohash alone or (`known`) with its metadata. */
export async function fetchContent(
  t: TestContext,
  client: SwarmClient,
  content: Content,
  { known = false, from = [], webSeeds }: FetchOptions = {},
): Promise<Download> {
  const { infoHash, torrentFile } = content
  const path = join(await temporaryFolder(t), 'data')
  const partial = await emptyPartial(path, content)
  const failures: unknown[] = []
  let metadata = known
  let isDone = false
  const torrent = client.download({
    infoHash,
    ...(known ? { known: { torrentFile, bitfield: partial.note.synced } } : {}),
    store: { partial: Promise.resolve(partial), onFailed: (error) => failures.push(error) },
    ...(webSeeds && { webSeeds }),
    onMetadata: () => {
      metadata = true
    },
    onDone: () => {
      isDone = true
    },
    onFailed: (error) => failures.push(error),
  })
  afterTest(t, async () => {
    await torrent.remove()
    await partial.handle.close()
  })
  for (const peer of from) torrent.dial(peer)
  return {
    torrent,
    path,
    failures,
    metadata: () => metadata,
    done: async (timeoutMs = 30_000) => {
      const what = (): string => `the download (${JSON.stringify(torrent.stats())})`
      await until(() => isDone, { timeoutMs, what })
      return readFile(path)
    },
  }
}
