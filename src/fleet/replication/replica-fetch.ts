/**
 * One shard on its way from the fleet into this host's folder: a download like any other, checked against what the
 * catalogue said of it.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { InvalidDataError, NotFoundError } from '../../errors.ts'
import type { HashedFile, HashPool } from '../../library/hash-pool.ts'
import type { Metainfo } from '../../metainfo/metainfo.ts'
import type { PeerAddress } from '../../metainfo/peer-address.ts'
import type { OfferedShard } from '../../swarm/catalogue/catalogue-entry.ts'
import { type GetResult, Getter } from '../download/getter.ts'
import type { Network } from '../network.ts'
import { FetchStopped, type StopCode } from './replica-ending.ts'
import { INTENT_MS } from './replication-policy.ts'

/** Who has a shard and a free upload slot sends something within this; who offers what it has not never does. */
const FIRST_BYTE_MS = 20_000
const LOOK_MS = 1_000
/** Hosts dialled for one shard, besides those that the DHT and other peers name. */
const MAX_DIALLED = 64

export interface ReplicaFetchOptions {
  readonly network: Network
  readonly pool: HashPool
  /** Where the file is to be. */
  readonly folder: string
  readonly shard: OfferedShard
  readonly peers: readonly PeerAddress[]
  /** The file gets its name no sooner than this after the start. */
  readonly claimMs: number
}

export class ReplicaFetch {
  readonly shard: OfferedShard
  readonly #options: ReplicaFetchOptions
  readonly #abort = new AbortController()
  readonly #startedAt = performance.now()
  #ended: Promise<GetResult> | undefined
  #isOver = false
  #verifiedBytes = 0
  #toldBytes = 0
  #dialled = 0

  constructor(options: ReplicaFetchOptions) {
    this.#options = options
    this.shard = options.shard
  }

  get verifiedBytes(): number {
    return this.#verifiedBytes
  }

  /** Verified bytes, when there are more than at the last call. */
  takeProgress(): number | null {
    if (this.#verifiedBytes === this.#toldBytes) return null
    this.#toldBytes = this.#verifiedBytes
    return this.#toldBytes
  }

  /** The engine may have its torrent. */
  get isUnderWay(): boolean {
    return !this.#isOver
  }

  /** Fetches; throws {@link FetchStopped}, or what the download throws. */
  run(): Promise<GetResult> {
    this.#ended ??= this.#run().finally(() => {
      this.#isOver = true
    })
    return this.#ended
  }

  /** Ends it; resolves when nothing of it is running. */
  async stop(code: StopCode): Promise<void> {
    this.#abort.abort(new FetchStopped(code))
    await this.#ended?.catch(() => undefined)
  }

  /** Another host has some of it. */
  dial(peer: PeerAddress): void {
    if (this.#dialled >= MAX_DIALLED) return
    this.#dialled++
    this.#options.network.torrent(this.shard.infoHash)?.dial(peer)
  }

  async #run(): Promise<GetResult> {
    const { name, infoHash } = this.shard
    const { network } = this.#options
    let askedAt: number | undefined
    const timer = setInterval(() => {
      // Nobody is asked before the torrent is there: what an earlier run left may have to be hashed first.
      if (network.torrent(infoHash) !== undefined) askedAt ??= performance.now()
      const isLate = askedAt !== undefined && performance.now() - askedAt >= FIRST_BYTE_MS
      if (!isLate || this.#verifiedBytes > 0) return
      const reason = `${name} (${infoHash}): those that offer it have sent nothing for ${FIRST_BYTE_MS / 1_000} s`
      this.#abort.abort(new NotFoundError('not-found', `${reason}; it is tried again later`))
    }, LOOK_MS)
    try {
      return await this.#get()
    } finally {
      clearInterval(timer)
    }
  }

  #get(): Promise<GetResult> {
    const { network, pool, folder, shard, claimMs } = this.#options
    const peers = this.#options.peers.slice(0, MAX_DIALLED)
    this.#dialled = peers.length
    const { signal } = this.#abort
    const getter = new Getter(
      network,
      pool,
      {
        id: { kind: 'infoHash', infoHash: shard.infoHash, peers: [] },
        out: folder,
        peers,
        timeoutMs: INTENT_MS,
        expectedName: shard.name,
        beforeNaming: async (hashed) => {
          requireContent(shard, hashed)
          const leftMs = this.#startedAt + claimMs - performance.now()
          if (leftMs > 0) await delay(leftMs, undefined, { signal }).catch(() => signal.throwIfAborted())
        },
      },
      {
        onEvent: (event) => {
          if (event.event === 'metadata') requireFacts(shard, event)
        },
        // Also while the whole is hashed: what is there then counts as there.
        onState: ({ verifiedBytes, phase }) => {
          const bytes = phase === 'verifying' ? shard.length : verifiedBytes
          this.#verifiedBytes = Math.max(this.#verifiedBytes, Math.min(bytes, shard.length))
        },
      },
    )
    return getter.run(signal)
  }
}

/** Length and pieces follow from the infohash; the room for them was judged by what the catalogue said. */
function requireFacts(
  { name, infoHash, ...said }: OfferedShard,
  metainfo: Pick<Metainfo, 'length' | 'pieceLength'>,
): void {
  for (const fact of ['length', 'pieceLength'] as const) {
    if (metainfo[fact] === said[fact]) continue
    throw new InvalidDataError(
      'catalogue-mismatch',
      `${name} (${infoHash}) has a ${fact} of ${metainfo[fact]} bytes and the catalogue says ${said[fact]}: ` +
        'a host of the fleet does not tell the truth. Nothing was fetched',
    )
  }
}

/** A torrent that holds more than it must has an infohash that no host would give the file. */
function requireContent({ name, infoHash, sha256: said }: OfferedShard, hashed: HashedFile): void {
  const { sha256 } = hashed
  if (sha256 !== said) {
    throw new InvalidDataError(
      'sha256-mismatch',
      `${name} (${infoHash}) has SHA-256 ${sha256} and the catalogue says ${said}: a host of the fleet does not tell ` +
        'the truth, or its file is damaged. What was fetched is thrown away',
    )
  }
  if (hashed.infoHash !== infoHash) {
    throw new InvalidDataError(
      'foreign-torrent',
      `${name} (${infoHash}) would be ${hashed.infoHash} here: its torrent was not made by gguf-swarm`,
    )
  }
}
