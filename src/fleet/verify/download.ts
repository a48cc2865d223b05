/**
 * Downloads as anybody would make them: an infohash, the bootstrap nodes and nothing else, through the ordinary
 * getter, into a folder that is gone afterwards.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { asDiskError, messageOf, SwarmError } from '../../errors.ts'
import { HashPool } from '../../library/hash-pool.ts'
import { formatBytes } from '../../log.ts'
import type { AllowedPeers } from '../../swarm/allowed-peers.ts'
import { Getter } from '../download/getter.ts'
import { type DhtChoice, Network, type PortChoice } from '../network.ts'
import { visitorNetwork } from '../visitor.ts'
import { type Finding, formatMs, outOf } from './checks.ts'
import type { SeededShard } from './picture.ts'
import { dhtOptions } from './repeat.ts'

/** Without a new byte for so long, nobody is found or nobody sends. */
const STALL_MS = 30_000
const ANY_PORT: PortChoice = { port: 0, required: false }

/** How downloads are made. */
export interface DownloadOptions {
  readonly dht: DhtChoice
  readonly bind: string
  readonly allowed?: AllowedPeers | undefined
  /** Where the folder is made; it needs room for one shard. */
  readonly tempDir: string
}

/** The shard that costs least to fetch. */
export function smallestOf(shards: readonly SeededShard[]): SeededShard | undefined {
  return shards.reduce<SeededShard | undefined>(
    (least, next) => (least === undefined || next.shard.length < least.shard.length ? next : least),
    undefined,
  )
}

/** Fetches each of `wanted` in full, one after the other, each by a fresh client. */
export async function checkDownload(
  wanted: readonly SeededShard[],
  options: DownloadOptions,
  signal: AbortSignal,
): Promise<Finding> {
  if (wanted.length === 0) {
    return { evidence: [], problems: ['nobody offers a whole shard, so none can be fetched'], repeat: [] }
  }
  const problems: string[] = []
  const evidence: string[] = []
  let bytes = 0
  for (const { shard } of wanted) {
    try {
      const got = await fetchOnce(shard, options, signal)
      if (got.sha256 !== shard.sha256) {
        problems.push(
          `${shard.name} (${shard.infoHash}) arrived whole with SHA-256 ${got.sha256}; the catalogue says ${shard.sha256}. ` +
            'The host that says so is wrong; its record of the file is damaged',
        )
        continue
      }
      bytes += shard.length
      evidence.push(
        `${shard.name} ${shard.infoHash}: metadata ${formatMs(got.metadataMs)} after the start, whole after ` +
          `${formatMs(got.wholeMs)}; GGUF whole, SHA-256 ${got.sha256} as in the catalogue`,
      )
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof SwarmError)) throw error
      problems.push(`${shard.name} (${shard.infoHash}) cannot be fetched: ${messageOf(error)}`)
    }
  }
  const fetched = outOf(evidence.length, wanted.length)
  const summary = `${fetched} fetched by infohash alone (${formatBytes(bytes)}), SHA-256 and GGUF right`
  const repeat = wanted.map(
    ({ shard }) => `gguf-swarm get ${shard.infoHash} ${dhtOptions(options.dht)} --out /tmp/verified`,
  )
  return { evidence: [summary, ...evidence], problems, repeat }
}

interface Fetched {
  readonly sha256: string
  readonly metadataMs: number
  readonly wholeMs: number
}

async function fetchOnce(
  { infoHash }: SeededShard['shard'],
  { dht, bind, allowed, tempDir }: DownloadOptions,
  signal: AbortSignal,
): Promise<Fetched> {
  const out = await mkdtemp(join(tempDir, 'gguf-swarm-verify-')).catch((error: unknown) => {
    throw asDiskError(error, tempDir)
  })
  try {
    let getter: Getter | undefined
    await using network = await Network.start(
      { ...visitorNetwork({ bind, port: ANY_PORT, dhtPort: ANY_PORT, dht, stays: false }), allowed },
      { onPeer: (_infoHash, peer) => getter?.heardOf(peer) },
    )
    await using pool = new HashPool()
    const startedAt = performance.now()
    let metadataMs = 0
    getter = new Getter(
      network,
      pool,
      { id: { kind: 'infoHash', infoHash, peers: [] }, out, peers: [], timeoutMs: STALL_MS },
      {
        onEvent: ({ event }) => {
          if (event === 'metadata') metadataMs = performance.now() - startedAt
        },
      },
    )
    const { hashed } = await getter.run(signal)
    return { sha256: hashed.sha256, metadataMs, wholeMs: performance.now() - startedAt }
  } finally {
    await rm(out, { recursive: true, force: true, maxRetries: 3 })
  }
}
