/** What the guards have kept out, as Prometheus metrics: a flood shows here before anybody complains. */
import type { Defences } from '../fleet/defences.ts'
import type { Family, Sample } from './exposition.ts'

export function defenceFamilies({ datagrams, stored, incoming, wires }: Defences): readonly Family[] {
  const { accepted, malformed, rateLimited, crashesCaught } = datagrams
  return [
    family(
      'dht_datagrams_total',
      'counter',
      "Datagrams that came in on the coordinator's DHT port, by what became of them",
      {
        result: {
          accepted,
          malformed,
          'rate-limited': rateLimited,
          'crash-caught': crashesCaught,
        },
      },
    ),
    family(
      'dht_stored_peers',
      'gauge',
      "Peers that others announced to the coordinator's DHT node",
      stored.peers,
    ),
    family(
      'dht_stored_peers_dropped_total',
      'counter',
      'Announced peers dropped before their time, as there was no room',
      stored.dropped,
    ),
    family(
      'peer_connections_refused_total',
      'counter',
      'Incoming connections of peers refused, or given up for others, by reason',
      {
        reason: { crowding: incoming.crowding, full: incoming.full, 'given-up': incoming.givenUp },
      },
    ),
    family(
      'peer_connections_closed_total',
      'counter',
      'Connections of peers closed for what they sent, by reason',
      {
        reason: {
          malformed: wires.malformed,
          oversized: wires.oversized,
          flooding: wires.flooding,
          'crash-caught': wires.crashesCaught,
        },
      },
    ),
  ]
}

type Values = number | Readonly<Record<string, Readonly<Record<string, number>>>>

function family(name: string, type: Family['type'], help: string, values: Values): Family {
  return { name: `gguf_swarm_${name}`, help, type, samples: samplesOf(values) }
}

function samplesOf(values: Values): readonly Sample[] {
  if (typeof values === 'number') return [{ value: values }]
  return Object.entries(values).flatMap(([label, counts]) =>
    Object.entries(counts).map(([name, value]) => ({ labels: { [label]: name }, value })),
  )
}
