/** A member of the fleet, in this process, that says one thing of a shard and does another. */
import { hash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { TestContext } from 'node:test'
import { buildInfo, composeTorrentFile } from '../../src/metainfo/create.ts'
import type { Fleet } from '../helpers/fleet.ts'
import { type ForeignMember, joinFleet } from '../helpers/foreign-member.ts'
import { piecesOf } from '../helpers/pieces.ts'
import { PATIENCE_MS } from '../helpers/swarm.ts'
import { until } from '../helpers/until.ts'
import { shardOf } from '../swarm-unit/catalogue-kit.ts'

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
  fleet: Pick<Fleet, 'bootstrap' | 'keyFile'>,
  { path, sends, sha256 }: Lie,
): Promise<Pick<ForeignMember, 'leave'>> {
  const bytes = await readFile(path)
  const { length } = bytes
  const { info, infoHash } = buildInfo({
    name: basename(path),
    length,
    pieceLength: PIECE_LENGTH,
    pieces: piecesOf(bytes, PIECE_LENGTH),
  })
  let isAnnounced = sends === null
  const liar = await joinFleet(t, fleet, {
    onAnnounced: (announced) => {
      isAnnounced ||= announced === infoHash
    },
  })
  if (sends !== null) {
    const pieces = piecesOf(await readFile(sends), PIECE_LENGTH)
    const file = { infoHash, path: sends, length, pieceLength: PIECE_LENGTH, pieces }
    const served = { ...file, check: async () => {}, onLost: () => {} }
    liar.network.seed(composeTorrentFile({ info }), infoHash, served, () => {})
  }
  liar.offer(
    shardOf(0, {
      infoHash,
      name: basename(path),
      length,
      pieceLength: PIECE_LENGTH,
      sha256: sha256 ?? hash('sha256', bytes),
      model: 'tiny',
      number: 1,
      count: 2,
      architecture: 'test',
    }),
  )
  await until(() => isAnnounced, { timeoutMs: PATIENCE_MS, what: 'announce of the lie' })
  return liar
}
