/** What the guards of one process have kept out since it started, for whoever shows it. */
import type { DhtNode } from '../swarm/dht/dht.ts'
import type { GuardCounters } from '../swarm/dht/udp-guard.ts'
import type { IncomingCounters } from '../swarm/wire/incoming.ts'
import { type WireGuardCounters, wireGuardCounters } from '../swarm/wire/wire-guard.ts'
import type { Network } from './network.ts'

export interface Defences {
  /** Datagrams on the DHT's port. */
  readonly datagrams: GuardCounters
  /** Peers that others announced to the DHT node: kept now, and dropped for want of room. */
  readonly stored: DhtNode['stored']
  /** Connections of peers refused, or given up for others. */
  readonly incoming: IncomingCounters
  /** Connections of peers closed for what they sent. */
  readonly wires: WireGuardCounters
}

/** The same in one list of numbers, as hosts tell it to their fleet; what was let through is not in it. */
export function keptOutOf({
  datagrams,
  stored,
  incoming,
  wires,
}: Defences): Readonly<Record<string, number>> {
  return {
    'datagrams-malformed': datagrams.malformed,
    'datagrams-rate-limited': datagrams.rateLimited,
    'datagrams-crash-caught': datagrams.crashesCaught,
    'announces-dropped': stored.dropped,
    'connections-crowding': incoming.crowding,
    'connections-full': incoming.full,
    'connections-given-up': incoming.givenUp,
    'peers-malformed': wires.malformed,
    'peers-oversized': wires.oversized,
    'peers-flooding': wires.flooding,
    'peers-crash-caught': wires.crashesCaught,
  }
}

export function defencesOf({ dht, client }: Pick<Network, 'dht' | 'client'>): Defences {
  const incoming = client.incoming ?? { crowding: 0, full: 0, givenUp: 0 }
  return { datagrams: dht.guard, stored: dht.stored, incoming, wires: wireGuardCounters() }
}
