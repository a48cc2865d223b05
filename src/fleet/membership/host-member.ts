/**
 * A host's membership in its fleet: what it says of itself, and its shards as others are told of them.
 */
import { statfs } from 'node:fs/promises'
import { VERSION } from '../../config.ts'
import type { GgufHeader } from '../../gguf/header.ts'
import { inspectGguf } from '../../gguf/inspect.ts'
import type { ShardFile } from '../../library/shard-library.ts'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import type { MemberInfo, OfferedShard } from '../../swarm/catalogue/catalogue-entry.ts'
import { defencesOf, keptOutOf } from '../defences.ts'
import { modelOf } from '../names/models.ts'
import type { Network } from '../network.ts'
import type { FleetKey } from './fleet-key.ts'
import { FleetMember, type MemberListener } from './fleet-member.ts'

/** Free space changes slowly, and asking a network file system for it can take seconds. */
const DISK_CHECK_MS = 10_000

/** Complete settings. */
export interface HostMemberOptions {
  readonly network: Network
  readonly key: FleetKey
  readonly hostId: string
  readonly name: string
  /** Where its shards are. */
  readonly folder: string
  /** Whether its files are what they were; undefined before its library runs. */
  readonly integrity: () => MemberInfo['integrity']
  /** How many strangers it refused; undefined where everybody is allowed. */
  readonly strangersRefused: () => number | undefined
  readonly replicating: boolean
  /** Whether it has to know what others have. */
  readonly wantsCatalogues: boolean
  readonly listener: MemberListener
}

/** A host in its fleet. */
export class HostMember implements AsyncDisposable {
  readonly member: FleetMember
  readonly #options: HostMemberOptions
  readonly #startedAt = Date.now()
  readonly #diskTimer: NodeJS.Timeout
  /** Headers are read one after the other: a thousand shards at a start must not compete with their seeding. */
  #describing: Promise<void> = Promise.resolve()
  readonly #offered = new Set<InfoHash>()
  /** Where its shards are; null when that cannot be told. */
  #freeDiskBytes: number | null = null
  #stopped = false

  constructor(options: HostMemberOptions) {
    this.#options = options
    const { network, key, listener, wantsCatalogues } = options
    this.member = FleetMember.join({ network, key, listener, wantsCatalogues, self: () => this.#info() })
    this.#diskTimer = setInterval(() => void this.#checkDisk(), DISK_CHECK_MS)
    void this.#checkDisk()
  }

  /** Offers a shard it seeds: at once by its name, and again with what its header says of the model. */
  offer(shard: ShardFile): void {
    this.#offered.add(shard.infoHash)
    this.member.offer(offerOf(shard, null))
    this.#describing = this.#describing.then(() => this.#describe(shard))
  }

  withdraw(infoHash: InfoHash): void {
    this.#offered.delete(infoHash)
    this.member.withdraw(infoHash)
  }

  /** Resolves when no shard's header is being read: after {@link stop}, none is read any more. */
  get described(): Promise<void> {
    return this.#describing
  }

  /** Leaves; idempotent. A read from a disk that hangs may still be under way, see {@link described}. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#diskTimer)
    await this.member.stop()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  async #describe(shard: ShardFile): Promise<void> {
    if (this.#stopped || !this.#offered.has(shard.infoHash)) return
    // A file that changed meanwhile is withdrawn by its library; its name is all that is said of it until then.
    const verdict = await inspectGguf(shard.path).catch(() => null)
    const header = verdict !== null && 'header' in verdict ? verdict.header : null
    if (header !== null && this.#offered.has(shard.infoHash)) this.member.offer(offerOf(shard, header))
  }

  #info(): MemberInfo {
    const { network, hostId, name, replicating } = this.#options
    return {
      hostId,
      name,
      version: VERSION,
      role: 'host',
      startedAt: this.#startedAt,
      port: network.client.port,
      replicating,
      freeDiskBytes: this.#freeDiskBytes,
      integrity: this.#options.integrity(),
      strangersRefused: this.#options.strangersRefused(),
      keptOut: keptOutOf(defencesOf(network)),
      uploadBytesPerSecond: network.client.uploadBytesPerSecond,
      downloadBytesPerSecond: network.client.downloadBytesPerSecond,
    }
  }

  async #checkDisk(): Promise<void> {
    try {
      const { bavail, bsize } = await statfs(this.#options.folder)
      this.#freeDiskBytes = bavail * bsize
    } catch {
      this.#freeDiskBytes = null // the folder is gone for now: the library says so
    }
  }
}

/** A whole shard as others are told of it. */
function offerOf(shard: ShardFile, header: GgufHeader | null): OfferedShard {
  const { infoHash, name, length, pieceLength, sha256 } = shard
  const known = { infoHash, name, length, pieceLength, sha256, verifiedBytes: length }
  return { ...known, ...modelOf(name, header), state: 'seeding' }
}
