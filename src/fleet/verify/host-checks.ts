/** What is checked at the hosts themselves, out of the answers they gave to probes. */
import { countOf, formatBytes } from '../../log.ts'
import { formatPeerAddress } from '../../metainfo/peer-address.ts'
import { pieceCountOf } from '../../metainfo/piece-length.ts'
import { type Finding, formatMs, formatSpan, notKnown, outOf, skip } from './checks.ts'
import type { HostNodes } from './dht-checks.ts'
import { addressOfHost, labelOf } from './picture.ts'
import type { HostProbe, ShardProbe } from './probes.ts'
import { connectCommand } from './repeat.ts'
import type { Stray } from './strays.ts'

/** Does every host answer on its ports, and everybody else who is announced? */
export function checkReachable(
  probes: readonly HostProbe[],
  nodes: HostNodes,
  strays: readonly Stray[],
): Finding {
  const problems: string[] = []
  const evidence: string[] = []
  for (const { host, handshakeMs, problem, dhtPort } of probes) {
    const node = nodes.get(host.info.hostId)
    const dht =
      node === undefined
        ? 'DHT port not known'
        : node === null
          ? 'DHT silent'
          : `DHT UDP ${dhtPort} ${formatMs(node.roundTripMs)}`
    if (problem !== null) problems.push(`${host.info.name}: ${problem}`)
    else evidence.push(`${labelOf(host)}: BitTorrent handshake ${formatMs(handshakeMs!)}, ${dht}`)
    if (node === null)
      problems.push(`${labelOf(host)}: its DHT port ${dhtPort} (UDP) does not answer; is it open?`)
  }
  for (const { address, state, shards } of strays) {
    const name = formatPeerAddress(address)
    if (state === 'member') evidence.push(`${name}: another member, no host (a coordinator)`)
    if (state === 'gone') evidence.push(`${name}: no longer there; the DHT forgets it within 45 min`)
    if (state === 'silent' && shards === 0)
      evidence.push(`${name}: announced as a member some time ago, does not answer`)
    if (state === 'silent' && shards > 0) {
      problems.push(
        `${name} is announced as a member that has ${shards} of the fleet's shards, and does not answer: is it stopped, ` +
          'overloaded, or its port (TCP) blocked? Of a machine that was switched off, the DHT forgets it within 45 min',
      )
    }
  }
  const reached = probes.filter(({ problem }) => problem === null)
  const answered = [...nodes.values()].filter((node) => node !== null).length
  const times = formatSpan(reached.map(({ handshakeMs }) => handshakeMs!))
  const summary =
    `${outOf(reached.length, probes.length)} hosts shake hands (${times}), ` +
    `${outOf(answered, probes.length)} DHT ports answer${notKnown(probes.length - nodes.size)}`
  return {
    evidence: [summary, ...evidence],
    problems,
    repeat: probes.map(({ host }) => connectCommand(addressOfHost(host))),
  }
}

/** Did every host send right bytes of every shard it says it has? */
export function checkWhole(probes: readonly HostProbe[], sample: number, access: string): Finding {
  const all = shardProbes(probes)
  if (all.length === 0) return skip('no shard is offered')
  const problems: string[] = []
  const evidence: string[] = []
  let right = 0
  let bytes = 0
  for (const { host, shard, probe } of all) {
    const where = `${shard.name} at ${labelOf(host)}`
    const good = probe.pieces.filter(({ isRight }) => isRight)
    const wrong = probe.pieces.filter(({ isRight }) => !isRight)
    right += good.length
    bytes += good.reduce((sum, { length }) => sum + length, 0)
    const [first] = wrong
    if (first !== undefined) {
      problems.push(
        `${where}: ${wrong.length === 1 ? 'piece' : 'pieces'} ${wrong.map(({ index }) => index).join(', ')} of ` +
          `${shard.infoHash} came with wrong bytes (piece ${first.index} has SHA-1 ${first.sha1}). Check that host's disk and ` +
          'memory, and replace the file; whoever downloads leaves such a peer',
      )
    }
    if (probe.pieceProblem !== null) {
      problems.push(
        `${where}: ${probe.pieceProblem}. Its file is no longer what was hashed: see its log, check the disk`,
      )
    } else if (probe.seen === null)
      problems.push(`${where}: not one piece could be fetched: ${probe.seedProblem}`)
    else if (!probe.seen.whole) problems.push(`${where}: not whole, see the next check`)
    else if (wrong.length === 0 && probe.contradiction === null) {
      const pieces = probe.pieces.map(({ index }) => index).join(', ')
      evidence.push(`${where}: whole bitfield${pieces === '' ? '' : `, right pieces: ${pieces}`}`)
    }
  }
  const whole = all.filter(({ probe }) => probe.seen?.whole).length
  const summary =
    `${outOf(whole, all.length)} whole bitfields; ${countOf(right, 'random piece')} (${formatBytes(bytes)}, up to ${sample} ` +
    'of each copy) fetched from the very hosts, hashed and right'
  return {
    evidence: [summary, ...evidence],
    problems,
    repeat: [`gguf-swarm verify ${access} --sample 1000000 # all pieces`],
  }
}

/** Does every host serve what its catalogue says? */
export function checkSeeding(probes: readonly HostProbe[], access: string): Finding {
  const all = shardProbes(probes)
  if (all.length === 0) return skip('no shard is offered')
  const problems: string[] = []
  const evidence: string[] = []
  let kept = 0
  for (const { host, shard, probe } of all) {
    const where = `${labelOf(host)} says it seeds ${shard.name} (${shard.infoHash})`
    const count = pieceCountOf(shard.length, shard.pieceLength)
    if (probe.seen === null) problems.push(`${where}: ${probe.seedProblem}`)
    else if (!probe.seen.whole)
      problems.push(`${where}: its bitfield has ${probe.seen.pieces} of ${count} pieces`)
    else if (probe.contradiction !== null) problems.push(`${where}: ${probe.contradiction}`)
    else kept++
  }
  for (const { host, shards } of probes) {
    const whole = shards.filter(({ seen }) => seen?.whole).length
    evidence.push(`${labelOf(host)}: catalogue ${shards.length}, bitfields whole ${whole}`)
  }
  const summary = `${outOf(kept, all.length)} copies in ${countOf(probes.length, 'catalogue')} are served whole by their hosts`
  return { evidence: [summary, ...evidence], problems, repeat: [`gguf-swarm status ${access} --json`] }
}

function shardProbes(probes: readonly HostProbe[]) {
  return probes.flatMap(({ host, shards }) =>
    shards.map((probe: ShardProbe) => ({ host, shard: probe.shard, probe })),
  )
}
