/**
 * The fleet at one moment, as it is verified: taken when nothing has moved for a while, so that a check does
 * not race with a host that is still telling what it has.
 */
import { setTimeout as delay } from 'node:timers/promises'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { type PeerAddress, parsePeerAddress } from '../../metainfo/peer-address.ts'
import type { OfferedShard } from '../../swarm/catalogue/catalogue-entry.ts'
import type { FleetMember, KnownHost } from '../membership/fleet-member.ts'

/** How often the fleet is looked at. */
const LOOK_MS = 250
/** Without a change for this long, the picture is stable: longer than the announce retries of a host that starts. */
const STABLE_MS = 3_000

/** The part of a membership that is looked at. */
export type Membership = Pick<FleetMember, 'hosts' | 'key' | 'rendezvous' | 'turnedAway'>

/** What the person expects; null for whatever is there. */
export interface Expectation {
  readonly hosts: number | null
  /** Whole copies over all shards. */
  readonly copies: number | null
}

/** One shard of one host. */
export interface HostShard {
  readonly host: KnownHost
  readonly shard: OfferedShard
}

/** One shard, with the hosts that say they seed it. */
export interface SeededShard {
  readonly shard: OfferedShard
  readonly hosts: readonly KnownHost[]
}

/** The picture. */
export interface Picture {
  readonly takenAt: Date
  /** Online ones, by name. */
  readonly hosts: readonly KnownHost[]
  /** Whole ones, by name. */
  readonly shards: readonly SeededShard[]
  /** What each host says it seeds. */
  readonly copies: readonly HostShard[]
  /** Shards that are still being fetched by a host. */
  readonly fetching: readonly HostShard[]
}

/** The fleet as it is now. */
export function takePicture(hosts: readonly KnownHost[]): Picture {
  const online = hosts
    .filter(({ state }) => state === 'online')
    // A copy of the list: it changes as the host tells more.
    .map((host) => ({ ...host, shards: new Map(host.shards) }))
    .sort((a, b) => a.info.name.localeCompare(b.info.name) || a.address.localeCompare(b.address))
  const offers = online.flatMap((host) => [...host.shards.values()].map((shard) => ({ host, shard })))
  const copies = offers.filter(({ shard }) => shard.state === 'seeding')
  const shards = new Map<InfoHash, { shard: OfferedShard; hosts: KnownHost[] }>()
  for (const { host, shard } of copies) {
    const known = shards.get(shard.infoHash)
    if (known === undefined) shards.set(shard.infoHash, { shard, hosts: [host] })
    else known.hosts.push(host)
  }
  return {
    takenAt: new Date(),
    hosts: online,
    shards: [...shards.values()].sort((a, b) => a.shard.name.localeCompare(b.shard.name)),
    copies,
    fetching: offers.filter(({ shard }) => shard.state === 'fetching'),
  }
}

/**
 * Waits until at least one host is known, what is expected is there, and nothing has moved for a while; after
 * `timeoutMs` it takes what there is.
 */
export async function awaitPicture(
  member: Membership,
  expected: Expectation,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<Picture> {
  const startedAt = performance.now()
  let before = ''
  let changedAt = startedAt
  for (;;) {
    signal.throwIfAborted()
    const picture = takePicture(member.hosts())
    const now = performance.now()
    const state = signatureOf(picture)
    if (state !== before) {
      before = state
      changedAt = now
    }
    const isExpected =
      picture.hosts.length >= Math.max(1, expected.hosts ?? 0) &&
      picture.copies.length >= (expected.copies ?? 0)
    const isComplete = picture.hosts.every(({ complete }) => complete)
    if (isExpected && isComplete && now - changedAt >= STABLE_MS) return picture
    if (now - startedAt >= timeoutMs) return picture
    await delay(LOOK_MS, undefined, { signal })
  }
}

/** Where a host's BitTorrent port is. */
export function addressOfHost({ address }: KnownHost): PeerAddress {
  return parsePeerAddress(address) ?? { host: address, port: 0 }
}

/** A host in words. */
export const labelOf = ({ info, address }: KnownHost): string => `${info.name} (${address})`

/** What must not change: who is there, and what each has; the progress of a download may. */
function signatureOf({ hosts }: Picture): string {
  return JSON.stringify(
    hosts.map(({ info, address, complete, shards }) => [
      info.hostId,
      address,
      complete,
      [...shards.values()].map(({ infoHash, state }) => [infoHash, state]),
    ]),
  )
}
