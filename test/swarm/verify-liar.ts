/** A member of the fleet, in this process, that says one thing of a shard and does another. */
import { createHash, hash, randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { TestContext } from 'node:test'
import { loadKeyFile } from '../../src/fleet/membership/fleet-key.ts'
import { FleetMember } from '../../src/fleet/membership/fleet-member.ts'
import { Network } from '../../src/fleet/network.ts'
import { buildInfo, composeTorrentFile } from '../../src/metainfo/create.ts'
import { parsePeerAddress } from '../../src/metainfo/peer-address.ts'
import { WindowCache } from '../../src/swarm/seeding/window-cache.ts'
import { afterTest } from '../helpers/after-test.ts'
import { PATIENCE_MS } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import type { VerifiedFleet } from './verify-kit.ts'

const PIECE_LENGTH = 256 * 1024

export interface Lie {
  /** The shard it says it has. */
  readonly path: string
  /** The file whose bytes it sends under that infohash; null serves nothing. */
  readonly sends: string | null
  /** What it says of the content, in place of the truth. */
  readonly sha256?: string
}

/** Joins as a host; resolves when its lie is announced. */
export async function joinLiar(
  t: TestContext,
  { bootstrap, keyFile }: VerifiedFleet,
  { path, sends, sha256 }: Lie,
): Promise<{ leave(): Promise<void> }> {
  const bytes = await readFile(path)
  const { length } = bytes
  const { info, infoHash } = buildInfo({
    name: basename(path),
    length,
    pieceLength: PIECE_LENGTH,
    pieces: piecesOf(bytes),
  })
  let isAnnounced = sends === null
  const free = { port: 0, required: false }
  const network = await Network.start(
    {
      bind: '127.0.0.1',
      port: free,
      dhtPort: free,
      dht: { kind: 'private', bootstrap: [parsePeerAddress(bootstrap.address)!] },
      uploadLimit: null,
      maxConns: 50,
      advertise: [],
      nodeId: randomBytes(20).toString('hex'),
      savedNodes: [],
      readOnly: false,
      identity: randomBytes(20).toString('hex'),
    },
    {
      onAnnounced: (announced) => {
        isAnnounced ||= announced === infoHash
      },
    },
  )
  if (sends !== null) {
    const pieces = piecesOf(await readFile(sends))
    const file = {
      infoHash,
      path: sends,
      length,
      pieceLength: PIECE_LENGTH,
      pieces,
      cache: new WindowCache(),
    }
    const served = { ...file, check: async () => {}, onLost: () => {} }
    network.seed(composeTorrentFile({ info }), infoHash, served, () => {})
  }
  const hostId = randomBytes(20).toString('hex')
  const startedAt = Date.now()
  const member = FleetMember.join({
    network,
    key: await loadKeyFile(keyFile),
    listener: {},
    wantsCatalogues: false,
    self: () => ({
      hostId,
      name: 'liar',
      version: '0.0.0',
      role: 'host',
      startedAt,
      port: network.client.port,
      replicating: false,
      freeDiskBytes: null,
      uploadBytesPerSecond: 0,
      downloadBytesPerSecond: 0,
    }),
  })
  member.offer({
    infoHash,
    name: basename(path),
    length,
    pieceLength: PIECE_LENGTH,
    sha256: sha256 ?? createHash('sha256').update(bytes).digest('hex'),
    state: 'seeding',
    verifiedBytes: length,
    model: 'tiny',
    number: 1,
    count: 2,
    architecture: 'test',
    sizeLabel: null,
  })
  const leave = async (): Promise<void> => {
    await member.stop()
    await network.stop()
  }
  afterTest(t, leave)
  await until(() => isAnnounced, { timeoutMs: PATIENCE_MS, what: 'announce of the lie' })
  return { leave }
}

function piecesOf(content: Buffer): Buffer {
  const count = Math.ceil(content.length / PIECE_LENGTH)
  const piece = (index: number): Buffer => content.subarray(index * PIECE_LENGTH, (index + 1) * PIECE_LENGTH)
  return Buffer.concat(Array.from({ length: count }, (_, index) => hash('sha1', piece(index), 'buffer')))
}
