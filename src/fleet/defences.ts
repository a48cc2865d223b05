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

export function defencesOf({ dht, client }: Pick<Network, 'dht' | 'client'>): Defences {
  const incoming = client.incoming ?? { crowding: 0, full: 0, givenUp: 0 }
  return { datagrams: dht.guard, stored: dht.stored, incoming, wires: wireGuardCounters() }
}
