/** A network in which a download is what the test makes of it, on a clock that only the test moves. */
import { hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type { TestContext } from 'node:test'
import type { Network } from '../../../src/fleet/network.ts'
import type { HashPool } from '../../../src/library/hash-pool.ts'
import { identityOf } from '../../../src/library/identity.ts'
import { buildInfo, type TorrentInfo } from '../../../src/metainfo/create.ts'
import { pieceLengthFor } from '../../../src/metainfo/piece-length.ts'
import type { DownloadRequest, TorrentStats } from '../../../src/swarm/client.ts'
import { piecesOf } from '../../helpers/pieces.ts'

/** Nobody, and nothing yet. */
export const NO_PEERS: TorrentStats = {
  verifiedBytes: 0,
  prefixBytes: 0,
  downloadBytesPerSecond: 0,
  uploadBytesPerSecond: 0,
  uploadedBytes: 0,
  receivedBytes: 0,
  knownPeers: 0,
  webSeeds: 0,
  peers: 0,
  unchoked: 0,
  useful: 0,
  banned: 0,
}
/** One peer, and nothing from it. */
const SILENT: TorrentStats = { ...NO_PEERS, knownPeers: 1, peers: 1, unchoked: 1, useful: 1 }

export interface FakeSwarm {
  readonly network: Network
  /** Waits for the next download that is begun. */
  next(): Promise<DownloadRequest>
  /** While it is true, downloads seem not to be there. */
  isHidden: boolean
}

export function fakeSwarm(): FakeSwarm {
  const begun: DownloadRequest[] = []
  let waiting: ((request: DownloadRequest) => void) | undefined
  let isThere = false
  const torrent = { dial: () => undefined, stats: () => SILENT }
  const swarm = {
    isHidden: false,
    next: async (): Promise<DownloadRequest> => {
      const { promise, resolve } = Promise.withResolvers<DownloadRequest>()
      const request = begun.shift()
      if (request === undefined) waiting = resolve
      return request ?? promise
    },
    network: {
      isolated: false,
      dht: { bootstrap: [], nodeCount: 1 },
      torrent: () => (isThere && !swarm.isHidden ? torrent : undefined),
      remove: async () => {
        isThere = false
      },
      download: (request: DownloadRequest) => {
        isThere = true
        if (waiting === undefined) begun.push(request)
        else waiting(request)
        waiting = undefined
        return torrent
      },
    } as unknown as Network,
  }
  return swarm
}

/** Hashes at once; `hash` may be held up by the test. */
export function fakePool(before: () => Promise<void> = async () => undefined): HashPool {
  const hashed = async (path: string, pieceLength: number) => {
    const content = await readFile(path)
    const { length } = content
    const [pieces, sha256] = [piecesOf(content, pieceLength), hash('sha256', content)]
    return { kind: 'hashed', identity: await identityOf(path), sha256, length, pieces } as const
  }
  const pool: Pick<HashPool, 'hash' | 'readBack'> = {
    hash: async ({ path, name, pieceLength }) => {
      await before()
      const result = await hashed(path, pieceLength)
      return { ...result, ...buildInfo({ ...result, name, pieceLength }) }
    },
    readBack: ({ path, pieceLength }) => ({
      put: async () => true,
      end: () => hashed(path, pieceLength),
      close: () => undefined,
    }),
  }
  return pool as HashPool
}

export const torrentOf = (name: string, content: Buffer): TorrentInfo => {
  const { length } = content
  const pieceLength = pieceLengthFor(length)
  return buildInfo({ name, length, pieceLength, pieces: piecesOf(content, pieceLength) })
}

/** Steps of the clock: more often than anything here looks. */
const STEP_MS = 500

/** Intervals and `performance.now()` stand still from now on, but for what the function that it gives lets pass. */
export function holdTime(t: TestContext): (ms: number) => Promise<void> {
  let now = performance.now()
  t.mock.method(performance, 'now', () => now)
  t.mock.timers.enable({ apis: ['setInterval'] })
  return async (ms) => {
    for (let left = ms; left > 0; left -= STEP_MS) {
      now += STEP_MS
      t.mock.timers.tick(STEP_MS)
      await new Promise(setImmediate)
    }
  }
}
