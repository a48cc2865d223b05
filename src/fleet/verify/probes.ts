/**
 * Every host is asked itself, at its own address: does it answer, which pieces of each of its shards does it
 * say it has, and are pieces chosen at random really what the infohash stands for?
 */
import { randomInt } from 'node:crypto'
import { messageOf, SwarmError } from '../../errors.ts'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import type { Metainfo } from '../../metainfo/metainfo.ts'
import { pieceCountOf } from '../../metainfo/piece-length.ts'
import type { OfferedShard } from '../../swarm/catalogue/catalogue-entry.ts'
import { PeerProbe, type SeenPiece, type SeenPieces } from '../../swarm/probe/peer-probe.ts'
import { eachOf } from '../each-of.ts'
import type { KnownHost } from '../membership/fleet-member.ts'
import { addressOfHost } from './picture.ts'

/** Hosts asked at once, and connections to each: a verification must not be what slows a fleet down. */
const PARALLEL_HOSTS = 8
const PARALLEL_SHARDS = 2

/** How a host answered on its BitTorrent port. */
export interface HostProbe {
  readonly host: KnownHost
  /** From the first packet to its handshake; null when it did not answer. */
  readonly handshakeMs: number | null
  /** Its DHT port, where it told one. */
  readonly dhtPort: number | null
  readonly problem: string | null
  readonly shards: readonly ShardProbe[]
}

/** What one host showed of one shard. */
export interface ShardProbe {
  readonly shard: OfferedShard
  readonly seen: SeenPieces | null
  readonly pieces: readonly SeenPiece[]
  /** What its metainfo says otherwise than its catalogue. */
  readonly contradiction: string | null
  /** It does not serve the shard, or says nothing of its pieces. */
  readonly seedProblem: string | null
  /** Pieces that were asked for did not come. */
  readonly pieceProblem: string | null
}

/** What is asked. */
export interface ProbeOptions {
  readonly hosts: readonly KnownHost[]
  /** What a host without shards is asked for, only to hear its handshake. */
  readonly rendezvous: InfoHash
  /** Random pieces of each shard of each host. */
  readonly sample: number
}

/** Probes all hosts. */
export async function probeHosts(options: ProbeOptions, signal: AbortSignal): Promise<readonly HostProbe[]> {
  const metainfos = new Map<InfoHash, Metainfo>()
  return eachOf(options.hosts, PARALLEL_HOSTS, async (host) => {
    const reached = await reach(host, options.rendezvous, signal)
    const shards = [...host.shards.values()].filter(({ state }) => state === 'seeding')
    if (reached.problem !== null) {
      const seedProblem = 'its host does not answer'
      return { ...reached, shards: shards.map((shard) => ({ ...nothingOf(shard), seedProblem })) }
    }
    let dhtPort: number | null = null
    const probes = await eachOf(shards, PARALLEL_SHARDS, async (shard) => {
      const { probe, port } = await probeShard({ host, shard, sample: options.sample, metainfos }, signal)
      dhtPort ??= port
      return probe
    })
    return { ...reached, dhtPort, shards: probes }
  })
}

/** Chooses pieces at random, each at most once, in order. */
export function choosePieces(count: number, sample: number): readonly number[] {
  const chosen = new Set<number>()
  if (sample >= count) return Array.from({ length: count }, (_, index) => index)
  while (chosen.size < sample) chosen.add(randomInt(count))
  return [...chosen].sort((a, b) => a - b)
}

/** Is there a BitTorrent peer at the host's address? */
async function reach(
  host: KnownHost,
  rendezvous: InfoHash,
  signal: AbortSignal,
): Promise<Omit<HostProbe, 'shards'>> {
  const seeded = [...host.shards.values()].find(({ state }) => state === 'seeding')
  let problem = ''
  for (const infoHash of seeded === undefined ? [rendezvous] : [seeded.infoHash, rendezvous]) {
    try {
      await using probe = await PeerProbe.connect(addressOfHost(host), infoHash, signal)
      return { host, handshakeMs: probe.handshakeMs, dhtPort: null, problem: null }
    } catch (error) {
      problem = problemOf(error, signal)
      if (error instanceof SwarmError && error.code !== 'not-served') break
    }
  }
  return { host, handshakeMs: null, dhtPort: null, problem }
}

interface ShardQuestion {
  readonly host: KnownHost
  readonly shard: OfferedShard
  readonly sample: number
  /** Those already had, from whichever host; each was checked against its infohash. */
  readonly metainfos: Map<InfoHash, Metainfo>
}

async function probeShard(
  { host, shard, sample, metainfos }: ShardQuestion,
  signal: AbortSignal,
): Promise<{ readonly probe: ShardProbe; readonly port: number | null }> {
  const count = pieceCountOf(shard.length, shard.pieceLength)
  const found: { -readonly [K in keyof ShardProbe]: ShardProbe[K] } = nothingOf(shard)
  let port: number | null = null
  try {
    await using probe = await PeerProbe.connect(addressOfHost(host), shard.infoHash, signal)
    found.seen = await probe.seenPieces(count)
    try {
      const metainfo = metainfos.get(shard.infoHash) ?? (await probe.metainfo())
      metainfos.set(shard.infoHash, metainfo)
      found.contradiction = contradictionOf(shard, metainfo)
      const pieces: SeenPiece[] = []
      found.pieces = pieces
      if (found.seen.whole && found.contradiction === null) {
        for (const index of choosePieces(count, sample)) pieces.push(await probe.piece(metainfo, index))
      }
    } catch (error) {
      found.pieceProblem = problemOf(error, signal)
    }
    port = probe.dhtPort
  } catch (error) {
    found.seedProblem = problemOf(error, signal)
  }
  return { probe: found, port }
}

const nothingOf = (shard: OfferedShard): ShardProbe => ({
  shard,
  seen: null,
  pieces: [],
  contradiction: null,
  seedProblem: null,
  pieceProblem: null,
})

function contradictionOf(shard: OfferedShard, metainfo: Metainfo): string | null {
  for (const key of ['name', 'length', 'pieceLength'] as const) {
    if (metainfo[key] !== shard[key]) {
      return `its catalogue says ${key} ${String(shard[key])}, the torrent of that infohash says ${String(metainfo[key])}`
    }
  }
  return null
}

function problemOf(error: unknown, signal: AbortSignal): string {
  signal.throwIfAborted()
  if (error instanceof SwarmError) return messageOf(error)
  throw error
}
