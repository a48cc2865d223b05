/** What is checked of the DHT: its bootstrap nodes, what is registered in it, the nodes of the hosts. */
import { PUBLIC_BOOTSTRAP } from '../../config.ts'
import { countOf } from '../../log.ts'
import type { InfoHash } from '../../metainfo/info-hash.ts'
import { formatPeerAddress, type PeerAddress } from '../../metainfo/peer-address.ts'
import { isOwnAddress } from '../../swarm/address.ts'
import { askDhtNode, type DhtAnswer } from '../../swarm/dht/dht-probe.ts'
import { eachOf } from '../each-of.ts'
import type { KnownHost } from '../membership/fleet-member.ts'
import type { DhtChoice } from '../network.ts'
import { type Finding, formatMs, formatSpan, notKnown, outOf, skip } from './checks.ts'
import type { FreshDht, Lookup } from './fresh-dht.ts'
import { addressOfHost, labelOf, type SeededShard } from './picture.ts'
import type { HostProbe } from './probes.ts'
import { peersCommand, pingCommand } from './repeat.ts'

/** Lookups at once; each asks about 20 nodes. */
const PARALLEL_LOOKUPS = 8
/** A lookup loses nodes with every datagram that is lost; what is not found in three is not there. */
const LOOKUP_TRIES = 3

/** A host's DHT node: its answer, null when it did not answer, undefined when its port is not known. */
export type HostNodes = ReadonlyMap<string, DhtAnswer | null>

/** The bootstrap nodes by name. */
export const bootstrapNames = (dht: DhtChoice): readonly PeerAddress[] =>
  dht.kind === 'private' ? dht.bootstrap : PUBLIC_BOOTSTRAP

/** The bootstrap's answers, with the ids they gave. */
export interface BootstrapFinding extends Finding {
  readonly nodeIds: readonly string[]
}

/** Asks each bootstrap node; a private DHT needs all that are named, the public one any. */
export async function checkBootstraps(dht: DhtChoice, signal: AbortSignal): Promise<BootstrapFinding> {
  const addresses = bootstrapNames(dht)
  const answers = await eachOf(addresses, PARALLEL_LOOKUPS, (address) => askDhtNode(address, signal))
  const answered = answers.filter((answer) => answer !== null)
  const evidence = [
    `${outOf(answered.length, addresses.length)} answered find_node (${formatSpan(answered.map(rtt))})`,
  ]
  const problems: string[] = []
  for (const [index, address] of addresses.entries()) {
    const answer = answers[index]
    const name = formatPeerAddress(address)
    if (answer) {
      evidence.push(
        `${name}: node ${answer.nodeId}, ${answer.nodes.length} nodes named, ${formatMs(answer.roundTripMs)}`,
      )
    } else if (dht.kind === 'private' || answered.length === 0) {
      problems.push(
        `${name} does not answer (UDP): nobody new finds the fleet through it. Start it with \`gguf-swarm bootstrap\`, ` +
          'open its port, or name another with --bootstrap',
      )
    }
  }
  return {
    evidence,
    problems,
    repeat: addresses.map(pingCommand),
    nodeIds: answered.map(({ nodeId }) => nodeId),
  }
}

const rtt = ({ roundTripMs }: DhtAnswer): number => roundTripMs

/** Asks the DHT node of each host that told its port, by host id. */
export async function askHostNodes(probes: readonly HostProbe[], signal: AbortSignal): Promise<HostNodes> {
  const known = probes.filter(({ dhtPort }) => dhtPort !== null)
  const answers = await eachOf(known, PARALLEL_LOOKUPS, ({ host, dhtPort }) =>
    askDhtNode({ host: addressOfHost(host).host, port: dhtPort! }, signal),
  )
  return new Map(known.map(({ host }, index) => [host.info.hostId, answers[index]!]))
}

/** Looks up every infohash with a fresh client, and again what it did not find. */
export async function lookUpAll(
  fresh: FreshDht,
  shards: readonly SeededShard[],
  signal: AbortSignal,
): Promise<ReadonlyMap<InfoHash, Lookup>> {
  const lookups = new Map<InfoHash, Lookup>()
  await eachOf(shards, PARALLEL_LOOKUPS, async ({ shard: { infoHash }, hosts }) => {
    for (let attempt = 0; attempt < LOOKUP_TRIES; attempt++) {
      signal.throwIfAborted()
      const lookup = await fresh.lookup(infoHash)
      const peers = [...(lookups.get(infoHash)?.peers ?? []), ...lookup.peers]
      lookups.set(infoHash, { ...lookup, peers })
      if (hosts.every((host) => isNamed(host, peers))) return
    }
  })
  return lookups
}

/** What the registration check looks at. */
export interface RegistrationFacts {
  readonly shards: readonly SeededShard[]
  readonly lookups: ReadonlyMap<InfoHash, Lookup>
  /** Bootstrap nodes that answered the client which made the lookups. */
  readonly joined: number
  readonly bootstraps: readonly PeerAddress[]
}

/** Does the DHT name each host as a peer of what it seeds? */
export function checkRegistered({ shards, lookups, joined, bootstraps }: RegistrationFacts): Finding {
  if (shards.length === 0) return skip('no shard is offered')
  if (joined === 0) {
    const problem =
      'no bootstrap node answered a fresh DHT client, so nothing can be looked up; see the first check'
    return { evidence: [], problems: [problem], repeat: [] }
  }
  const problems: string[] = []
  const evidence: string[] = []
  let found = 0
  for (const { shard, hosts } of shards) {
    const { peers, visited, tookMs } = lookups.get(shard.infoHash) ?? { peers: [], visited: 0, tookMs: 0 }
    const named = [...new Set(peers.map(formatPeerAddress))].join(', ') || 'nobody'
    evidence.push(`${shard.name} ${shard.infoHash}: ${named} (${visited} nodes asked, ${formatMs(tookMs)})`)
    for (const host of hosts) {
      if (isNamed(host, peers)) found++
      else {
        problems.push(
          `${labelOf(host)} seeds ${shard.name} and the DHT does not name it for ${shard.infoHash} (named: ${named}). ` +
            'It announces again within 15 minutes; if that does not help, look in its log for [DHT] lines',
        )
      }
    }
  }
  const all = shards.reduce((sum, { hosts }) => sum + hosts.length, 0)
  const summary =
    `${outOf(found, all)} (shard, host) pairs found by a fresh client (${countOf(shards.length, 'lookup')}) in ` +
    formatSpan([...lookups.values()].map(({ tookMs }) => tookMs))
  const [bootstrap] = bootstraps
  const repeat =
    bootstrap === undefined ? [] : shards.map(({ shard }) => peersCommand(bootstrap, shard.infoHash))
  return { evidence: [summary, ...evidence], problems, repeat }
}

/** What the routing check looks at. */
export interface RoutingFacts {
  readonly probes: readonly HostProbe[]
  readonly nodes: HostNodes
  readonly bootstrapIds: readonly string[]
  readonly lookups: readonly Lookup[]
  readonly joined: number
}

/** Are the hosts' nodes there, with ids of their own, and do lookups get anywhere? */
export function checkRouting({ probes, nodes, bootstrapIds, lookups, joined }: RoutingFacts): Finding {
  const problems: string[] = []
  const evidence: string[] = []
  const ids = new Map<string, string>(bootstrapIds.map((id) => [id, 'a bootstrap node']))
  for (const { host, dhtPort } of probes) {
    const answer = nodes.get(host.info.hostId)
    const at = `${addressOfHost(host).host}:${dhtPort}`
    if (answer === undefined) evidence.push(`${labelOf(host)}: DHT port not known`)
    else if (answer === null)
      problems.push(`${labelOf(host)}: its DHT node at ${at} (UDP) does not answer; is that port open?`)
    else {
      const { nodeId } = answer
      const other = ids.get(nodeId)
      const label = labelOf(host)
      if (other !== undefined) {
        problems.push(`${label} has the node id ${nodeId} of ${other}; each needs a --state-dir of its own`)
      }
      if (/^0{40}$/.test(nodeId)) problems.push(`${label} has the node id zero, which is none`)
      ids.set(nodeId, label)
      evidence.push(
        `${label}: node ${nodeId} at ${at}, ${answer.nodes.length} nodes named, ${formatMs(rtt(answer))}`,
      )
    }
  }
  const visited = lookups.map((lookup) => lookup.visited)
  const least = visited.length > 0 ? Math.min(...visited) : 0
  if (joined === 0)
    problems.push('a fresh DHT client gets no answer from any bootstrap node; see the first check')
  else if (probes.length > 1 && least < 2) {
    problems.push(
      `a lookup by a fresh client reached ${least} node(s) only, where there are ${probes.length} hosts`,
    )
  }
  const answered = [...nodes.values()].filter((answer) => answer !== null)
  const most = Math.max(least, ...visited)
  const asked = least === most ? `${least}` : `${least} to ${most}`
  const summary =
    `${outOf(answered.length, probes.length)} host nodes answer find_node${notKnown(probes.length - nodes.size)}, ` +
    `${ids.size} different ids; ` +
    `${visited.length} lookups by a fresh client asked ${asked} nodes`
  const repeat = probes.flatMap(({ host, dhtPort }) =>
    dhtPort === null ? [] : [pingCommand({ host: addressOfHost(host).host, port: dhtPort })],
  )
  const finding = { evidence: [summary, ...evidence], problems, repeat }
  return nodes.size > 0
    ? finding
    : { ...finding, skipped: 'no host told its DHT port, as none serves a shard' }
}

/** Is this host among the peers? This machine's addresses are one: it is met by one and announces itself by another. */
export function isNamed(host: KnownHost, peers: readonly PeerAddress[]): boolean {
  const own = addressOfHost(host)
  return peers.some(
    ({ host: address, port }) =>
      port === own.port && (address === own.host || (isOwnAddress(address) && isOwnAddress(own.host))),
  )
}
