/**
 * Who else is announced as a member of the fleet: coordinators, hosts that ended less than 45 minutes ago (BEP 5
 * knows no withdrawal), and hosts that hang or are cut off.
 */
import { SwarmError } from '../../errors.ts'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { formatPeerAddress, type PeerAddress } from '../../metainfo/peer-address.ts'
import { PeerProbe } from '../../swarm/probe/peer-probe.ts'
import { eachOf } from '../each-of.ts'
import type { KnownHost } from '../membership/fleet-member.ts'
import { isNamed } from './dht-checks.ts'
import type { Lookup } from './fresh-dht.ts'

/** A rendezvous that anybody may announce holds any number of addresses. */
const MAX_STRAYS = 64
const PARALLEL = 16

/** An announced member that is no host we know. */
export interface Stray {
  readonly address: PeerAddress
  /** `member` shakes hands, `gone` has nothing that listens, `silent` has something that does not answer, or a wall. */
  readonly state: 'member' | 'gone' | 'silent'
  /** How many of the fleet's shards the DHT names it for. */
  readonly shards: number
}

/** What is known when strays are looked for. */
export interface StrayFacts {
  readonly rendezvous: InfoHash
  /** Peers of the rendezvous. */
  readonly announced: readonly PeerAddress[]
  readonly hosts: readonly KnownHost[]
  readonly lookups: ReadonlyMap<InfoHash, Lookup>
}

/** Visits those that are announced and not known. */
export async function findStrays(facts: StrayFacts, signal: AbortSignal): Promise<readonly Stray[]> {
  const unknown = new Map(facts.announced.map((peer) => [formatPeerAddress(peer), peer]))
  for (const [name, peer] of unknown) {
    if (facts.hosts.some((host) => isNamed(host, [peer]))) unknown.delete(name)
  }
  return eachOf([...unknown.values()].slice(0, MAX_STRAYS), PARALLEL, async (address) => ({
    address,
    state: await stateOf(address, facts.rendezvous, signal),
    shards: [...facts.lookups.values()].filter(({ peers }) =>
      peers.some(({ host, port }) => host === address.host && port === address.port),
    ).length,
  }))
}

async function stateOf(
  address: PeerAddress,
  rendezvous: InfoHash,
  signal: AbortSignal,
): Promise<Stray['state']> {
  try {
    await using _probe = await PeerProbe.connect(address, rendezvous, signal)
    return 'member'
  } catch (error) {
    signal.throwIfAborted()
    // Another program may have got the port since.
    if (error instanceof SwarmError) return ['nobody', 'not-served'].includes(error.code) ? 'gone' : 'silent'
    throw error
  }
}
